"""What nobody sees does not reach a model."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.characters import plain_text
from nmt.data.subwords import UNK, Subwords, train_subwords

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
SHOWN_FORMATS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


def test_all_white_space_is_a_space() -> None:
    assert {plain_text(f"3{character}m") for character in EVERY if character.isspace()} == {"3 m"}


def test_control_and_format_characters_go_but_for_those_that_show_something() -> None:
    hidden = [each for each in EVERY if unicodedata.category(each) in ("Cc", "Cf") and not each.isspace()]
    assert {character for character in hidden if plain_text(f"3{character}m") != "3m"} == SHOWN_FORMATS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain  text", "plain  text"),
        ("a \u200b b", "a  b"),
        ("a\u200b\u3000\u2060b", "a b"),
        ("Wort\u00adtrennung", "Worttrennung"),
        ("\ufeff\u202aab\u202c\0", "ab"),
        ("9\u200d.\u200c154", "9.154"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian: the non-joiner is part of the spelling
        ("می\u200c خواهم\u200c", "می خواهم"),  # where it joins nothing
        ("क्\u200dष", "क्\u200dष"),
        ("a\u200dक", "aक"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("👩🏽\u200d🚀❤\ufe0f\u200d🔥☎\ufe0f", "👩🏽\u200d🚀❤\u200d🔥☎"),
    ],
)
def test_what_is_left(text: str, expected: str) -> None:
    assert plain_text(text) == expected


@given(st.text(max_size=60))
def test_plain_text_is_plain(text: str) -> None:
    plain = plain_text(text)
    assert plain_text(plain) == plain
    shown = [each for each in text if each.isalnum() and plain_text(each)]  # fillers are letters that show nothing
    assert shown == [each for each in plain if each.isalnum()]
    assert plain.split() == [word for word in map(plain_text, text.split()) if word]


@pytest.fixture(scope="module", params=["identity", "nmt_nfkc", "nfkc"])
def subwords(request: pytest.FixtureRequest) -> Subwords:
    lines = [f"{number} Euro,\u00a0{number + 3}\tm und \u202f\u200d{number}\0 g" for number in range(10, 300)]
    return train_subwords(lines, 40, normalization=request.param)


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\t", "\u3000", " \u200b ", "\u2060 \u2060", " \0"])
def test_subwords_do_not_tell_spaces_apart(subwords: Subwords, space: str) -> None:
    [expected, found] = subwords.encode_lines(["154 Euro, 3 m", f"154{space}Euro,{space}3{space}m"])
    assert found == expected
    assert UNK not in found


@pytest.mark.parametrize("hidden", "\u200b\u200d\u2060\ufeff\u00ad\0\x7f\u200e\ufe0f")
def test_subwords_do_not_see_what_is_hidden(subwords: Subwords, hidden: str) -> None:
    assert subwords.encode(f"15{hidden}4 Eu{hidden}ro{hidden}") == subwords.encode("154 Euro")
    assert not any(hidden in subwords.piece(index) for index in range(subwords.size))
