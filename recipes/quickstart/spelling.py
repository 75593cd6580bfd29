"""How numbers, dates, times and amounts are written in German and in English, in figures and in words.

Every function takes plain values and returns text; those that return two texts give German first.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from functools import cache

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from babel.units import format_unit
from num2words import num2words

LOCALES = {"de": "de_DE", "en": "en_GB"}
FIRST_GREGORIAN_DAY = datetime.date(1582, 10, 15)


def tidy(text: str) -> str:
    """Replace the no-break spaces that locale data put before units by plain ones."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def capitalised(text: str) -> str:
    """Raise the first letter, as at the start of a sentence."""
    return text[:1].upper() + text[1:]


def figures(number: Decimal | int, language: str) -> str:
    """Write a number with separators for thousands: 1.234,5 in German, 1,234.5 in English."""
    return figures_as(number, None, language)


def figures_as(number: Decimal | int, pattern: str | None, language: str) -> str:
    """Write a number in a pattern of the Unicode locale data, e.g. `#,##0.00`; None for the locale's own."""
    return tidy(str(format_decimal(number, pattern, locale=LOCALES[language])))


@cache
def words(number: int, language: str) -> str:
    """Say a cardinal number in words, standing alone: `einhunderteins`, `one hundred and one`."""
    if number < 0:
        return f"minus {words(-number, language)}"
    if number == 0:
        return "null" if language == "de" else "zero"
    text = str(num2words(number, lang=language))
    if language == "en":
        return text.replace(",", "")
    return text.replace("einstausend", "eintausend").replace("eins Millionen", "eine Millionen")


def decimal_words(number: Decimal, language: str) -> str:
    """Say a decimal number in words: `zwölf Komma fünf`, `twelve point five`."""
    whole, _, digits = f"{abs(number):f}".partition(".")
    text = words(int(whole), language)
    if digits:
        point = "Komma" if language == "de" else "point"
        text = " ".join([text, point, *(words(int(digit), language) for digit in digits)])
    return f"minus {text}" if number < 0 else text


@cache
def ordinal_words(number: int) -> tuple[str, str]:
    """Say an ordinal number in words; German without its ending (`dritt`), English complete (`third`)."""
    german = str(num2words(number, lang="de", to="ordinal")).replace("einstausend", "eintausend")
    return german.removesuffix("e"), str(num2words(number, lang="en", to="ordinal")).replace(",", "")


def ordinal_figures(number: int) -> tuple[str, str]:
    """Write an ordinal number in figures: `3.` and `3rd`."""
    return f"{figures(number, 'de')}.", figures(number, "en") + str(num2words(number, lang="en", to="ordinal_num"))[-2:]


@cache
def year_words(year: int) -> tuple[str, str]:
    """Say a year as it is said: `achtzehnhundertsiebenundachtzig`, `eighteen eighty-seven`."""
    english = str(num2words(year, lang="en", to="year")).replace("oh-", "oh ")
    return str(num2words(year, lang="de", to="year")), english


@cache
def month(number: int) -> tuple[str, str]:
    """Name a month, 1 to 12."""
    day = datetime.date(2000, number, 1)
    return format_date(day, "MMMM", locale="de_DE"), format_date(day, "MMMM", locale="en_GB")


def weekday(day: datetime.date) -> tuple[str, str]:
    """Name the day of the week by the Gregorian calendar.

    Raises:
        ValueError: The day lies before that calendar was introduced.
    """
    if day < FIRST_GREGORIAN_DAY:
        raise ValueError(f"weekday: expected a day from {FIRST_GREGORIAN_DAY} on, got {day}")
    return format_date(day, "EEEE", locale="de_DE"), format_date(day, "EEEE", locale="en_GB")


def english_time(hour: int, minute: int, *, short: bool) -> str:
    """Write a time of day with am or pm: `2:35 pm`; `short` leaves `:00` out."""
    pattern = "h a" if short and minute == 0 else "h:mm a"
    return tidy(format_time(datetime.time(hour, minute), pattern, locale="en_GB"))


def spoken_time(hour: int, minute: int) -> tuple[str, str]:
    """Say a time of day as read from a digital clock: `vierzehn Uhr fünf`, `two oh five pm`."""
    german = ["ein" if hour == 1 else words(hour, "de"), "Uhr"]
    english = [words((hour + 11) % 12 + 1, "en")]
    if minute:
        german.append(words(minute, "de"))
        english += (["oh"] if minute < 10 else []) + [words(minute, "en")]
    return " ".join(german), " ".join([*english, "am" if hour < 12 else "pm"])


def clock_time(hour: int, minute: int) -> tuple[str, str]:
    """Say a time as read from a clock with hands: `halb acht`, `half past seven`.

    Args:
        hour: 1 to 12.
        minute: 0 to 59.
    """
    following = hour % 12 + 1
    this, after = (words(hour, "de"), words(hour, "en")), (words(following, "de"), words(following, "en"))
    if minute == 0:
        return ("ein" if hour == 1 else this[0]) + " Uhr", f"{this[1]} o'clock"
    special = {
        15: (f"Viertel nach {this[0]}", f"a quarter past {this[1]}"),
        25: (f"fünf vor halb {after[0]}", f"twenty-five past {this[1]}"),
        30: (f"halb {after[0]}", f"half past {this[1]}"),
        35: (f"fünf nach halb {after[0]}", f"twenty-five to {after[1]}"),
        45: (f"Viertel vor {after[0]}", f"a quarter to {after[1]}"),
    }
    if minute in special:
        return special[minute]
    distance = min(minute, 60 - minute)
    german, english = words(distance, "de"), words(distance, "en")
    if distance == 1:
        german, english = "eine Minute", "one minute"
    elif distance % 5:
        german, english = f"{german} Minuten", f"{english} minutes"
    if minute < 30:
        return f"{german} nach {this[0]}", f"{english} past {this[1]}"
    return f"{german} vor {after[0]}", f"{english} to {after[1]}"


def currency(amount: Decimal, code: str) -> tuple[str, str]:
    """Write an amount with the currency's sign: `1.234,50 €`, `€1,234.50`; whole amounts without decimals."""
    whole = amount == amount.to_integral_value()

    def written(locale: str, pattern: str) -> str:
        text = format_currency(amount, code, pattern if whole else None, locale=locale, currency_digits=not whole)
        return tidy(text)

    return written("de_DE", "#,##0\u00a0¤"), written("en_US", "¤#,##0").replace("CHF", "CHF ").replace("  ", " ")


def with_unit(number: Decimal, unit: str, *, long: bool) -> tuple[str, str]:
    """Write a measured quantity in figures: `2,5 km` or `2,5 Kilometer`.

    Args:
        number: The quantity.
        unit: Its name in the Unicode locale data, e.g. `length-kilometer`.
        long: Whether the unit is written out.
    """
    length = "long" if long else "short"
    german = format_unit(number, unit, length=length, locale="de_DE")  # type: ignore[arg-type]
    english = format_unit(number, unit, length=length, locale="en_GB")  # type: ignore[arg-type]
    return tidy(german), tidy(english)
