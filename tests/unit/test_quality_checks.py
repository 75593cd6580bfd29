"""Loops and dropped content, told from ids and attention."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.decoding.quality_checks import count_dropped, count_repeated, count_suspect

SOURCE = list(range(100, 115))


def attention(covered: list[bool], steps: int) -> np.ndarray:
    """Attention that is spread evenly over the covered source positions; the last step looks at all others."""
    weights = np.zeros((steps + 1, len(covered) + 1), np.float32)
    weights[:-1, :-1] = np.array(covered) / max(1, sum(covered))
    weights[-1] = 1 / len(weights[-1])
    return weights


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
    ("uncovered", "length", "wrong"), [(0, 15, False), (4, 15, False), (5, 15, True), (5, 30, False), (8, 30, True)]
)
def test_coverage(uncovered, length, wrong):
    covered = [True] * (length - uncovered) + [False] * uncovered
    target = list(range(length))
    assert bool(count_dropped(list(range(length)), target, attention(covered, length))) == wrong


def test_a_translation_far_too_short():
    all_covered = attention([True] * 15, 4)
    assert count_dropped(SOURCE, [1, 2, 3, 4], all_covered)
    assert not count_dropped(SOURCE, [1, 2, 3, 4, 5], attention([True] * 15, 5))
    assert not count_dropped(SOURCE[:5], [1], attention([True] * 5, 1))


def test_a_translation_that_says_nothing():
    assert count_dropped([7], [], attention([True], 0)) == 1


@given(st.lists(st.integers(4, 8), max_size=40), st.lists(st.integers(4, 8), max_size=40))
def test_a_copy_is_never_in_doubt_and_doubt_is_never_negative(source, target):
    assert not count_repeated(source, source)
    even = np.full((len(target) + 1, len(source) + 1), 1 / (len(source) + 1), np.float32)
    assert count_suspect(source, target, even) >= 0
