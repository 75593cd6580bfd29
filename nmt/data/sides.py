"""Whether the two sides of a corpus belong together: line N of one is the translation of line N of the other.

Translations have related lengths, end alike and hold the same numbers, whatever the languages. How much more so than
lines that merely stand near each other is measured on a sample of bounded size, in nats a line, and set against what a
side has in common with itself.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import NormalDist
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 256
"""Lines in a row that come into the sample together: among them a shift can be found."""
MOST_BLOCKS: Final = 64
LEAST_PAIRS: Final = 100
"""Fewer pairs tell nothing."""

_LEAST_SHARE: Final = 0.05
"""A part of a sample that is smaller does not spoil a training, and every large corpus has such places."""
_SHIFTS: Final = 32
"""The largest shift that is looked for, in lines."""
_TRIED: Final = 2_000
"""Pairs of a suspicious part, from its beginning, by which its shift is found: later ones may have another."""
_SUSPICIOUS: Final = 0.4
"""Sides that belong together have twice as much in common, as a share of what a side has in common with itself: 0.7 or
more for English and Japanese, English and Vietnamese, English and German."""
_UNRELATED: Final = 0.25
"""What sides that do not belong together stay below, by three standard errors."""
_TELLING: Final = 0.3
"""What a side must have in common with itself for a lack of it to mean something."""
_CERTAIN: Final = 5.0
"""Standard errors by which a shift must fit better than none."""
_CORRELATION: Final = 0.7
"""Of the lengths of translations, at least."""

_LONGEST: Final = 1_000  # characters that are looked at: enough to tell, and little memory
_NEIGHBOURS: Final = (3, 29, 64, 101)  # how far away the lines stand that a line is compared with
_BITS: Final = 256  # of a set of numbers
_DIGITS: Final = 18  # of a number that are looked at
_NUMBER: Final = re.compile(r"\d+")
_CLOSING: Final = " \"'»«”“’‘)]}」』)】"
_KINDS: Final = ".?!:;,"
_ENDINGS: Final = str.maketrans("。।۔…؟、،؛", "....?,,;")

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Misalignment:
    """A part of a corpus whose sides do not belong together."""

    first: int
    """Its first line, from 1, more or less."""
    last: int
    """Its last line."""
    lines: int
    """Lines of the corpus."""
    margin: int
    """How many lines `first` and `last` may be off because only a sample was looked at."""
    shift: int | None
    """Where the part begins, target line N + shift is the translation of source line N; None if no shift fits."""

    def __str__(self) -> str:
        """Say where, and what is wrong."""
        end = "on" if self.last == self.lines else f"to {self.last:,}"
        off = f" (give or take {self.margin:,} lines)" if self.margin else ""
        place = f"from about line {self.first:,} {end}{off} " if self.last - self.first + 1 < self.lines else ""
        if self.shift is None:
            return f"{place}the two sides do not look like translations of each other"
        many = f"{abs(self.shift)} line{'s' * (abs(self.shift) > 1)} too {'late' if self.shift > 0 else 'early'}"
        line = min(self.first + self.margin + 2 * _SHIFTS, self.last - _SHIFTS)
        other = line + self.shift
        return f"{place}the target comes {many}: its line {other:,} looks like the translation of line {line:,}"


class SidesCheck:
    """Looks at pairs that stream past, and says whether they belong together; memory does not grow with them."""

    def __init__(self) -> None:
        self._lines, self._stride = 0, 1
        self._blocks: list[list[tuple[str, str]]] = []  # every `_stride`-th one

    def watch(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Hand on pairs, and take note of them."""
        for pair in pairs:
            self._see(*pair)
            yield pair

    def _see(self, source: str, target: str) -> None:
        block, place = divmod(self._lines, BLOCK)
        self._lines += 1
        if block % self._stride:
            return
        if place == 0:
            if len(self._blocks) == MOST_BLOCKS:  # an even number: this block fits the new stride, too
                self._blocks, self._stride = self._blocks[::2], 2 * self._stride
            self._blocks.append([])
        self._blocks[-1].append((source[:_LONGEST], target[:_LONGEST]))

    def misalignment(self, pairs: Callable[[], Iterable[tuple[str, str]]]) -> Misalignment | None:
        """Find the largest misaligned part of the pairs.

        Args:
            pairs: Reads them once more, from the first one; called only where that tells a line more exactly.

        Returns:
            None if they belong together, or if nothing can be told.
        """
        found = self._coarsely()
        if found is None or found.margin == 0 or found.first == 1:
            return found
        start = max(found.first - found.margin - BLOCK, 0)
        closer = SidesCheck()
        deque(closer.watch(islice(pairs(), start, found.first + found.margin + BLOCK)), maxlen=0)
        part = closer._coarsely()
        if part is None or part.shift != found.shift:
            return found
        return replace(found, first=start + part.first, margin=part.margin)

    def _coarsely(self) -> Misalignment | None:
        sample = [pair for block in self._blocks for pair in block]
        if len(sample) < LEAST_PAIRS:
            return None
        sides = _Sides(*(_features(side) for side in zip(*sample, strict=True)))
        part = sides.suspicious()
        if part is None:
            return None
        shift = sides.shift(*part)
        if shift is None and not sides.unrelated(*part):
            return None
        first, last = part if shift is None else sides.shifted(shift, *part)
        size = self._stride * BLOCK
        numbers = [index * size + place for index, block in enumerate(self._blocks) for place in range(len(block))]
        rest = max(LEAST_PAIRS, len(sample) // 20)  # shorter, it cannot be told from what comes before
        return Misalignment(
            first=1 if first < _SHIFTS else numbers[first] + 1,
            last=self._lines if len(sample) - last < rest else numbers[last - 1] + 1,
            lines=self._lines,
            margin=size - BLOCK,
            shift=shift,
        )


class _Features(NamedTuple):
    """What is looked at of the lines of a side: arrays [lines]."""

    lengths: Floats
    """Without blanks, brought to a normal distribution."""
    endings: Indices
    """Kind of the last character."""
    numbers: NDArray[np.bool_]
    """Hashed set of the numbers: [lines, bits]."""


def _features(lines: Sequence[str]) -> _Features:
    lengths = np.array([len(line) - line.count(" ") for line in lines])
    ordered = np.sort(lengths)
    ranks = (np.searchsorted(ordered, lengths, "left") + np.searchsorted(ordered, lengths, "right")) / 2
    quantile = NormalDist().inv_cdf
    normal = np.array([quantile(rank / len(lines)) for rank in ranks])
    endings = np.array([_KINDS.find(line.rstrip(_CLOSING)[-1:].translate(_ENDINGS) or " ") for line in lines])
    numbers = np.zeros((len(lines), _BITS), np.bool_)
    for index, line in enumerate(lines):
        for number in _NUMBER.findall(line):
            numbers[index, crc32(str(int(number[:_DIGITS])).encode()) % _BITS] = True
    return _Features(normal, endings, numbers)


class _Sides:
    """What the sampled source and target lines have in common.

    Args:
        source: Features of the source lines.
        target: The same of the target lines beside them.
    """

    def __init__(self, source: _Features, target: _Features) -> None:
        self._source, self._target = source, target
        self.lines = len(source.lengths)
        self._gains = _gains(source, target)
        blocks = np.arange(self.lines) // BLOCK
        own = [np.bincount(blocks, _gains(side, side)) / np.bincount(blocks) for side in (source, target)]
        self._own: Floats = np.minimum(*own)[blocks]

    def suspicious(self) -> tuple[int, int] | None:
        """Find the part with least in common; None if it is too small, or its lines too much alike to tell anything."""
        first, last = _largest_sum(_SUSPICIOUS * self._own - self._gains)
        enough = last - first >= max(LEAST_PAIRS, _LEAST_SHARE * self.lines)
        return (first, last) if enough and self._own[first:last].mean() > _TELLING else None

    def unrelated(self, first: int, last: int) -> bool:
        """Whether the lines of a part have no more in common than any others."""
        gains, own = self._gains[first:last], self._own[first:last].mean()
        return bool(gains.mean() + 3 * _standard_error(gains) < _UNRELATED * own)

    def shift(self, first: int, last: int) -> int | None:
        """Find by how many lines the target comes too late where a part begins."""
        last = min(last, first + _TRIED)
        found = {shift: self._advantage(shift, first, last) for shift in range(-_SHIFTS, _SHIFTS + 1) if shift}
        best = max(found, key=lambda shift: found[shift].mean())
        least = max(_SUSPICIOUS * self._own[first:last].mean(), _CERTAIN * _standard_error(found[best]))
        return best if found[best].mean() > least else None

    def shifted(self, shift: int, first: int, last: int) -> tuple[int, int]:
        """Find where in a part, or around it, a shift begins to fit better than none."""
        begin, end = _largest_sum(self._advantage(shift, 0, self.lines))
        return (begin if begin < last else first), max(end, last)

    def _advantage(self, shift: int, first: int, last: int) -> Floats:
        """By how much a shift fits better than none: [lines], 0 where the sample lacks the other line."""
        places = np.arange(first, last)
        others = np.clip(places + shift, 0, self.lines - 1)
        advantage = _evidence(self._source, self._target, places, others) - _evidence(
            self._source, self._target, places, places
        )
        same_block = (places // BLOCK == others // BLOCK) & (others == places + shift)
        return np.where(same_block, advantage, 0.0)


def _gains(source: _Features, target: _Features) -> Floats:
    """How much likelier lines are to belong together than lines that stand near: [lines], in nats."""
    places = np.arange(len(source.lengths))
    starts = places // BLOCK * BLOCK
    sizes = np.minimum(BLOCK, len(places) - starts)
    near = [starts + (places - starts + distance) % sizes for distance in _NEIGHBOURS]
    together = _evidence(source, target, places, places)
    gains: Floats = together - np.mean([_evidence(source, target, places, others) for others in near], axis=0)
    return gains


def _evidence(source: _Features, target: _Features, i: Indices, j: Indices) -> Floats:
    """Logarithm of how much likelier source lines i and target lines j are as translations than by themselves: [lines].

    The probabilities are rough ones, for any pair of languages.
    """
    x, y, rest = source.lengths[i], target.lengths[j], 1 - _CORRELATION**2
    lengths = _CORRELATION * (2 * x * y - _CORRELATION * (x * x + y * y)) / (2 * rest) - math.log(rest) / 2
    shares = np.maximum(np.bincount(target.endings + 1, minlength=len(_KINDS) + 1) / len(target.endings), 0.02)
    share = shares[source.endings[i] + 1]
    alike = source.endings[i] == target.endings[j]
    endings = np.where(alike, np.log(0.7 / share), np.log(0.3 / np.maximum(1 - share, 0.02)))
    one, other = source.numbers[i], target.numbers[j]
    has_one, has_other, common = one.any(1), other.any(1), (one & other).any(1)
    numbers = np.where(has_one & has_other, np.where(common, 2.5, -1.5), np.where(has_one ^ has_other, -0.7, 0.0))
    evidence: Floats = np.clip(lengths, -4, 4) + np.clip(endings, -2, 3) + numbers
    return evidence


def _largest_sum(values: Floats) -> tuple[int, int]:
    """Find the part [first, last) with the largest sum."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    rises = sums - np.minimum.accumulate(sums)
    last = int(rises.argmax())
    return int(sums[: last + 1].argmin()), last


def _standard_error(values: Floats) -> float:
    return float(values.std() / math.sqrt(len(values)))
