"""The quick start's corpus: right by the calendar and by grammar, and no held-out value in training."""

import datetime
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "quickstart"
sys.path.insert(0, str(RECIPE))

import frames  # noqa: E402
import make_corpus  # noqa: E402
import quantities  # noqa: E402
import spelling  # noqa: E402
import values  # noqa: E402

from nmt.config_file import load_config  # noqa: E402

SIZES = {"train": 6000, "valid": 1000, "test": 1000}
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    return {split: make_corpus.make_split(split, size, seed=3) for split, size in SIZES.items()}


def test_held_out_values_never_occur_in_training(corpus):
    keys = {split: {key for pair in pairs for key in pair.keys} for split, pairs in corpus.items()}
    assert all(pair.keys for pairs in corpus.values() for pair in pairs)
    assert not keys["train"] & (keys["valid"] | keys["test"])
    assert not keys["valid"] & keys["test"]
    assert all(values.split_of(key) == split for split, names in keys.items() for key in names)


def test_held_out_numbers_never_occur_in_the_training_text(corpus):
    grouped = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!\d|[.,]\d)")

    def large_numbers(pairs):
        return {number for pair in pairs for number in grouped.findall(pair.english)}

    assert large_numbers(corpus["test"])
    assert not large_numbers(corpus["test"]) & large_numbers(corpus["train"])


def test_what_values_are_made_of_is_trained(corpus):
    atoms = {f"number {number}" for number in range(100)}
    atoms |= {f"clock {hour}:{minute:02}" for hour in range(1, 13) for minute in (0, 15, 30, 45)}
    assert {values.split_of(key) for key in atoms} == {"train"}
    assert not atoms & {key for pair in corpus["test"] for key in pair.keys if key.startswith("clock")}
    assert {values.split_of(f"clock {hour}:{minute:02}") for hour in range(1, 13) for minute in range(60)} == {
        *values.SPLITS
    }


def test_every_line_is_distinct_and_has_one_translation(corpus):
    for split, pairs in corpus.items():
        assert len(pairs) == SIZES[split]
        assert len({pair.german for pair in pairs}) == len(pairs)
    assert {pair.kind for pair in corpus["test"]} == set(make_corpus.KINDS)


