"""Which target subwords a source subword is translated by: IBM's first model, estimated from prepared pairs.

Source: Brown et al. 1993, "The Mathematics of Statistical Machine Translation", section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nmt.data.dataset import PreparedSplit, Sentences

MOST: Final = 100
"""Translations of a source subword, and frequent target subwords, that are kept."""

_ITERATIONS: Final = 3
_PAIRS: Final = 100_000_000  # of a source and a target subword, that are looked at
_CHUNK: Final = 500_000  # of these in memory at a time: 60 MB
_ENTRIES: Final = 16_000_000  # of the table at most: 256 MB
_LEAST: Final = 1e-4  # probability below which a translation is not worth its place


@dataclass(frozen=True)
class Lexicon:
    """The most probable translations of every source subword."""

    first: NDArray[np.int64]
    """[source vocabulary + 1]: those of subword s are `candidates[first[s]:first[s + 1]]`."""
    candidates: NDArray[np.int32]
    """Target ids, of each source subword the most probable first."""
    frequent: NDArray[np.int32]
    """Target ids, the most frequent first; of all that occur, some."""


def estimate_lexicon(
    split: PreparedSplit, vocabulary_sizes: tuple[int, int], most: int = MOST, looked_at: int | None = None
) -> Lexicon:
    """Estimate a lexicon from the pairs of a corpus.

    It takes some seconds for thirty thousand pairs, a few minutes for a million and more; memory is bounded.

    Args:
        split: The pairs.
        vocabulary_sizes: V of the source and of the target.
        most: Translations of a source subword, and frequent target subwords, at most.
        looked_at: Pairs of a source and a target subword, at most; larger corpora are thinned out evenly. A hundred
            million if None.

    Returns:
        The lexicon; subwords that do not occur have no translations.
    """
    sources, targets = vocabulary_sizes
    table = _Table(np.empty(0, np.int64), np.empty(0), targets)
    for _ in range(_ITERATIONS):
        counts = _Table(table.keys, np.zeros(table.keys.size), targets)
        for keys, target_tokens in _chunks(split, sources, targets, looked_at or _PAIRS):
            unique, which = np.unique(keys, return_inverse=True)
            before = table.values_of(unique)[which] if table.keys.size else np.ones(keys.size)
            total = _sums(target_tokens, before, int(target_tokens[-1]) + 1)[target_tokens]
            counts = counts.plus(unique, _sums(which, _shares(before, total), unique.size), grows=table.keys.size == 0)
        table = counts.normalised(sources + 1)
    first, candidates = table.best(sources, most)
    counts_of_targets = np.bincount(split.target.ids, minlength=targets)
    frequent = np.argsort(-counts_of_targets, kind="stable")[:most]
    return Lexicon(first, candidates, frequent[counts_of_targets[frequent] > 0].astype(np.int32))


@dataclass
class _Table:
    """A value for pairs of subwords: sorted `source * targets + target`, beside its value."""

    keys: NDArray[np.int64]
    values: NDArray[np.float64]
    targets: int

    def values_of(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values of sorted keys; zero for those that it has not."""
        places = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[places] == keys, self.values[places], 0.0)

    def plus(self, keys: NDArray[np.int64], values: NDArray[np.float64], *, grows: bool) -> _Table:
        """Add values of sorted keys that come once each; those that it has not are left out, unless it grows."""
        if self.keys.size == 0:
            return _Table(keys, values, self.targets).pruned() if grows else self
        places = np.searchsorted(self.keys, keys)
        known = self.keys[np.minimum(places, self.keys.size - 1)] == keys
        self.values[places[known]] += values[known]
        if not grows:
            return self
        new = ~known
        both = np.insert(self.keys, places[new], keys[new])
        return _Table(both, np.insert(self.values, places[new], values[new]), self.targets).pruned()

    def normalised(self, rows: int) -> _Table:
        """Make values of a source subword sum to 1."""
        row = self.keys // self.targets
        return _Table(self.keys, _shares(self.values, _sums(row, self.values, rows)[row]), self.targets)

    def pruned(self) -> _Table:
        """Keep no more than `_ENTRIES`, those that are the largest parts of their source subword."""
        if self.keys.size <= _ENTRIES:
            return self
        row = self.keys // self.targets
        parts = _shares(self.values, _sums(row, self.values, int(row.max()) + 1)[row])
        kept = parts > np.partition(parts, -_ENTRIES // 2)[-_ENTRIES // 2]
        return _Table(self.keys[kept], self.values[kept], self.targets)

    def best(self, sources: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The largest values of each of `sources` source subwords, the largest first."""
        row, target = np.divmod(self.keys, self.targets)
        worthy = (self.values >= _LEAST) & (row < sources)
        row, target, values = row[worthy], target[worthy], self.values[worthy]
        order = np.lexsort((target, -values, row))
        row, target = row[order], target[order]
        rank = np.arange(row.size) - np.searchsorted(row, row)
        row, target = row[rank < most], target[rank < most]
        return np.searchsorted(row, np.arange(sources + 1)).astype(np.int64), target.astype(np.int32)


def _sums(places: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Add up the values of each place."""
    return np.bincount(places, values, count).astype(np.float64, copy=False)


def _shares(values: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; nothing has no part in nothing."""
    return np.divide(values, of, out=np.zeros(values.size), where=of > 0)


def _chunks(
    split: PreparedSplit, sources: int, targets: int, looked_at: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of subwords of the same pair of sentences, in chunks.

    Args:
        split: The pairs of sentences; of too many, some are left out evenly.
        sources: Source vocabulary; its size is the id of no word, which stands beside each source.
        targets: Target vocabulary.
        looked_at: How many are too many.

    Yields:
        Keys of the pairs of subwords, and the number of the target token of each.
    """
    products = (split.lengths("source") + 1) * split.lengths("target")
    stride = int(products.sum()) // looked_at + 1
    chosen = np.flatnonzero((products <= _CHUNK) & (products > 0))[::stride]
    ends = np.cumsum(products[chosen])
    begin = 0
    while begin < chosen.size:
        end = int(np.searchsorted(ends, (ends[begin - 1] if begin else 0) + _CHUNK, side="right"))
        some = chosen[begin:end]
        source, source_lengths = _tokens(split.source, some, sources)
        target, target_lengths = _tokens(split.target, some, None)
        of_token = np.repeat(np.arange(some.size), target_lengths)  # the sentence of each target token
        widths = source_lengths[of_token]
        token = np.repeat(np.arange(target.size), widths)
        starts = np.cumsum(source_lengths) - source_lengths
        within = np.arange(token.size) - np.repeat(np.cumsum(widths) - widths, widths)
        yield source[starts[of_token][token] + within] * targets + target[token], token
        begin = end


def _tokens(
    sentences: Sentences, chosen: NDArray[np.int64], beside: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids of some sentences, one after the other, each with another id at its end unless that is None; and lengths."""
    more = [] if beside is None else [beside]
    parts = [np.append(sentences.sentence(index).astype(np.int64), more) for index in chosen]
    return np.concatenate(parts).astype(np.int64), np.array([part.size for part in parts], np.int64)
