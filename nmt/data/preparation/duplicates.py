"""Which of very many pairs came before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def hash_text(*parts: str) -> int:
    """Hash texts that hold no line feed to 64 bits, the same in every process.

    Among n different texts, two share a hash with a probability of n² / 2⁶⁵: one in a million for five million.
    """
    digest = hashlib.blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def as_hashes(values: Iterable[int]) -> Hashes:
    """Make an array of what `hash_text` returned."""
    return np.fromiter(values, dtype=np.uint64)


class SeenHashes:
    """A set of hashes that takes 8 bytes each, twice that for a moment.

    It holds sorted blocks, each more than twice as long as the next, so there are few to search, and each hash is
    sorted anew only a logarithmic number of times.
    """

    def __init__(self) -> None:
        self._blocks: list[Hashes] = []

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add hashes, and tell which of them are new.

        Args:
            hashes: [n], many at once for speed.

        Returns:
            [n] True for each that was not added before, neither earlier nor further left in `hashes`.
        """
        new = np.zeros(len(hashes), dtype=np.bool_)
        new[np.unique(hashes, return_index=True)[1]] = True
        for block in self._blocks:
            places = np.minimum(np.searchsorted(block, hashes), len(block) - 1)
            new &= block[places] != hashes
        if new.any():
            self._blocks.append(np.sort(hashes[new]))
        while len(self._blocks) > 1 and len(self._blocks[-2]) <= 2 * len(self._blocks[-1]):
            merged = np.concatenate([self._blocks.pop(), self._blocks.pop()])
            merged.sort()
            self._blocks.append(merged)
        return new
