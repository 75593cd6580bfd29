"""How much of a test set stands in the training text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.preparation.overlap import Overlap, OverlapCounter, plain_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Dog, it barks!", "the dog it barks"),
        ("STRASSE", "straße"),
        ("don ' t", "don’t"),
        ("今日は。", "今日 は"),
        ("ＡＢＣ１", "abc1"),
        ("वह गया।", "वह गया"),
    ],
)
def test_case_space_and_punctuation_do_not_matter(one: str, other: str) -> None:
    assert plain_text(one) == plain_text(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("कि", "की"), ("cafe", "café"), ("10 dogs", "1 dogs"), ("m²a", "ma"), ("々", "")]
)
def test_letters_and_digits_do(one: str, other: str) -> None:
    assert plain_text(one) != plain_text(other)


def test_sources_and_pairs_are_counted_line_by_line() -> None:
    small = [("A dog.", "Ein Hund."), ("a dog", "Der Hund"), ("A cat.", "Eine Katze."), ("...", "!"), ("x", "y")]
    counter = OverlapCounter({"one": small, "other": [("A cat.", "Ein Kater.")], "none": []})
    for pair in [("A DOG", "ein hund"), ("a cat", "Katze"), ("!", "!"), ("", ""), ("y", "x")]:
        counter.see(*pair)
    assert counter.counts() == {
        "one": Overlap(lines=5, sources=3, pairs=1),
        "other": Overlap(lines=1, sources=1, pairs=0),
        "none": Overlap(lines=0, sources=0, pairs=0),
    }


PAIRS = st.lists(st.tuples(st.text("ab", max_size=2), st.text("xy", max_size=2)), max_size=20)


@given(PAIRS, PAIRS)
def test_counts_are_those_of_a_plain_search(small: list[tuple[str, str]], training: list[tuple[str, str]]) -> None:
    counter = OverlapCounter({"set": small})
    for pair in training:
        counter.see(*pair)
    sources = {source for source, _ in training if source}
    expected = Overlap(
        lines=len(small),
        sources=sum(source in sources for source, _ in small),
        pairs=sum(pair in training for pair in small if pair[0]),
    )
    assert counter.counts() == {"set": expected}
