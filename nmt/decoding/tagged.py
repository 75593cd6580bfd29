"""A network of several target languages, told which one to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.network import Ids, Network, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TaggedNetwork:
    """A network before whose sources a subword stands that says what language to write (see `Network`).

    Who uses it sees nothing of that: attention to the tag is left out, so that a row sums to 1 less that.

    Args:
        network: The network.
        tag: The subword.
        tags: Target subwords that are tags, and never come.

    Source: Johnson et al. 2017, section 3.
    """

    def __init__(self, network: Network, tag: int, tags: Sequence[int]) -> None:
        self._network, self._tag, self._tags = network, tag, tuple(tags)

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""
        return self._network.vocabulary_sizes

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""
        return self._network.number_of_parameters

    @property
    def precision(self) -> str:
        """What its weights are rounded to."""
        return self._network.precision

    @property
    def place(self) -> str:
        """Where it computes."""
        return self._network.place

    def with_threads(self, threads: int) -> Self:
        """Return the same with so many CPU threads; see `Network.with_threads`."""
        return type(self)(self._network.with_threads(threads), self._tag, self._tags)

    def search(
        self,
        sources: Sequence[Ids],
        max_lengths: Sequence[int],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search translations; see `Network.search`."""
        options = replace(options, forbidden=(*options.forbidden, *self._tags))
        found = self._network.search(self._tagged(sources), max_lengths, options, batch_size, progress, prefixes)
        return [[_without_tag(each) for each in hypotheses] for hypotheses in found]

    def log_probabilities(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
        """Score translations; see `Network.log_probabilities`."""
        return self._network.log_probabilities(self._tagged(sources), targets)

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Tell where the network looks; see `Network.attention`."""
        for number, weights in self._network.attention(self._tagged(sources), targets):
            yield number, weights[:, 1:]

    def _tagged(self, sources: Sequence[Ids]) -> list[Ids]:
        return [(self._tag, *ids) for ids in sources]


def _without_tag(hypothesis: Hypothesis) -> Hypothesis:
    weights = hypothesis.attention
    return hypothesis if weights is None else replace(hypothesis, attention=weights[:, 1:])
