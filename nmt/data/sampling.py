"""How often each of several corpora comes in an epoch, and which of its pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CorpusSampling:
    """Corpora that lie one behind the other, and what each is to an epoch.

    An epoch has as many pairs as the corpora have together, of corpus c a share in proportion to
    `weights[c] * sizes[c] ** (1 / temperature)`: with equal weights and a temperature of 1 each pair once. No pair of a
    corpus comes once more before all others of it have come as often, from epoch to epoch.

    Source: Arivazhagan et al. 2019, section 4.2 (temperature).
    """

    sizes: tuple[int, ...]
    """Pairs of each."""
    weights: tuple[float, ...]
    """See above; of any sum."""
    temperature: float = 1.0
    """At least 1."""

    @property
    def is_even(self) -> bool:
        """Whether each pair comes once."""
        return self.temperature == 1.0 and len(set(self.weights)) <= 1

    def counts(self) -> list[int]:
        """Count the pairs of each corpus in an epoch: shares of the whole, rounded so that their sum is right."""
        total = sum(self.sizes)
        parts = [weight * size ** (1 / self.temperature) for size, weight in zip(self.sizes, self.weights, strict=True)]
        exact = [total * part / sum(parts) for part in parts]
        counts = [int(each) for each in exact]
        order = sorted(range(len(exact)), key=lambda number: counts[number] - exact[number])
        for number in order[: total - sum(counts)]:
            counts[number] += 1
        return counts

    def pairs(self, seed: int, epoch: int) -> Integers:
        """Choose the pairs of an epoch, from 0, in no particular order; some may come several times."""
        firsts = np.cumsum([0, *self.sizes])
        found = [
            first + _stretch(size, epoch * count, count, (seed, corpus))
            for corpus, (first, size, count) in enumerate(zip(firsts, self.sizes, self.counts(), strict=False))
            if size
        ]
        return np.concatenate(found) if found else np.empty(0, np.int64)


def _stretch(size: int, start: int, count: int, seed: tuple[int, int]) -> Integers:
    """Take `count` numbers from `start` on of a row that goes through 0..size - 1 again and again, each time in another
    order."""

    def passes() -> Iterator[Integers]:
        for number in range(start // size, -(-(start + count) // size)):
            # The last number is 2: no other generator has it there (see `nmt.data.batching`).
            order = np.random.default_rng((*seed, number, 2)).permutation(size)
            yield order[max(0, start - number * size) : start + count - number * size]

    return np.concatenate([np.empty(0, np.int64), *passes()])


def sampling_of(sizes: Sequence[int], weights: Sequence[float], temperature: float) -> CorpusSampling | None:
    """Make the sampling of corpora; None where each pair comes once."""
    found = CorpusSampling(tuple(sizes), tuple(weights), temperature)
    return None if found.is_even else found
