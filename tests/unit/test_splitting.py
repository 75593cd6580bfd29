"""Cutting lines that are too long."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.splitting import split_line


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
    assert [(piece.text, piece.joint) for piece in pieces] == [("今日は。", ""), ("明日は？", ""), ("昨日", "")]


@given(st.text(alphabet="ab .,;!?。\t", max_size=60), st.integers(1, 10))
def test_nothing_is_lost_and_nothing_is_too_long(text, limit):
    pieces = split_line(text, limit, characters)
    joined = "".join(piece.text + piece.joint for piece in pieces)
    assert "".join(joined.split()) == "".join(text.split())
    assert all(len(piece.text) <= limit for piece in pieces)
