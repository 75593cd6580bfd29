"""Years, dates and times of day, drawn at random and said in both languages."""

from __future__ import annotations

import calendar
import datetime
import random

import spelling
from values import Phrase, Split, UnsuitableError, draw, phrase

FIRST_YEAR, LAST_YEAR = 1500, 2100
LAST_PAST_YEAR = 2024
SEASONS = (
    ("Frühjahr", "spring"),
    ("Frühling", "spring"),
    ("Sommer", "summer"),
    ("Herbst", "autumn"),
    ("Winter", "winter"),
)
YEAR_PREPOSITIONS = (
    ("im Jahr ", "in "),
    ("im Jahre ", "in "),
    ("", "in "),
    ("um ", "around "),
    ("vor ", "before "),
    ("nach ", "after "),
)
PARTS_OF_DAY = (
    (range(5, 11), "morgens", "in the morning"),
    (range(13, 18), "nachmittags", "in the afternoon"),
    (range(18, 22), "abends", "in the evening"),
)


def _tense(year: int) -> str:
    return "past" if year <= LAST_PAST_YEAR else "future"


def _any_year(rng: random.Random) -> int:
    return rng.randint(FIRST_YEAR, LAST_YEAR)


def year(rng: random.Random, split: Split) -> Phrase:
    """Draw a year, a season or month of one, or a decade."""
    return rng.choice((_year, _year, _season, _month_of_year, _month_of_year, _decade))(rng, split)


def _said_year(rng: random.Random, split: Split) -> tuple[int, str, str]:
    """Draw a year of the split, and how it is said: in figures, mostly."""
    value = draw(rng, split, _any_year, lambda drawn: f"year {drawn}")
    german, english = spelling.year_words(value) if rng.random() < 0.35 else (str(value), str(value))
    return value, german, english


def _year(rng: random.Random, split: Split) -> Phrase:
    value, german, english = _said_year(rng, split)
    key, tense = f"year {value}", _tense(value)
    if rng.random() < 0.5:
        return phrase(f"year_{tense}", german, english, key)
    before = rng.choice(YEAR_PREPOSITIONS)
    return phrase(f"when_{tense}", before[0] + german, before[1] + english, key)


def _season(rng: random.Random, split: Split) -> Phrase:
    value, german, english = _said_year(rng, split)
    season = rng.choice(SEASONS)
    texts = f"im {season[0]} {german}", f"in the {season[1]} of {english}"
    return phrase(f"when_{_tense(value)}", *texts, f"year {value}")


