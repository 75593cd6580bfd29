"""Cutting lines that are too long."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.decoding.splitting import Piece, portions, sentences_of, split_line


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("One two. Three four.", 4, ["One two. Three four."]),
        ("One two. Three four. Five.", 4, ["One two.", "Three four.", "Five."]),
        ("He said: “Go!” Then he went away.", 4, ["He said: “Go!”", "Then he went away."]),
        ("one two; three four, five six", 4, ["one two;", "three four, five six"]),
        ("one two three four five six, seven", 3, ["one two three", "four five six,", "seven"]),
        ("", 3, [""]),
    ],
)
def test_by_words(text, limit, expected):
    assert [piece.text for piece in split_line(text, limit, words)] == expected


def test_scripts_without_spaces():
    pieces = split_line("今日は。明日は？昨日", 4, characters)
    assert [(piece.text, piece.separator) for piece in pieces] == [("今日は。", ""), ("明日は？", ""), ("昨日", "")]


@given(st.text(alphabet="ab .,;!?。\t", max_size=60), st.integers(1, 10))
def test_nothing_is_lost_and_nothing_is_too_long(text, limit):
    pieces = split_line(text, limit, characters)
    joined = "".join(piece.text + piece.separator for piece in pieces)
    assert "".join(joined.split()) == "".join(text.split())
    assert all(len(piece.text) <= limit for piece in pieces)


@given(st.text(max_size=80), st.integers(1, 10))
@example("000 0", 4)  # the words fit together, but not with the space between them
@example("a" * 9 + " " * 30 + "b", 4)
def test_any_text_is_cut_without_loss(text, limit):
    pieces = split_line(text, limit, characters)
    assert "".join("".join(piece.text + piece.separator for piece in pieces).split()) == "".join(text.split())
    rest = text
    for piece in pieces:  # in order, and with spaces only where there were some
        assert piece.text == piece.text.strip()
        start = rest.index(piece.text)
        assert not rest[:start].strip()
        rest = rest[start + len(piece.text) :]
        assert not piece.separator or not rest or rest[0].isspace()
    assert not rest.strip()
    assert all(len(piece.text) <= limit for piece in pieces)


def test_no_mark_is_parted_from_its_letter():
    pieces = split_line("e\u0301" * 20, 7, characters)
    assert len(pieces) > 5
    assert not any(piece.text.startswith("\u0301") for piece in pieces)
    family = "👩\u200d👩\u200d👧"
    assert {piece.text for piece in split_line(family * 4, 6, characters)} == {family}


def test_a_character_that_is_longer_than_the_limit_stays_whole():
    pieces = split_line("ab", 3, lambda texts: [4 * len(text) for text in texts])
    assert [piece.text for piece in pieces] == ["a", "b"]


def test_text_is_measured_a_few_times_only():
    measured = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal measured
        measured += sum(map(len, texts))
        return characters(texts)

    for text in ("word " * 20_000, "a" * 100_000, "One, two; three four. " * 5_000, "ab,cd;ef " * 10_000):
        measured = 0
        assert len(split_line(text, 50, count)) >= len(text) / 60
        assert measured < 12 * len(text)


@given(st.text(alphabet="ab \u0301\t。", max_size=200), st.integers(4, 20))
def test_portions_lose_nothing_and_are_small(text, size):
    parts = portions(text, size)
    assert all(len(part.text) <= size and part.text == part.text.strip() for part in parts)
    assert "".join("".join(part.text + part.separator for part in parts).split()) == "".join(text.split())


def test_portions_end_between_words():
    assert [part.text for part in portions("one two three four", 11)] == ["one two", "three four"]
    assert [len(part.text + part.separator) for part in portions("a" * 25, 10)] == [10, 10, 5]
    assert portions("", 10) == [Piece("", "")]


def test_sentences_keep_the_space_behind_them():
    found = sentences_of(Piece("One two.  Three.\u3000四。五。 Six", " "))
    assert [(each.text, each.separator, each.ends) for each in found] == [
        ("One two.", "  ", True),
        ("Three.", "\u3000", True),
        ("四。", "", True),
        ("五。", " ", True),
        ("Six", " ", False),
    ]
