"""What training leaves out, and that all of it is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config_data import DataConfig
from nmt.data.preparation import cleaning
from nmt.data.preparation.cleaning import DUPLICATE, EMPTY, REASONS, TOO_LONG, UNEVEN, Cleaner, encode_pairs
from nmt.data.preparation.report import lines_are


class Words:
    """Stands in for `Subwords`: every letter or mark is one."""

    def encode_lines(self, lines: list[str]) -> list[list[int]]:
        return [[ord(letter) for letter in line if letter.isprintable() and not letter.isspace()] for line in lines]


def make_cleaner(**values: object) -> Cleaner:
    pair = (Path("a"), Path("b"))
    data = DataConfig.model_validate({"train": pair, "valid": pair, "max_length": 12} | values)
    return Cleaner(data, Words(), Words())


def clean(cleaner: Cleaner, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [("".join(map(chr, ids.source)), "".join(map(chr, ids.target))) for ids in cleaner.clean(pairs)]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("", "a"), EMPTY),
        (("a", " \t\u3000\0"), EMPTY),
        (("", ""), EMPTY),
        (("a" * 13, "a"), TOO_LONG),
        (("a", "a" * 12), UNEVEN),
    ],
)
def test_reasons(pair: tuple[str, str], reason: str) -> None:
    cleaner = make_cleaner()
    assert clean(cleaner, pair, ("a", "b"), pair) == [("a", "b")]
    expected = Counter([reason, reason if reason == EMPTY else DUPLICATE])  # an empty pair is never a duplicate
    assert +cleaner.counts == expected + Counter(read=3)


def test_short_pairs_may_be_uneven() -> None:
    pairs = [("a", "b" * 10), ("a", "b" * 9), ("aa", "b" * 11), ("aaa", "b" * 11)]
    assert clean(make_cleaner(max_ratio=5), *pairs) == [pairs[0], pairs[1], pairs[3]]
    assert clean(make_cleaner(max_ratio=5.5), *pairs) == pairs


def test_the_first_of_equal_pairs_stays() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "a"), ("a", "b"), ("a ", "b"), ("a", "b")]
    cleaner = make_cleaner()
    assert clean(cleaner, *pairs) == [("a", "b"), ("a", "c"), ("b", "a"), ("a", "b")]
    assert clean(cleaner, *pairs) == []  # of another corpus
    assert cleaner.counts[DUPLICATE] == 8
    assert len(clean(make_cleaner(remove_duplicates=False), *pairs)) == 6


def test_copies_are_counted_and_kept() -> None:
    cleaner = make_cleaner()
    assert len(clean(cleaner, ("a", "a "), ("a", "b"))) == 2
    assert cleaner.counts["copies"] == 1


def test_long_pairs_are_split_at_sentence_ends() -> None:
    cleaner = make_cleaner()
    assert clean(cleaner, ("bcdef! Bcde? Bcd", "xyzabc。xyz？「xy」")) == [
        ("bcdef!", "xyzabc。"),
        ("Bcde?", "xyz？"),
        ("Bcd", "「xy」"),
    ]
    assert +cleaner.counts == Counter({"read": 1, "split": 1, "made by splitting": 3})


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("bcdefghijklmno。b", "xyz"),  # another number of sentences
        ("bcdefghijklmn", "xyz"),  # a single one
        ("bcdefghijklmno。b", "xyz。x"),  # a part is still too long
        ("b。bcdefghijkl", "xyz。x"),  # parts are uneven
        ("bcdefgh。bcdefgh。\0", "xyz。x。x"),  # a part is empty
    ],
)
def test_what_cannot_be_split_is_left_out(source: str, target: str) -> None:
    cleaner = make_cleaner()
    assert clean(cleaner, (source, target)) == []
    assert +cleaner.counts == Counter({"read": 1, TOO_LONG: 1})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text("ab. 。\0", max_size=30) | st.sampled_from(["", "a", "a b", "a b。" * 8])] * 2), max_size=40
    ),
    st.booleans(),
    st.integers(1, 5),
)
def test_every_pair_is_counted_once(pairs: list[tuple[str, str]], remove_duplicates: bool, chunk: int) -> None:
    cleaner = make_cleaner(remove_duplicates=remove_duplicates, max_ratio=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning, "CHUNK_PAIRS", chunk)
        kept = list(cleaner.clean(pairs))
    counts = cleaner.counts
    left_out = sum(counts[reason] for reason in REASONS)
    assert counts["read"] == len(pairs)
    assert counts["read"] - left_out - counts["split"] + counts["made by splitting"] == len(kept)
    assert counts["made by splitting"] >= 2 * counts["split"]
    assert all(min(len(ids.source), len(ids.target)) >= 1 for ids in kept)
    assert all(max(len(ids.source), len(ids.target)) <= 12 for ids in kept)
    assert (counts[DUPLICATE] > 0) <= remove_duplicates
    assert list(make_cleaner(remove_duplicates=remove_duplicates, max_ratio=3).clean(pairs)) == kept


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("a b", "c"), ("", ""), ("d e f", "g")] * 3
    whole = list(encode_pairs(pairs, Words(), Words()))
    assert [pair for pair, _ in whole] == pairs
    for name, size in (("CHUNK_PAIRS", 2), ("CHUNK_CHARACTERS", 3)):
        monkeypatch.setattr(cleaning, name, size)
        assert list(encode_pairs(pairs, Words(), Words())) == whole


def test_what_lines_are_is_found_out() -> None:
    several = ("Das war es. Wir gehen.", "That was it. We go.")
    for texts, expected in ((1, "sentences"), (2, "texts")):
        cleaner = make_cleaner(max_length=100, remove_duplicates=False)
        list(cleaner.clean([several] * texts + [("Das war es.", "That was it.")] * 3))
        assert lines_are({f"training pairs {name}": count for name, count in cleaner.sentences.items()}) == expected
    assert lines_are({}) is None
