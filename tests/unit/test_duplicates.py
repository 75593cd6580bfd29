"""The set of hashes against Python's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.preparation.duplicates import SeenHashes, as_hashes, hash_text

HASHES = st.integers(0, 20) | st.integers(0, 2**64 - 1)


@given(st.lists(st.lists(HASHES, max_size=30), max_size=20))
def test_it_knows_what_came_before(chunks: list[list[int]]) -> None:
    seen, expected = SeenHashes(), set[int]()
    for chunk in chunks:
        new = []
        for value in chunk:
            new.append(value not in expected)
            expected.add(value)
        assert seen.add(as_hashes(chunk)).tolist() == new
        assert len(seen) == len(expected)


def test_blocks_are_few_and_nothing_is_kept_twice() -> None:
    seen = SeenHashes()
    generator = np.random.default_rng(1)
    for _ in range(200):
        seen.add(generator.integers(0, 10_000, size=500, dtype=np.uint64))
    assert len(seen) == 10_000
    assert len(seen._blocks) <= 14  # each is more than twice as long as the next


def test_hashes_tell_where_a_text_ends_and_are_the_same_everywhere() -> None:
    assert len({hash_text("a", "b"), hash_text("ab", ""), hash_text("", "ab"), hash_text("ab")}) == 4
    assert hash_text("Straße", "street") == 4107757081487329495
