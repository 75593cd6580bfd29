"""Sums whose order does not depend on which process ran what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nmt.data.batching import Share
from nmt.training.gradients import TournamentSum, make_buckets


class Written:
    """A term that writes down how it was added up."""

    def __init__(self, text: str) -> None:
        self.text = text

    def add_(self, other: Written) -> Written:
        return Written(f"({self.text}{other.text})")


def tournament(terms: list[object]) -> object:
    total = TournamentSum()
    for term in terms:
        total.add(term)  # type: ignore[arg-type]
    return total.take()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("a", "a"),
        ("ab", "(ab)"),
        ("abc", "((ab)c)"),
        ("abcdef", "(((ab)(cd))(ef))"),
        ("abcdefg", "(((ab)(cd))((ef)g))"),
        ("a-c", "(ac)"),
        ("--cd", "(cd)"),
        ("--", None),
    ],
)
def test_order_of_a_tournament(terms, expected):
    found = tournament([None if term == "-" else Written(term) for term in terms])
    assert (found.text if isinstance(found, Written) else found) == expected


@pytest.mark.parametrize("batches", range(1, 14))
@pytest.mark.parametrize("each", [1, 2, 4, 8])
def test_any_power_of_two_of_batches_a_process_makes_the_same_sum(batches, each):
    values = [torch.tensor(1.0 + 0.1 * 3.7**number) for number in range(batches)]
    shares = [[value.clone() for value in values[start : start + each]] for start in range(0, batches, each)]
    assert torch.equal(tournament([tournament(share) for share in shares]), tournament([v.clone() for v in values]))


def test_a_sum_begins_anew():
    total = TournamentSum()
    for _ in range(2):
        for value in (1.0, 2.0, 4.0):
            total.add(torch.tensor(value))
        assert total.take() == 7.0


@pytest.mark.parametrize(("count", "each", "size", "start"), [(11, 2, 3, 0), (11, 1, 4, 3), (3, 4, 2, 0), (5, 2, 2, 5)])
def test_shares_are_all_batches(count, each, size, start):
    shares = [list(Share(rank * each, each, size * each).numbers(start, count)) for rank in range(size)]
    assert sorted(number for share in shares for number in share) == list(range(start, count))
    for rank, share in enumerate(shares):
        assert all((number - start) // each % size == rank for number in share)


@pytest.mark.parametrize("slices", [2, 3])
def test_buckets_hold_every_value_once(slices):
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((3, 5), (17,), (40, 2), (1,))]
    buckets = make_buckets(parameters, slices, torch.float32, most=60)
    assert [[list(each.shape) for each in bucket.places] for bucket in buckets] == [[[1]], [[40, 2]], [[17], [3, 5]]]
    for bucket in buckets:
        for number, place in enumerate(bucket.places.values(), 1):
            place.fill_(number)
        assert bucket.values.shape[0] == slices
        assert bucket.values.count_nonzero() == sum(place.numel() for place in bucket.places.values())
        bucket.give_back()
    for parameter in parameters:
        assert parameter.grad is not None
        assert parameter.grad.shape == parameter.shape
        assert parameter.grad.unique().numel() == 1
