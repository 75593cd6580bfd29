"""Loops and dropped content, told from ids and attention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.quality_checks import count_dropped, count_repeated

SOURCE = list(range(100, 115))


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ([5, 6, 7, 8, 9], False),
        ([5, 5, 6], False),  # "die, die"
        ([5, 5, 5, 5, 6], False),  # three repetitions of one subword, such as digits
        ([5, 5, 5, 5, 5, 6], True),
        ([5, 6, 5, 6], False),
        ([5, 6, 5, 6, 5, 6], True),
        ([5, 6, 7, 5, 6, 7], False),
        ([5, 6, 7, 8, 5, 6, 7, 8], True),
        ([5, 6, 7, 8, 9, 5, 6, 7, 8, 10], False),  # a phrase that comes twice, not at once
        ([5, 6, 7, 8, 9, 5, 6, 7, 8, 10, 5, 6, 7, 8, 11], True),  # and three times
        ([], False),
        ([5], False),
    ],
)
def test_repetition(target, wrong):
    assert bool(count_repeated(SOURCE, target)) == wrong


def test_what_the_source_repeats_may_be_repeated():
    target = [5, 6] * 5
    assert count_repeated(SOURCE, target)
    assert not count_repeated([20, 21] * 5, target)
    assert not count_repeated([20] * 8, [5] * 10)
    refrain = [5, 6, 7, 8]
    target = [*refrain, 9, *refrain, 10, *refrain]
    assert count_repeated(SOURCE, target)
    assert not count_repeated([1, 2, 30, 1, 2, 31, 1, 2], target)


def test_the_worse_loop_counts_more():
    assert count_repeated(SOURCE, [5] * 30) > count_repeated(SOURCE, [5] * 8) > 0


@pytest.mark.parametrize(
    ("uncovered", "length", "wrong"),
    [(0, 8, False), (4, 8, False), (5, 8, True), (7, 15, False), (8, 15, True), (14, 30, False)],
)
def test_coverage(uncovered, length, wrong):
    ids = list(range(length))
    assert bool(count_dropped(ids, ids, uncovered, -99.0)) == wrong
    assert not count_dropped(ids, ids, uncovered, -0.2 * length)  # who is sure drops nothing


def test_a_translation_far_too_short():
    assert count_dropped(SOURCE, [1, 2, 3, 4], 0, -9.0)
    assert not count_dropped(SOURCE, [1, 2, 3, 4, 5], 0, -9.0)
    assert not count_dropped(SOURCE[:5], [1], 0, -9.0)


def test_a_translation_that_says_nothing():
    assert count_dropped([7], [], 0, -3.0) == 1


def test_numbers_are_no_loops():
    number = [5, 30, *[31] * 3, 30, *[31] * 3, 30, *[31] * 3]  # 1,000,000,000
    assert count_repeated(SOURCE, number)
    assert not count_repeated(SOURCE, number, wordless={30, 31})
    assert count_repeated(SOURCE, [5, 30] * 6, wordless={30, 31})  # words between dashes
    assert count_repeated(SOURCE, [31] * 40, wordless={30, 31})


@given(st.lists(st.integers(4, 8), max_size=40), st.sets(st.integers(4, 8)))
def test_a_copy_is_never_in_doubt(source, wordless):
    assert not count_repeated(source, source)
    assert not count_repeated(source, [index for index in source if index in wordless][:10], wordless)
