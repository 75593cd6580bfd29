"""Subword regularisation: other segmentations of a sentence, drawn at random, so that a network sees many spellings.

SentencePiece can draw, too, but salts its generator anew in every process: no seed makes two runs alike.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Final, Literal, NamedTuple

from nmt.data.subwords import SPECIAL, UNK, Subwords

_WORDS = re.compile("▁[^▁]*|[^▁]+")
"""A space stands only at the beginning of a piece, so that the words of a sentence are segmented one by one."""
_REMEMBERED: Final = 20_000
"""Words whose lattice is kept: those that come again and again."""
_LONG: Final = 20
"""Characters of a word that is not kept: a sentence of a script without spaces, which does not come again."""


class _Arcs(NamedTuple):
    """The pieces that end at one place of a word: which one ends a random segmentation of all before that place."""

    totals: list[float]
    """Running totals of their weights."""
    pieces: list[tuple[int, int]]
    """Id and beginning of each."""


class SubwordSampler:
    """Draws segmentations.

    For a unigram vocabulary, segmentations have the probabilities of the model to the power of `alpha`, normalised: the
    smaller it is, the more varied they are. For a bpe vocabulary, each possible merge is passed over with probability
    `alpha` whenever the next one is chosen.

    Args:
        subwords: The vocabulary.
        kind: Its `data.subword_model`.
        alpha: See above, 0..1.

    Source: Kudo 2018, sections 3.1 and 3.2 (unigram); Provilkov et al. 2020, algorithm 1 (bpe).
    """

    def __init__(self, subwords: Subwords, kind: Literal["unigram", "bpe"], alpha: float) -> None:
        scores = subwords.scores()
        self._pieces = [subwords.piece(index) for index in range(subwords.size)]
        self._first = SPECIAL + len(subwords.tags)
        self._ids = {piece: index for index, piece in enumerate(self._pieces) if index >= self._first}
        self._scores = {piece: scores[index] for piece, index in self._ids.items()}
        self._longest = max(map(len, self._ids), default=1)
        self._alpha = alpha
        self._draw = {"unigram": self._draw_unigram, "bpe": self._draw_bpe}[kind]
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._lattice)

    def sample(self, ids: Sequence[int], random: Random) -> list[int]:
        """Draw another segmentation of a sentence.

        Args:
            ids: Its subwords.
            random: Where chance comes from.

        Returns:
            Subwords that spell the same; the given ones if there is an unknown one among them, which does not tell what
            it stands for.
        """
        if UNK in ids:
            return list(ids)
        if ids and ids[0] < self._first:  # tells the target language, and spells nothing
            return [ids[0], *self.sample(ids[1:], random)]
        pieces = self._pieces
        words = _WORDS.findall("".join([pieces[index] for index in ids]))
        return [index for word in words for index in self._draw(word, random)]

    def _draw_unigram(self, word: str, random: Random) -> list[int]:
        """Walk back through the lattice of a word, choosing an arc at each place."""
        lattice = self._remembered(word) if len(word) <= _LONG else self._lattice(word)
        drawn = []
        place = len(word)
        while place:
            totals, pieces = lattice[place]
            index, place = pieces[bisect(totals, random.random() * totals[-1]) if len(pieces) > 1 else 0]
            drawn.append(index)
        return drawn[::-1]

    def _lattice(self, word: str) -> list[_Arcs]:
        """List the arcs into every place of a word, each weighted by all segmentations that end with it."""
        alpha, ids, scores = self._alpha, self._ids, self._scores
        lattice = [_Arcs([], [])]
        logs = [0.0]  # of the sum over all segmentations that end at a place
        for end in range(1, len(word) + 1):
            arcs, weights = [], []
            for begin in range(max(0, end - self._longest), end):
                score = scores.get(word[begin:end])
                if score is not None and logs[begin] > -math.inf:
                    arcs.append((ids[word[begin:end]], begin))
                    weights.append(logs[begin] + alpha * score)
            highest = max(weights, default=-math.inf)
            total, totals = 0.0, []
            for weight in weights:
                total += math.exp(weight - highest)
                totals.append(total)
            logs.append(highest + math.log(total) if total else -math.inf)
            lattice.append(_Arcs(totals, arcs))
        return lattice

    def _draw_bpe(self, word: str, random: Random) -> list[int]:
        """Merge the characters of a word, best merge first, passing over some by chance."""
        scores, alpha = self._scores, self._alpha
        symbols = list(word)
        while True:
            best, place = -math.inf, -1
            for index in range(len(symbols) - 1):
                score = scores.get(symbols[index] + symbols[index + 1])
                if score is not None and score > best and random.random() >= alpha:
                    best, place = score, index
            if place < 0:
                return [self._ids[symbol] for symbol in symbols]
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
