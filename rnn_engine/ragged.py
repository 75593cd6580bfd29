"""Sequences of different lengths, as rows for the engine and as a dense batch for its callers, in both faces.

Imports neither torch nor the native part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Where the rows of a batch of sequences come from.

    The engine's rows are those of step 0, then those of step 1, ..., of sequences sorted by descending length. The
    dense batch has T B places, some of which are padding.

    Attributes:
        batch_sizes: Sequences still running at each step, as long as the longest sequence.
        order: [B] the caller's index of each of the engine's sequences.
        original: [B] the inverse: the engine's index of each of the caller's.
        places: [N] the place of each row in the dense batch, its first two dimensions taken as one.
    """

    batch_sizes: list[int]
    order: Indices
    original: Indices
    places: Indices

    @classmethod
    def of(cls, lengths: Any, steps: int, batch: int, batch_first: bool = False) -> Ragged:
        """Sorts sequences by length.

        Args:
            lengths: [B] integers, 1 to T, in any order: a sequence, an array, a tensor on the CPU.
            steps: T of the dense batch.
            batch: B.
            batch_first: Whether the dense batch is [B, T, ...] instead of [T, B, ...].

        Raises:
            ValueError: The number or type of lengths is not what is expected, or one is out of bounds.
        """
        given = _checked(lengths, steps, batch)
        order = np.argsort(-given, kind="stable")
        running = np.arange(given.max())[:, None] < given[order]  # [T, B] in the engine's order
        step, rank = np.nonzero(running)
        places = order[rank] * steps + step if batch_first else step * batch + order[rank]
        return cls(running.sum(axis=1).tolist(), order, np.argsort(order), places)

    def gather(self, dense: NDArray[Any], rows: NDArray[Any]) -> None:
        """Takes the rows [N, width] out of a dense batch, [places, width]."""
        np.take(dense, self.places, axis=0, out=rows, mode="clip")  # the mode in which NumPy writes to `out` at once

    def spread(self, rows: NDArray[Any], dense: NDArray[Any]) -> None:
        """Puts the rows back to their places, and zeros elsewhere."""
        dense.fill(0)
        dense[self.places] = rows


def _checked(lengths: ArrayLike | Sequence[int], steps: int, batch: int) -> Indices:
    try:
        given = np.asarray(lengths)
    except (TypeError, ValueError) as error:  # lists of different lengths, tensors that NumPy has no type for
        raise ValueError(f"lengths: expected [B] = [{batch}] integers, got {lengths!r}") from error
    if given.shape != (batch,) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"lengths: expected [B] = [{batch}] integers, got {list(given.shape)} {given.dtype}")
    wrong = np.flatnonzero((given < 1) | (given > steps))
    if len(wrong):
        raise ValueError(f"lengths[{wrong[0]}]: expected 1 to T = {steps}, got {given[wrong[0]]}")
    return given.astype(np.int64)


__all__ = ["Indices", "Ragged"]
