"""Whether the sides of a corpus belong together: what is found, where, and that nothing is where nothing is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config_file import load_config
from nmt.data.preparation.encoding import survey
from nmt.data.preparation.prepare import prepare
from nmt.data.sides import BLOCK, MOST_BLOCKS, Misalignment, SidesCheck

Pair = tuple[str, str]


def translated(count: int, seed: int = 1, full: bool = True) -> list[Pair]:
    """Random sentences and what might be translations: other words, not quite as long, in another order.

    Args:
        count: Pairs.
        seed: Of the sentences.
        full: Whether they hold numbers and end in stops and question marks; without, only lengths are left.
    """
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        words = rng.randint(2, 25)
        source = [rng.choice("abcdefgh") * rng.randint(1, 9) for _ in range(words)]
        target = [rng.choice("uvwxyz") * rng.randint(1, 9) for _ in range(max(1, words + rng.randint(-3, 3)))]
        if full and rng.random() < 0.1:
            number = str(rng.randint(1, 2000))
            source.append(number)
            target.insert(0, number)
        end = rng.choice("...?!") if full else ""
        pairs.append((" ".join(source) + end, " ".join(target) + end))
    return pairs


def shifted(pairs: list[Pair], lines: int, after: int = 0) -> list[Pair]:
    """Lose so many source lines (or target lines, if negative) after the first ones."""
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    del (sources if lines > 0 else targets)[after : after + abs(lines)]
    return list(zip(sources, targets, strict=False))


def unrelated(pairs: list[Pair], after: int = 0) -> list[Pair]:
    targets = [target for _, target in pairs[after:]]
    random.Random(2).shuffle(targets)
    return pairs[:after] + list(zip((source for source, _ in pairs[after:]), targets, strict=True))


def found(pairs: list[Pair]) -> Misalignment | None:
    check = SidesCheck()
    assert sum(1 for _ in check.watch(pairs)) == len(pairs)
    return check.misalignment(lambda: pairs)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("count", [0, 1, 99, 150, 1_500])
def test_sides_that_belong_together(count: int, full: bool) -> None:
    for seed in range(2):
        pairs = translated(count, seed, full)
        assert found(pairs) is None
        assert found(sorted(pairs, key=lambda pair: len(pair[0]))) is None


@pytest.mark.parametrize(
    "pairs",
    [
        [("same length", "all along")] * 2_000,
        [("", "")] * 500,
        [(source, source) for source, _ in translated(1_000)],
        [(source, " ".join(reversed(source.split()))) for source, _ in translated(1_000)],
    ],
    ids=["one pair", "empty", "copies", "reversed"],
)
def test_nothing_is_said_of_lines_that_cannot_tell_and_of_copies(pairs: list[Pair]) -> None:
    assert found(pairs) is None


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("lines", [1, -1, 17])
@pytest.mark.parametrize("after", [0, 400, 1_600])
def test_a_shift_and_where_it_begins(lines: int, after: int, full: bool) -> None:
    pairs = shifted(translated(2_000, full=full), lines, after)
    misaligned = found(pairs)
    assert misaligned is not None
    assert misaligned.shift == lines
    assert abs(misaligned.first - 1 - after) <= 20
    assert misaligned.last == misaligned.lines == len(pairs)


@pytest.mark.parametrize("after", [0, 1_000])
def test_unrelated_sides(after: int) -> None:
    misaligned = found(unrelated(translated(3_000), after))
    assert misaligned is not None
    assert misaligned.shift is None
    assert abs(misaligned.first - 1 - after) <= 60
    assert misaligned.last == 3_000


def test_a_part_in_the_middle() -> None:
    pairs = translated(4_000)
    misaligned = found(pairs[:1_000] + unrelated(pairs[1_000:2_000]) + pairs[2_000:])
    assert misaligned is not None
    assert abs(misaligned.first - 1_001) <= 60
    assert abs(misaligned.last - 2_000) <= 60
    assert str(misaligned).startswith(f"from about line {misaligned.first:,} to {misaligned.last:,} the two sides")


def test_a_small_part_is_none_of_our_business() -> None:
    pairs = translated(4_000)
    assert found(pairs[:1_000] + unrelated(pairs[1_000:1_100]) + pairs[1_100:]) is None


def test_of_a_long_text_a_sample_is_kept_and_the_place_is_found_by_reading_again() -> None:
    count, after = 5 * BLOCK * MOST_BLOCKS, 3 * BLOCK * MOST_BLOCKS
    pairs = translated(2_000) * (count // 2_000 + 1)
    pairs = shifted(pairs[:count], -1, after)
    check = SidesCheck()
    for _ in check.watch(pairs):
        assert sum(map(len, check._blocks)) <= BLOCK * MOST_BLOCKS
    misaligned = check.misalignment(lambda: pairs)
    assert misaligned is not None
    assert (misaligned.shift, misaligned.last) == (-1, len(pairs))
    assert abs(misaligned.first - after) <= misaligned.margin + 20 <= BLOCK + 20


@pytest.mark.parametrize(
    ("misaligned", "text"),
    [
        (Misalignment(1, 500, 500, 0, None), "the two sides do not look like translations of each other"),
        (
            Misalignment(1, 500, 500, 0, 1),
            "the target comes 1 line too late: its line 66 looks like the translation of line 65",
        ),
        (
            Misalignment(1001, 5000, 5000, 0, -2),
            "from about line 1,001 on the target comes 2 lines too early: its line 1,063 looks like the translation of "
            "line 1,065",
        ),
        (
            Misalignment(1001, 2000, 5000, 256, None),
            "from about line 1,001 to 2,000 (give or take 256 lines) the two sides do not look like translations of "
            "each other",
        ),
    ],
)
def test_in_words(misaligned: Misalignment, text: str) -> None:
    assert str(misaligned) == text


def test_the_line_that_is_named_is_the_translation() -> None:
    whole = translated(2_000)
    pairs = shifted(whole, -2, 700)
    misaligned = found(pairs)
    assert misaligned is not None
    numbers = [int(word.replace(",", "")) for word in str(misaligned).split() if word[0].isdigit()]
    other, line = numbers[-2:]
    assert (pairs[line - 1][0], pairs[other - 1][1]) in whole


# Where it is said


def write(path: Path, pairs: list[Pair]) -> list[str]:
    names = [f"{path}.{side}" for side in ("de", "en")]
    for name, side in zip(names, zip(*pairs, strict=True), strict=True):
        Path(name).write_text("".join(f"{line}\n" for line in side))
    return names


@pytest.mark.parametrize(
    ("place", "damage"),
    [
        ("train", list),
        ("train", unrelated),
        ("valid", lambda pairs: shifted(pairs, -1, 300)),
        ("test", lambda pairs: shifted(pairs, 1)),
    ],
)
def test_preparing_says_so_of_every_text(
    damage: Callable[[list[Pair]], list[Pair]], place: str, tmp_path: Path
) -> None:
    names = {
        name: write(tmp_path / name, translated(1_200, seed)) for seed, name in enumerate(("train", "valid", "test"))
    }
    write(tmp_path / place, damage(translated(1_200, 7)))
    settings = [f"folder={tmp_path / 'run'}", f"data.train={names['train']}", f"data.valid={names['valid']}"]
    settings += [f"data.test.a={names['test']}", "data.vocabulary_size=60"]
    said: list[str] = []
    prepare(load_config(None, settings), said.append)
    warnings = [line for line in said if line.startswith("warning: ")]
    report = (tmp_path / "run" / "data" / "report.txt").read_text()
    if damage is list:
        assert warnings == []
        assert "belong together" not in report
    else:
        [warning] = warnings
        assert warning.startswith(f"warning: {names[place][0]} and {names[place][1]}: ")
        assert f"sides that do not belong together\n  {warning.removeprefix('warning: ')}\n" in report


def test_each_corpus_is_looked_at_by_itself(tmp_path: Path) -> None:
    corpora = [
        (tuple(map(Path, write(tmp_path / name, translated(600, seed)))), ("", "")) for seed, name in enumerate("abc")
    ]
    write(tmp_path / "b", shifted(translated(600, 1), 1))
    [text] = survey(corpora, {}).misaligned
    assert text.startswith(f"{tmp_path / 'b.de'} and {tmp_path / 'b.en'}: the target comes 1 line too late")
