"""Numbers, ordinals, amounts of money and measures, drawn at random and said in both languages."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import NamedTuple

import spelling
from values import Phrase, Split, UnsuitableError, draw, number_key, phrase

MOST_DIGITS = 9
YEARS = range(1500, 2101)  # sound like years, so they are left to them
ONE = Decimal(1)


class Currency(NamedTuple):
    """How a currency and its hundredth are called after a number; (for one, for more)."""

    german: str
    english: tuple[str, str]
    german_part: tuple[str, str] | None
    english_part: tuple[str, str] | None
    one: str


CURRENCIES = {
    "EUR": Currency("Euro", ("euro", "euros"), ("Cent", "Cent"), ("cent", "cents"), "einen"),
    "USD": Currency("Dollar", ("dollar", "dollars"), ("Cent", "Cent"), ("cent", "cents"), "einen"),
    "GBP": Currency("Pfund", ("pound", "pounds"), ("Penny", "Pence"), ("penny", "pence"), "ein"),
    "CHF": Currency("Franken", ("Swiss franc", "Swiss francs"), ("Rappen", "Rappen"), ("centime", "centimes"), "einen"),
    "JPY": Currency("Yen", ("yen", "yen"), None, None, "einen"),
}


class Unit(NamedTuple):
    """A unit: the sentences it fits, the accusative of `one` before it, and its range."""

    name: str
    slot: str
    one: str
    least: int
    most: int


UNITS = [Unit(*row) for row in (
    ("length-kilometer", "distance", "einen", 1, 2000), ("length-meter", "distance", "einen", 100, 5000),
    ("length-meter", "height", "einen", 2, 400), ("length-centimeter", "small_length", "einen", 1, 250),
    ("mass-kilogram", "mass", "ein", 1, 500), ("mass-gram", "small_mass", "ein", 2, 999),
    ("mass-tonne", "large_mass", "eine", 1, 300), ("temperature-celsius", "temperature", "ein", -30, 45),
    ("volume-liter", "volume", "einen", 1, 500), ("volume-milliliter", "volume", "einen", 2, 999),
    ("speed-kilometer-per-hour", "speed", "einen", 5, 300), ("area-square-meter", "area", "einen", 8, 999),
    ("area-hectare", "land", "einen", 1, 900), ("area-square-kilometer", "land", "einen", 1, 500),
    ("duration-minute", "duration", "eine", 1, 300), ("duration-hour", "duration", "eine", 1, 48),
    ("duration-day", "long_duration", "einen", 1, 365), ("duration-week", "long_duration", "eine", 1, 60),
    ("concentr-percent", "percent", "ein", 1, 250),
)]  # fmt: skip


def whole(rng: random.Random, most_digits: int = MOST_DIGITS) -> int | None:
    """Draw a number from 1 with as many digits as likely as any other, some of them round; None instead of a year."""
    digits = rng.randint(1, most_digits)
    number = rng.randrange(10 ** (digits - 1), 10**digits)
    if digits > 2 and rng.random() < 0.3:
        zeros = rng.randint(1, digits - 1)
        number -= number % 10**zeros
    return None if number in YEARS else number


def before_noun(number: int) -> bool:
    """Whether the number in words can stand before a plural noun unchanged (`einhunderteins Bücher` cannot)."""
    return number > 1 and number % 100 != 1 and number // 1_000_000 % 100 != 1


def one_number(rng: random.Random, split: Split, most_digits: int = MOST_DIGITS) -> int:
    """Draw a number of the split."""
    return draw(rng, split, lambda source: whole(source, most_digits), number_key)


def number(rng: random.Random, split: Split) -> Phrase:
    """Draw a cardinal number: alone, before a noun, converted between figures and words, or two compared."""
    form = rng.choices(("plain", "convert", "parity", "count", "millions", "two"), (5, 6, 1, 4, 1, 3))[0]
    if form == "millions":
        return _millions(rng, split)
    value = one_number(rng, split)
    if form == "two":
        return _two_numbers(rng, split, value)
    return _said_number(rng, value, form)


def _said_number(rng: random.Random, value: int, form: str) -> Phrase:
    key = number_key(value)
    written = spelling.figures(value, "de"), spelling.figures(value, "en")
    spoken = spelling.words(value, "de"), spelling.words(value, "en")
    if form == "convert":
        if rng.random() < 0.5:
            return phrase("to_figures", spoken[0], written[1], key)
        return phrase("to_words", written[0], spoken[1], key)
    texts = rng.choice((written, spoken))
    if form == "count" and value > 1:
        return phrase("count", *(texts if before_noun(value) else written), key)
    slot = ("number_odd" if value % 2 else "number_even") if form == "parity" else "number"
    return phrase(slot, *texts, key)


def _two_numbers(rng: random.Random, split: Split, first: int) -> Phrase:
    second = one_number(rng, split, most_digits=min(6, max(3, len(str(first)))))
    if second == first:
        raise UnsuitableError
    pair = sorted((first, second))
    if max(pair) < 10**6 and rng.random() < 0.4:
        german, english = ([spelling.words(value, language) for value in pair] for language in ("de", "en"))
    else:
        german, english = ([spelling.figures(value, language) for value in pair] for language in ("de", "en"))
    keys = tuple(number_key(value) for value in pair)
    return Phrase("number_two", dict(zip("xy", german, strict=True)), dict(zip("xy", english, strict=True)), keys)


def _tenths_of_millions(rng: random.Random) -> Decimal:
    return Decimal(rng.randint(11, 999)) / 10


def _millions(rng: random.Random, split: Split, german: str = "", english: str = "") -> Phrase:
    """`2,5 Millionen` and `2.5 million`, with what is counted behind it."""
    value = draw(rng, split, _tenths_of_millions, lambda tenths: number_key(tenths * 1_000_000))
    texts = f"{spelling.figures(value, 'de')} Millionen{german}", f"{spelling.figures(value, 'en')} million{english}"
    return phrase("amount_millions" if german else "millions", *texts, number_key(value * 1_000_000))


def ordinal(rng: random.Random, split: Split) -> Phrase:
    """Draw an ordinal number, in figures or in words with its German ending."""
    value = one_number(rng, split, most_digits=4)
    slot = "ordinal"
    if 1 < value < 100 and rng.random() < 0.5:
        slot = "century" if 4 < value < 22 else "ordinal_below_100"
    if rng.random() < 0.5:
        stem, english = spelling.ordinal_words(value)
        german = {ending: stem + ending.removeprefix("x") for ending in ("xe", "xen", "xer", "xes")}
    else:
        written, english = spelling.ordinal_figures(value)
        german = dict.fromkeys(("xe", "xen", "xer", "xes"), written)
    return Phrase(slot, german, {"x": english}, (number_key(value),))


def amount(rng: random.Random, split: Split) -> Phrase:
    """Draw an amount in one of five currencies."""
    code = rng.choice(tuple(CURRENCIES))
    money = CURRENCIES[code]
    if rng.random() < 0.12:
        return _millions(rng, split, f" {money.german}", f" {money.english[1]}")
    with_parts = money.german_part is not None and rng.random() < 0.6

    def make(source: random.Random) -> Decimal | None:
        units = whole(source, 4 if with_parts else 7)
        return None if units is None else Decimal(units) + (Decimal(source.randint(1, 99)) / 100 if with_parts else 0)

    value = draw(rng, split, make, number_key)
    key, form = number_key(value), rng.choice(("sign", "name", "words"))
    units, parts = int(value), int(value * 100) % 100
    if form == "sign":
        return phrase("amount", *spelling.currency(value, code), key)
    if form == "words" and (units == 1 or before_noun(units)) and units < 10**6:
        return phrase("amount", *_amount_in_words(units, parts, money), key)
    places = "#,##0.00" if parts else "#,##0"
    german, english = (spelling.figures_as(value, places, language) for language in ("de", "en"))
    return phrase("amount", f"{german} {money.german}", f"{english} {money.english[value != 1]}", key)


def _amount_in_words(units: int, parts: int, money: Currency) -> tuple[str, str]:
    german = f"{money.one if units == 1 else spelling.words(units, 'de')} {money.german}"
    english = f"{spelling.words(units, 'en')} {money.english[units != 1]}"
    if parts and money.german_part and money.english_part:
        german += f" und {'einen' if parts == 1 else spelling.words(parts, 'de')} {money.german_part[parts != 1]}"
        english += f" and {spelling.words(parts, 'en')} {money.english_part[parts != 1]}"
    return german, english


def measure(rng: random.Random, split: Split) -> Phrase:
    """Draw a quantity with a unit, abbreviated or written out, in figures or in words."""
    unit = rng.choice(UNITS)
    exact = rng.random() < 0.5

    def make(source: random.Random) -> Decimal | None:
        quantity = Decimal(source.randint(unit.least * 10, unit.most * 10)) / 10
        if exact:
            quantity = quantity.to_integral_value()
        return None if int(quantity) in YEARS or (abs(quantity) < 2 and unit.slot == "temperature") else quantity

    value = draw(rng, split, make, number_key)
    if value < 1 and unit.slot != "temperature":
        raise UnsuitableError
    value = Decimal(f"{value.normalize():f}")
    form = rng.choice(("short", "long", "words"))
    german, english = spelling.with_unit(value, unit.name, long=form != "short")
    if form == "words" and (value == 1 or value != int(value) or before_noun(abs(int(value)))):
        number_de, number_en = spelling.decimal_words(value, "de"), spelling.decimal_words(value, "en")
        german = f"{unit.one if value == 1 else number_de} {german.split(' ', 1)[1]}"
        english = f"{number_en} {english.split(' ', 1)[1]}"
    return phrase(unit.slot, german, english, number_key(value))
