"""Where sentences end."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.sentences import split_sentences


@pytest.mark.parametrize(
    "text",
    [
        "One two. |Three four! |Five?",
        "Er ging… |Sie kam.",
        "He said: “Go!” |Then he left.",
        "(It rained.) |«Il pleut.» |„Es regnet.“ |Aha.",
        "¿Qué? |¡Hola! |Bien.",
        "今日は。|明日は？|「行く！」|昨日",
        "「行く。」と言った。|はい。",
        "３．５倍です。|終わり",
        "هل ذهبت؟ |نعم۔ |لا.",
        "वह गया। |वह आया॥ |हाँ",
        "Նա եկավ։ |Նա գնաց։",
        "ሰላም። |እንዴት ነህ፧ |ደህና",
        # No ends:
        "Dr. Smith met J. R. Smith, Mr. Jones and Prof. Weiß.",
        "am 3. 4. 2001 oder am 3. oder so",
        "See No. 5, pp. 7 and e.g. this, version 3.5 or www.example.org.",
        "“Go!” he said.",
        "Wait... what?",
        "no end",
        # Not everything after a number or a short word is an abbreviation:
        "It was in 1990. |He left. |She came at 7. |Then no. |Then",
        "Whitespace.\t |Stays.\u00a0|Where it is. ",
    ],
)
def test_ends(text: str) -> None:
    assert "|".join(split_sentences(text.replace("|", ""))) == text


def test_nothing_is_no_sentence() -> None:
    assert split_sentences("") == []
    assert split_sentences(" ") == [" "]


@given(st.text(alphabet="aB3 .!?…。」\"'(]\t؟।\u3000と", max_size=80) | st.text(max_size=80))
def test_the_parts_joined_are_the_text(text: str) -> None:
    parts = split_sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@pytest.mark.parametrize("unit", [".", ". ", "A. ", "a.) ", '"', " ", "x", "。」", "1. 2"])
def test_time_is_linear(unit: str) -> None:
    start = time.perf_counter()
    split_sentences(unit * (300_000 // len(unit)))
    assert time.perf_counter() - start < 5
