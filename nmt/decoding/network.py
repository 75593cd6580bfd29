"""What translating asks of a network, wherever it computes; imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from nmt.decoding.hypotheses import Hypothesis, SearchOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ids = Sequence[int]
Progress = Callable[[int], None]

BATCH_TOKENS = 16_384
"""Padded source tokens of a batch at most, whatever the batch size."""


class Network(Protocol):
    """Searches translations of ids, and tells what it thinks of given ones."""

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""

    @property
    def precision(self) -> str:
        """What its weights are rounded to: float32, which is not at all, int8 or bfloat16."""

    @property
    def place(self) -> str:
        """Where it computes, such as "cpu" or "cuda:0"."""

    def with_threads(self, threads: int) -> Self:
        """Return the same network, of whose calls each uses so many CPU threads, where that is for a call to say."""

    def search(
        self,
        sources: Sequence[Ids],
        max_lengths: Sequence[int],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search translations.

        Args:
            sources: Subword ids without eos, none empty.
            max_lengths: Longest translation of each, eos included; at this length eos is forced.
            options: How to search.
            batch_size: Sentences searched at once, at most.
            progress: Called after every batch with the number of its sentences.
            prefixes: Target subwords that the translation of each begins with, fewer than its longest length.

        Returns:
            The hypotheses of each, best first; of each is observed how many source subwords it does not cover.
        """

    def log_probabilities(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
        """Score translations.

        Args:
            sources: Subword ids, without eos.
            targets: Those of the translation of each.

        Returns:
            The natural logarithm of each translation's probability, eos included.
        """

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterable[tuple[int, NDArray[np.float32]]]:
        """Tell where the network looks while it writes translations.

        Args:
            sources: Subword ids, without eos.
            targets: Those of the translation of each.

        Returns:
            The number of each pair, in any order, and its attention weights [T, S], both with eos at their end; every
            row sums to 1.
        """
