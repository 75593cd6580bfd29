"""Batches of sentences of like length: which go together, in which order, and as which arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt.data.dataset import IdArray, Part, PreparedSplit
from nmt.data.sampling import CorpusSampling
from nmt.data.subword_regularization import SubwordSampler
from nmt.data.subwords import BOS, EOS, PAD

Integers = NDArray[np.int64]

_WINDOW_BATCHES = 200  # batches' worth of shuffled pairs sorted together: little padding, and still a random order


@dataclass(frozen=True)
class Batch:
    """Pairs as time-major arrays, the longest source first."""

    source: Integers
    """[S, B] source ids with eos, then pad."""
    source_lengths: Integers
    """[B] lengths with eos, descending."""
    target_input: Integers
    """[T, B] what the decoder is given: bos and the target ids, then pad."""
    target_output: Integers
    """[T, B] what it should answer: the target ids and eos, then pad."""
    target_lengths: Integers
    """[B] lengths with bos or eos."""
    source_tokens: int
    """Source ids with eos, without padding."""
    target_tokens: int
    """Target ids with eos, without padding."""
    indices: Integers
    """[B] number of each pair in its split."""
    direction: str = ""
    """Of a validation set of several pairs of languages, that of this batch, as in `en-de`."""


def make_batches(order: Integers, sizes: ArrayLike, batch_tokens: int, batch_size: int | None = None) -> list[Integers]:
    """Cut a row of sentences into batches.

    Args:
        order: Numbers of the sentences, those of like size side by side.
        sizes: Tokens of every sentence, by its number; of pairs, those of the longer side.
        batch_tokens: Padded size of a batch at most: its sentences times the longest of them. A sentence longer than
            that gets a batch of its own.
        batch_size: Sentences of a batch at most; None for any number.

    Returns:
        The numbers of the sentences of each batch, int64, in the given order.
    """
    batches: list[Integers] = []
    start = largest = 0
    for end, size in enumerate(np.asarray(sizes)[order].tolist()):
        largest, count = max(largest, size), end - start + 1
        if count > 1 and (count * largest > batch_tokens or (batch_size is not None and count > batch_size)):
            batches.append(order[start:end])
            start, largest = end, size
    return [*batches, order[start:]] if len(order) else batches


def longest_first(lengths: Sequence[int], batch_tokens: int, batch_size: int | None = None) -> list[list[int]]:
    """Divide sentences into batches, the longest ones first: what is too large for the memory fails at the start.

    Args:
        lengths: Of each sentence, in tokens.
        batch_tokens: See `make_batches`.
        batch_size: See `make_batches`.

    Returns:
        Numbers of the sentences, each in one batch; those of equal length stay in order.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    return [batch.tolist() for batch in make_batches(order, sizes, batch_tokens, batch_size)]


def epoch_batches(
    source_lengths: ArrayLike,
    target_lengths: ArrayLike,
    batch_tokens: int,
    seed: int,
    epoch: int,
    sampling: CorpusSampling | None = None,
) -> list[Integers]:
    """Divide the pairs of an epoch into batches.

    The pairs are shuffled, sorted by length within large windows, cut where the padded size would pass `batch_tokens`,
    and the batches shuffled. Every pair is in exactly one batch, or as often as `sampling` says. A pair larger than
    `batch_tokens` gets its own.

    Args:
        source_lengths: [number of pairs] subwords without bos and eos.
        target_lengths: The same for the target.
        batch_tokens: See `make_batches`; sentences count with eos.
        seed: With `epoch`, decides the order.
        epoch: Number of the epoch, from 0.
        sampling: Chooses the pairs; None for each once.

    Returns:
        The numbers of the pairs of each batch, int64.

    Raises:
        ValueError: The two sides differ in length, or `batch_tokens` is below 1.
    """
    source, target = np.asarray(source_lengths, dtype=np.int64), np.asarray(target_lengths, dtype=np.int64)
    if source.ndim != 1 or source.shape != target.shape:
        raise ValueError(f"lengths: expected two arrays [number of pairs], got {source.shape} and {target.shape}")
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens: expected at least 1, got {batch_tokens}")
    if not len(source):
        return []
    random = np.random.default_rng((seed, epoch))
    sizes = np.maximum(source, target) + 1
    order = random.permutation(len(sizes))
    if sampling is not None:
        order = sampling.pairs(seed, epoch)[order]  # as many, of which some come again
    window = max(1, int(_WINDOW_BATCHES * batch_tokens / sizes[order].mean()))
    batches: list[Integers] = []
    for start in range(0, len(order), window):
        pairs = order[start : start + window]
        by_length = pairs[np.lexsort((source[pairs], target[pairs], sizes[pairs]))]
        batches += make_batches(by_length, sizes, batch_tokens)
    return [batches[i] for i in random.permutation(len(batches))]