def test_the_same_seed_gives_the_same_lines():
    first, again, other = (make_corpus.make_split("valid", 200, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_weekdays_are_right(corpus):
    dates = re.compile(r"(\w+day), (\d+) (\w+) (\d{4})")
    found = [match for pair in corpus["train"] for match in dates.findall(pair.english)]
    assert len(found) > 100
    for weekday, day, month, year in found:
        assert weekday == datetime.date(int(year), MONTHS.index(month) + 1, int(day)).strftime("%A")


def test_there_are_frames_enough_and_each_is_well_formed():
    pairs = [frame for family in frames.FRAMES.values() for frame in family]
    assert len(set(pairs)) >= 40
    for german, english in pairs:
        names = [{name[0].lower() for name in re.findall(r"{(\w+)}", text)} for text in (german, english)]
        assert names[0] == names[1]
        assert names[0]


def test_no_line_has_stray_blanks_or_braces(corpus):
    for pairs in corpus.values():
        for pair in pairs:
            for text in (pair.german, pair.english):
                assert not re.search(r"  |[{}\u00a0\u202f]|^\s|\s$", text), text


@pytest.mark.parametrize(
    ("number", "german", "english"),
    [
        (0, "null", "zero"),
        (1, "eins", "one"),
        (-5, "minus fünf", "minus five"),
        (101, "einhunderteins", "one hundred and one"),
        (101_000, "einhunderteintausend", "one hundred and one thousand"),
        (1_000_000, "eine Million", "one million"),
        (101_000_000, "einhunderteine Millionen", "one hundred and one million"),
        (312_000_016, "dreihundertzwölf Millionen sechzehn", "three hundred and twelve million and sixteen"),
        (1_100, "eintausendeinhundert", "one thousand one hundred"),
    ],
)
def test_number_words(number, german, english):
    assert spelling.words(number, "de") == german
    assert spelling.words(number, "en") == english


@pytest.mark.parametrize(
    ("number", "words", "figures"),
    [
        (1, ("erst", "first"), ("1.", "1st")),
        (3, ("dritt", "third"), ("3.", "3rd")),
        (7, ("siebt", "seventh"), ("7.", "7th")),
        (12, ("zwölft", "twelfth"), ("12.", "12th")),
        (101, ("einhunderterst", "one hundred and first"), ("101.", "101st")),
        (1112, ("eintausendeinhundertzwölft", "one thousand one hundred and twelfth"), ("1.112.", "1,112th")),
    ],
)
def test_ordinals(number, words, figures):
    assert spelling.ordinal_words(number) == words
    assert spelling.ordinal_figures(number) == figures


@pytest.mark.parametrize(
    ("year", "german", "english"),
    [
        (1887, "achtzehnhundertsiebenundachtzig", "eighteen eighty-seven"),
        (1905, "neunzehnhundertfünf", "nineteen oh five"),
        (2000, "zweitausend", "two thousand"),
        (2024, "zweitausendvierundzwanzig", "twenty twenty-four"),
    ],
)
def test_years(year, german, english):
    assert spelling.year_words(year) == (german, english)


@pytest.mark.parametrize(
    ("hour", "minute", "german", "english"),
    [
        (1, 0, "ein Uhr", "one o'clock"),
        (7, 30, "halb acht", "half past seven"),
        (12, 30, "halb eins", "half past twelve"),
        (3, 15, "Viertel nach drei", "a quarter past three"),
        (12, 45, "Viertel vor eins", "a quarter to one"),
        (8, 25, "fünf vor halb neun", "twenty-five past eight"),
        (8, 35, "fünf nach halb neun", "twenty-five to nine"),
        (8, 50, "zehn vor neun", "ten to nine"),
        (4, 1, "eine Minute nach vier", "one minute past four"),
    ],
)
def test_clock_times(hour, minute, german, english):
    assert spelling.clock_time(hour, minute) == (german, english)


def test_spoken_and_written_times():
    assert spelling.spoken_time(14, 5) == ("vierzehn Uhr fünf", "two oh five pm")
    assert spelling.spoken_time(0, 30) == ("null Uhr dreißig", "twelve thirty am")
    assert spelling.english_time(14, 35, short=True) == "2:35 pm"
    assert spelling.english_time(14, 0, short=True) == "2 pm"


def test_amounts_and_units():
    assert spelling.currency(Decimal("1234.5"), "EUR") == ("1.234,50 €", "€1,234.50")
    assert spelling.currency(Decimal(1234), "CHF") == ("1.234 CHF", "CHF 1,234")
    assert spelling.with_unit(Decimal("2.5"), "mass-tonne", long=True) == ("2,5 Tonnen", "2.5 tonnes")
    assert spelling.with_unit(Decimal(1), "length-kilometer", long=True) == ("1 Kilometer", "1 kilometre")
    assert spelling.with_unit(Decimal(-3), "temperature-celsius", long=False) == ("-3 °C", "-3°C")


def test_weekdays_begin_with_the_gregorian_calendar():
    assert spelling.weekday(datetime.date(1582, 10, 15)) == ("Freitag", "Friday")
    with pytest.raises(ValueError, match="expected a day from 1582-10-15 on"):
        spelling.weekday(datetime.date(1582, 10, 4))


@pytest.mark.parametrize(
    ("number", "fits"), [(1, False), (2, True), (101, False), (1_000_000, False), (2_000_000, True)]
)
def test_what_can_stand_before_a_noun(number, fits):
    assert quantities.before_noun(number) is fits


def test_the_script_writes_aligned_files(tmp_path):
    command = [sys.executable, str(RECIPE / "make_corpus.py"), str(tmp_path), "--train", "500"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(f"{split}.{end}" for split in values.SPLITS for end in ("de", "en", "kind"))
    for split, size in {"train": 500, "valid": 1000, "test": 1000}.items():
        for end in ("de", "en", "kind"):
            assert len((tmp_path / f"{split}.{end}").read_text(encoding="utf-8").splitlines()) == size


def test_another_seed_has_a_folder_of_its_own(tmp_path):
    programs, project = tmp_path / "programs", tmp_path / "project"
    programs.mkdir()
    shutil.copytree(RECIPE.parent, project / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    record = f'printf \'%s\\t\' "${{0##*/}}" "$@" >>{tmp_path}/calls; echo >>{tmp_path}/calls'
    stand_in = f'#!/bin/sh\n{record}\n[ "$1" != translate ] || cat\n'
    for name in ("nmt", "python"):
        (programs / name).write_text(stand_in)
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "NMT_INSTALL": "no"}
    script = ["bash", project / "recipes" / "quickstart" / "run.sh"]

    def calls(*arguments):
        (tmp_path / "calls").write_text("")
        done = subprocess.run([*script, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [line.split("\t")[:-1] for line in (tmp_path / "calls").read_text().splitlines()]

    made, trained = calls()[:2]
    assert made == ["python", "recipes/quickstart/make_corpus.py", "--seed", "1", "run/quickstart/data"]
    assert trained == ["nmt", "train", "recipes/quickstart/config.toml"]
    made, trained = calls("7")[:2]
    assert made[2:] == ["--seed", "7", "run/quickstart-7/data"]
    first = load_config(RECIPE / "config.toml", [])
    config = load_config(RECIPE / "config.toml", [each for each in trained[3:] if each != "--set"])
    assert config.training.seed == 7 != first.training.seed
    texts = first.model_dump_json(), config.model_dump_json()
    assert texts[1] == texts[0].replace("quickstart/", "quickstart-7/").replace('"seed":1,', '"seed":7,')
    for wrong in (["seven"], ["1", "2"]):
        assert subprocess.run([*script, *wrong], env=environment, capture_output=True, check=False).returncode == 1