def _decade(rng: random.Random, split: Split) -> Phrase:
    value = draw(rng, split, lambda source: _any_year(source) // 10 * 10, lambda drawn: f"decade {drawn}")
    if value == LAST_YEAR:
        raise UnsuitableError
    return phrase(f"when_{_tense(value + 9)}", f"in den {value}er Jahren", f"in the {value}s", f"decade {value}")


def _month_of_year(rng: random.Random, split: Split) -> Phrase:
    value, number = draw(
        rng, split, lambda source: (_any_year(source), source.randint(1, 12)), lambda pair: f"month {pair[0]}-{pair[1]}"
    )
    german, english = spelling.month(number)
    before = rng.choice((("im", "in"), ("im", "in"), ("Anfang", "in early"), ("Mitte", "in mid-"), ("Ende", "in late")))
    gap = "" if before[1].endswith("-") else " "
    texts = f"{before[0]} {german} {value}", f"{before[1]}{gap}{english} {value}"
    return phrase(f"when_{_tense(value)}", *texts, f"month {value}-{number}")


def _date_key(day: datetime.date) -> str:
    return f"date {day.isoformat()}"


def _any_date(rng: random.Random) -> datetime.date | None:
    """Draw a day; none of the ten that the change of calendars left out in October 1582."""
    value, number = _any_year(rng), rng.randint(1, 12)
    day = datetime.date(value, number, rng.randint(1, calendar.monthrange(value, number)[1]))
    return None if datetime.date(1582, 10, 5) <= day < spelling.FIRST_GREGORIAN_DAY else day


def date(rng: random.Random, split: Split) -> Phrase:
    """Draw a day in any of the forms that letters, registers and histories use."""
    if rng.random() < 0.06:
        return _day_of_year(rng, split)
    day = draw(rng, split, _any_date, _date_key)
    form = rng.choices(("when", "dative", "nominative", "heading", "range"), (8, 4, 3, 1, 2))[0]
    if form == "range":
        return _range(rng, split, day)
    german, english = _in_case(rng, day, form)
    tense = "" if form == "heading" else f"_{_tense(day.year)}"
    return phrase(f"{'' if form == 'when' else 'date_'}{form}{tense}", german, english, _date_key(day))


def _in_case(rng: random.Random, day: datetime.date, form: str) -> tuple[str, str]:
    """Say a day with the article and ending that its place in the sentence asks for."""
    if form != "dative" and day >= spelling.FIRST_GREGORIAN_DAY and rng.random() < 0.4:
        weekday, names = spelling.weekday(day), spelling.month(day.month)
        german = {"when": f"am {weekday[0]}, {rng.choice(('dem', 'den'))} ", "nominative": f"{weekday[0]}, der "}
        english = f"{'on ' if form == 'when' else ''}{weekday[1]}, {day.day} {names[1]} {day.year}"
        return german.get(form, f"{weekday[0]}, ") + f"{day.day}. {names[0]} {day.year}", english
    bare = _bare(rng, day, ordinal_ending={"heading": "", "nominative": "e"}.get(form, "en"))
    german_article = {"when": "am ", "nominative": "der "}.get(form, "")
    return german_article + bare[0], ("on " if form == "when" else "") + bare[1]


def _bare(rng: random.Random, day: datetime.date, ordinal_ending: str = "") -> tuple[str, str]:
    """Write the day without an article: `3. Mai 1887`, `03.05.1887`; with an ending also `dritten Mai 1887`."""
    names = spelling.month(day.month)
    english = f"{day.day} {names[1]} {day.year}"
    form = rng.choices(("named", "padded", "figures", "words", "all words"), (4, 3, 1, 2, 1))[0]
    if form == "padded":
        return f"{day:%d.%m.}{day.year}", english
    if form == "figures":
        return f"{day.day}.{day.month}.{day.year}", english
    if form == "named" or not ordinal_ending:
        return f"{day.day}. {names[0]} {day.year}", english
    stem, ordinal = spelling.ordinal_words(day.day)
    years = spelling.year_words(day.year) if form == "all words" else (str(day.year), str(day.year))
    return f"{stem}{ordinal_ending} {names[0]} {years[0]}", f"the {ordinal} of {names[1]} {years[1]}"


def _range(rng: random.Random, split: Split, first: datetime.date) -> Phrase:
    """Two days of one month, both of the split."""
    last_day = calendar.monthrange(first.year, first.month)[1]
    if first.day == last_day or (first.year, first.month) == (1582, 10):
        raise UnsuitableError
    last = draw(rng, split, lambda source: first.replace(day=source.randint(first.day + 1, last_day)), _date_key, 40)
    names = spelling.month(first.month)
    german = f"vom {first.day}. bis zum {last.day}. {names[0]} {first.year}"
    english = f"from {first.day} to {last.day} {names[1]} {first.year}"
    return phrase(f"range_{_tense(first.year)}", german, english, _date_key(first), _date_key(last))


def _day_of_year(rng: random.Random, split: Split) -> Phrase:
    """Draw a day of every year, such as a birthday."""
    day = draw(
        rng,
        split,
        lambda source: datetime.date(2000, 1, 1) + datetime.timedelta(source.randrange(366)),
        lambda value: f"day {value:%m-%d}",
    )
    names, key = spelling.month(day.month), f"day {day:%m-%d}"
    if rng.random() < 0.5:
        return phrase("day_of_year", f"am {day.day}. {names[0]}", f"on {day.day} {names[1]}", key)
    stem, english = spelling.ordinal_words(day.day)
    return phrase("day_of_year", f"am {stem}en {names[0]}", f"on the {english} of {names[1]}", key)


def _any_time(rng: random.Random) -> tuple[int, int]:
    return rng.randrange(24), 0 if rng.random() < 0.1 else rng.randrange(60)


def _time_key(time: tuple[int, int]) -> str:
    return f"time {time[0]}:{time[1]:02}"


def time(rng: random.Random, split: Split) -> Phrase:
    """Draw a time of day: by a digital clock, in words, by a clock with hands, or from one to another."""
    form = rng.choice(("digital", "spoken", "clock", "clock", "range"))
    if form == "clock":
        return _clock(rng, split)
    value = draw(rng, split, _any_time, _time_key)
    hour, minute = value
    if form == "range":
        return _time_range(rng, split, value)
    if form == "spoken" and (minute or hour > 12):
        german, english = spelling.spoken_time(hour, minute)
    elif minute or rng.random() < 0.5:
        separator = rng.choice(":.") if minute else ":"
        german, english = f"{hour}{separator}{minute:02} Uhr", spelling.english_time(hour, minute, short=False)
    else:
        german, english = f"{hour} Uhr", spelling.english_time(hour, minute, short=True)
    if rng.random() < 0.2:
        return phrase("time_is", german, english, _time_key(value))
    before = rng.choice((("um", "at"), ("um", "at"), ("gegen", "at about"), ("kurz nach", "shortly after")))
    return phrase("time_when", f"{before[0]} {german}", f"{before[1]} {english}", _time_key(value))


def _clock(rng: random.Random, split: Split) -> Phrase:
    """`halb acht` and its kin; with a part of the day, sometimes."""

    def make(source: random.Random) -> tuple[int, int]:
        minute = source.choice((0, 15, 30, 45, 5 * source.randrange(12), source.randint(1, 20), source.randint(40, 59)))
        return source.randint(1, 12), minute

    value = draw(rng, split, make, lambda pair: f"clock {pair[0]}:{pair[1]:02}")
    hour, minute = value
    german, english = spelling.clock_time(hour, minute)
    if minute == 45 and rng.random() < 0.3:
        german = f"drei viertel {spelling.words(hour % 12 + 1, 'de')}"
    key = f"clock {hour}:{minute:02}"
    if rng.random() < 0.2:
        return phrase("time_is", german, english, key)
    parts = [part for part in PARTS_OF_DAY if hour in part[0] or hour + 12 in part[0]]
    if parts and rng.random() < 0.3:
        part = rng.choice(parts)
        german, english = f"{german} {part[1]}", f"{english} {part[2]}"
    before = ("um", "at")
    if minute % 5 == 0 and rng.random() < 0.3:
        before = ("gegen", "at about")
    elif minute % 15 == 0 and rng.random() < 0.3:
        before = rng.choice((("kurz nach", "shortly after"), ("kurz vor", "shortly before")))
    return phrase("time_when", f"{before[0]} {german}", f"{before[1]} {english}", key)


def _time_range(rng: random.Random, split: Split, first: tuple[int, int]) -> Phrase:
    last = draw(rng, split, _any_time, _time_key)
    if last <= first:
        raise UnsuitableError
    german = [f"{hour}:{minute:02}" if minute else str(hour) for hour, minute in (first, last)]
    english = [spelling.english_time(*value, short=True) for value in (first, last)]
    texts = f"von {german[0]} bis {german[1]} Uhr", f"from {english[0]} to {english[1]}"
    return phrase("time_range", *texts, _time_key(first), _time_key(last))