def collate(split: PreparedSplit, indices: Sequence[int] | Integers) -> Batch:
    """Make the arrays of a batch.

    Args:
        split: Where the pairs are.
        indices: Numbers of at least one pair.

    Returns:
        The pairs, the longest source first; those of equal length in the order given.
    """
    return _arrays([(int(index), *split.pair(int(index))) for index in indices])


def _arrays(pairs: list[tuple[int, Sequence[int] | IdArray, Sequence[int] | IdArray]]) -> Batch:
    """Make a batch of numbers, sources and targets."""
    pairs.sort(key=lambda pair: -len(pair[1]))
    indices, sources, targets = zip(*pairs, strict=True)
    source_lengths, target_lengths = (
        np.array([len(ids) + 1 for ids in side], dtype=np.int64) for side in (sources, targets)
    )
    return Batch(
        source=pad(sources, eos=True),
        source_lengths=source_lengths,
        target_input=pad(targets, bos=True),
        target_output=pad(targets, eos=True),
        target_lengths=target_lengths,
        source_tokens=int(source_lengths.sum()),
        target_tokens=int(target_lengths.sum()),
        indices=np.array(indices, dtype=np.int64),
    )


def pad(sentences: Sequence[Sequence[int] | IdArray], *, bos: bool = False, eos: bool = False) -> Integers:
    """Put sentences side by side.

    Args:
        sentences: Ids of at least one.
        bos: Whether each begins with bos.
        eos: Whether each ends with eos.

    Returns:
        [T, B], filled up with pad.
    """
    padded = np.full((max(map(len, sentences)) + bos + eos, len(sentences)), PAD, dtype=np.int64)
    for column, ids in enumerate(sentences):
        end = bos + len(ids)
        padded[bos:end, column] = ids
        if bos:
            padded[0, column] = BOS
        if eos:
            padded[end, column] = EOS
    return padded


@dataclass(frozen=True)
class SubwordRegularization:
    """Other segmentations of training sentences than the likeliest: the network sees a word in many spellings."""

    share: float
    """Probability that a sentence of either side gets one, 0..1."""
    source: SubwordSampler
    """Draws those of the source."""
    target: SubwordSampler | None
    """Draws those of the target; None leaves them as they are."""
    epochs: int | None = None
    """In how many epochs, from the first on; None for all."""


class Share(NamedTuple):
    """Which batches of a training set one of several processes runs: of each so many, some that follow each other."""

    first: int
    """Number of the first of them."""
    size: int
    """How many they are."""
    of: int
    """So many are shared out at a time."""

    def numbers(self, start: int, end: int) -> Iterator[int]:
        """Yield the numbers of the batches from `start` on, below `end`, where sharing out begins at `start`."""
        for begin in range(start + self.first, end, self.of):
            yield from range(begin, min(begin + self.size, end))


ALL = Share(0, 1, 1)


