"""Pieces of lines in, what became of each out: the search, its texts, links and doubts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nmt.data.subwords import Subwords
from nmt.data.text import gather
from nmt.decoding.alignment import Links, link_words, words_of_pieces, words_of_source
from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.lines import LineCutter, one_line
from nmt.decoding.network import Ids, Progress
from nmt.decoding.searching import Outcome, Searcher
from nmt.decoding.splitting import Piece
from nmt.decoding.translation import Candidate, PieceKey, PieceResult, Status, worst

_MOST: Final = 10_000  # pieces, and
_WEIGHTS: Final = 16_000_000  # attention weights that are in memory at a time


class PieceTranslator:
    """Translates pieces.

    Args:
        searcher: Translates ids.
        source_subwords: The source's subword model.
        target_subwords: The target's subword model.
        cutter: Knows of a source what is strange.
        doubtful: Log-probability per subword below which a translation is doubtful; None if nobody knows.
    """

    def __init__(
        self,
        searcher: Searcher,
        source_subwords: Subwords,
        target_subwords: Subwords,
        cutter: LineCutter,
        doubtful: float | None,
    ) -> None:
        self._searcher = searcher
        self._source_subwords = source_subwords
        self._target_subwords = target_subwords
        self._cutter = cutter
        self._doubtful = doubtful

    def translate(
        self,
        ids_of: Mapping[PieceKey, Ids],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        *,
        retry: bool,
    ) -> dict[PieceKey, PieceResult]:
        """Translate pieces.

        Args:
            ids_of: The subwords of each, without eos, none empty.
            options: How to search; with attention, words are linked.
            batch_size: Pieces searched at once, at most.
            progress: Called after every batch with the number of its pieces.
            retry: Whether to check translations, and search once more what looks wrong.

        Returns:
            What became of each.
        """
        results: dict[PieceKey, PieceResult] = {}
        # Attention takes as many values as there are pairs of subwords: links are made of some of it at a time.
        items = ids_of.items()
        for some in gather(items, _weights(options), _MOST, _WEIGHTS) if options.attention else [list(items)]:
            outcomes = self._search(some, options, batch_size, progress, retry=retry)
            results |= self._results(dict(some), outcomes, aligned=options.attention)
        return results

    def _search(
        self,
        pieces: Sequence[tuple[PieceKey, Ids]],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None,
        *,
        retry: bool,
    ) -> list[Outcome]:
        """Search translations of pieces."""
        sources = [ids for _, ids in pieces]
        prefixes = [prefix for (_, prefix), _ in pieces] if any(prefix for (_, prefix), _ in pieces) else None
        if retry:
            return self._searcher.search_checked(sources, options, batch_size, progress, prefixes)
        found = self._searcher.search(sources, options, batch_size, progress, prefixes)
        return [Outcome(tuple(each), Status.OK if each else Status.FAILED) for each in found]

    def _results(
        self, sources: Mapping[PieceKey, Ids], outcomes: Sequence[Outcome], *, aligned: bool
    ) -> dict[PieceKey, PieceResult]:
        """Turn the hypotheses for each piece into texts and links."""
        pairs = [
            (piece, hypothesis)
            for piece, outcome in zip(sources, outcomes, strict=True)
            for hypothesis in outcome.hypotheses
        ]
        tokens = [hypothesis.tokens for _, hypothesis in pairs]
        links = [self._links(piece[0], sources[piece], found) if aligned else None for piece, found in pairs]
        texts = self._target_subwords.decode_lines(tokens)
        candidates = iter(
            [
                Candidate(_as_written(text), hypothesis.score, hypothesis.log_probability, linked)
                for text, (_, hypothesis), linked in zip(texts, pairs, links, strict=True)
            ]
        )
        return {
            piece: PieceResult(
                Piece(piece[0], ""),
                worst(outcome.status, self._doubt(sources[piece], outcome)),
                [next(candidates) for _ in outcome.hypotheses],
                [len(each.tokens) + 1 for each in outcome.hypotheses],
            )
            for piece, outcome in zip(sources, outcomes, strict=True)
        }

    def _links(self, text: str, ids: Ids, found: Hypothesis) -> Links:
        """Link the words of a piece to those of a translation, by the attention from which it came."""
        assert found.attention is not None
        pieces = [self._target_subwords.piece(each) for each in found.tokens]
        return link_words(found.attention, words_of_source(self._source_subwords, text, ids), words_of_pieces(pieces))

    def _doubt(self, source: Ids, outcome: Outcome) -> Status:
        """Say what speaks against the translation of a source beside the checks of the search."""
        if self._cutter.has_unknown(source):
            return Status.UNKNOWN
        best = outcome.hypotheses[0] if outcome.hypotheses else None
        least = -math.inf if self._doubtful is None else self._doubtful
        unsure = best is not None and best.log_probability < least * (len(best.tokens) + 1)
        return Status.DOUBTFUL if unsure or self._cutter.is_strange(source) else Status.OK


def _as_written(text: str) -> str:
    """A line whose words have one space between them, as in what a model is trained on.

    A space that is a subword by itself may come before a word that brings its own.
    """
    return " ".join(word for word in one_line(text).split(" ") if word)


def _weights(options: SearchOptions) -> Callable[[tuple[PieceKey, Ids]], int]:
    """About the attention weights of a piece's hypotheses: most translations are less than twice as long."""
    return lambda piece: options.n_best * (len(piece[1]) + 1) * (2 * len(piece[1]) + 1)
