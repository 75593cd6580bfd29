"""The model of a step of several processes, on numbers that can be worked out by hand."""

from __future__ import annotations

import pytest

from nmt.training.exchange_time import Link, imbalance, round_seconds, sent_bytes, step_seconds, tree_seconds

SLOW = Link(8e6 * 1514 / 1448, latency=0.0)
"""A megabyte a second, beside headers."""


@pytest.mark.parametrize(
    ("compute", "buckets", "processes", "seconds"),
    [
        (2.0, [10**6], 1, 2.0),
        (2.0, [10**6], 2, 3.0),  # one bucket, full only at the end
        (2.0, [10**6, 10**5], 2, 2.0 + 0.3),  # 1.1 s are sent, 0.8 s of them while it computes
        (5.0, [10**6, 10**5], 2, 5.0 + 0.1),  # but for the last bucket
        (2.0, [10**6], 4, 3.5),
    ],
)
def test_seconds_of_a_step(compute, buckets, processes, seconds):
    assert step_seconds(compute, buckets, processes, SLOW) == pytest.approx(seconds)


def test_what_is_accumulated_is_sent_with_the_last_batch():
    assert step_seconds(2.0, [10**6, 10**5], 2, SLOW, accumulate=4) == pytest.approx(2.0 + 1.1 - 0.2)


def test_rounds_exchange_seldom_and_hide_nothing():
    assert round_seconds(2.0, [10**6, 10**5], 2, SLOW, every=10) == pytest.approx(2.0 + 0.11)


def test_latency_counts_by_calls_and_processes():
    assert step_seconds(1.0, [0, 0], 3, Link(1e9, 0.01)) == pytest.approx(1.0 + 3 * 2 * 0.01 + 2 * 2 * 0.01)


def test_a_ring_sends_less_than_a_tree():
    assert sent_bytes([1000, 200], 4) == 1800
    assert tree_seconds(0.0, [10**6], 8, SLOW) == pytest.approx(6.0)
    assert step_seconds(0.0, [10**6], 8, SLOW) == pytest.approx(1.75)


@pytest.mark.parametrize(
    ("sizes", "processes", "expected"), [([3.0] * 8, 4, 1.0), ([1.0, 3.0], 2, 1.5), ([1.0], 2, 1.0)]
)
def test_all_wait_for_the_largest(sizes, processes, expected):
    assert imbalance(sizes, processes) == expected