class TrainingBatches:
    """The training set as batches, a function of the arguments and the epoch alone.

    With regularization, a batch holds the pairs that it would hold without; only their subwords are others, and more:
    at most twice as many in a sentence.

    Args:
        split: The pairs.
        batch_tokens: See `make_batches`.
        seed: See `epoch_batches`.
        regularization: Which subwords are drawn anew for each batch; None for none.
        sampling: Which pairs an epoch has; None for each once.
    """

    def __init__(
        self,
        split: PreparedSplit,
        batch_tokens: int,
        seed: int,
        regularization: SubwordRegularization | None = None,
        sampling: CorpusSampling | None = None,
    ) -> None:
        self._split = split
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._regularization = regularization
        self._sampling = sampling
        self._lengths = split.lengths("source"), split.lengths("target")
        self._last: tuple[int, list[Integers]] = (-1, [])  # the epoch that is asked for again and again

    def number_of_batches(self, epoch: int) -> int:
        """Count the batches of an epoch, from 0."""
        return len(self._plan(epoch))

    def shapes(self, epoch: int) -> list[tuple[int, int, int, int]]:
        """List S, T, B and the target tokens of the batches of an epoch, all with eos; without drawn segmentations."""
        sources, targets = (lengths + 1 for lengths in self._lengths)
        return [
            (int(sources[pairs].max()), int(targets[pairs].max()), len(pairs), int(targets[pairs].sum()))
            for pairs in self._plan(epoch)
        ]

    def batches(self, epoch: int, start: int = 0, share: Share = ALL) -> Iterator[Batch]:
        """Yield the batches of an epoch, or a share of them, from the one numbered `start` on."""
        drawing = self._regularization
        if drawing is not None and drawing.epochs is not None and epoch >= drawing.epochs:
            drawing = None
        plan = self._plan(epoch)
        for number in share.numbers(start, len(plan)):
            indices = plan[number]
            if drawing is None:
                yield collate(self._split, indices)
                continue
            pairs = [self._split.pair(int(index)) for index in indices]
            # Each batch has a generator of its own, so that training which goes on in the middle draws the same. The
            # last number is 1 because NumPy ignores trailing zeros: batch 0 would share the generator of the order.
            numpy = np.random.default_rng((self._seed, epoch, number, 1))
            random = Random(int(numpy.integers(2**63)))  # much faster for single numbers
            sources: Sequence[Sequence[int] | IdArray] = _resample(
                [source for source, _ in pairs], drawing.source, drawing.share, random
            )
            targets: Sequence[Sequence[int] | IdArray] = [target for _, target in pairs]
            if drawing.target is not None:
                targets = _resample(targets, drawing.target, drawing.share, random)
            yield _arrays(list(zip(indices.tolist(), sources, targets, strict=True)))

    def _plan(self, epoch: int) -> list[Integers]:
        if self._last[0] != epoch:
            self._last = epoch, epoch_batches(*self._lengths, self._batch_tokens, self._seed, epoch, self._sampling)
        return self._last[1]


def _resample(
    sentences: Sequence[Sequence[int] | IdArray], sampler: SubwordSampler, share: float, random: Random
) -> list[Sequence[int] | IdArray]:
    """Draw other subwords for a share of the sentences of a batch.

    A sentence that would have more than twice as many keeps its own: no batch becomes more than twice as large as
    planned.
    """
    result: list[Sequence[int] | IdArray] = list(sentences)
    for place, sentence in enumerate(sentences):
        if random.random() < share:
            drawn = sampler.sample(list(map(int, sentence)), random)
            if len(drawn) <= 2 * len(sentence):
                result[place] = drawn
    return result


def validation_batches(split: PreparedSplit, batch_tokens: int) -> list[Batch]:
    """Make the batches of a validation set, always the same, the shortest pairs first; of several pairs of languages
    one after the other."""
    sizes = np.maximum(split.lengths("source"), split.lengths("target")) + 1
    batches, first = [], 0
    for direction, count in split.parts or (Part("", len(sizes)),):
        order = first + np.argsort(sizes[first : first + count], kind="stable")
        batches += [
            replace(collate(split, indices), direction=direction)
            for indices in make_batches(order, sizes, batch_tokens)
        ]
        first += count
    return batches
