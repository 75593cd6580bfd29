"""Many sentences through the search, in batches; what looks wrong is searched again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from nmt.config import DecodingConfig
from nmt.decoding.batches import make_batches
from nmt.decoding.beam_search import Hypothesis, SearchOptions, beam_search
from nmt.decoding.quality_checks import doubt
from nmt.decoding.scoring import attention, encode_sources
from nmt.decoding.status import Status
from nmt.model.decoder import DecoderState
from nmt.model.seq2seq import Seq2Seq

Ids = Sequence[int]
Progress = Callable[[int], None]

_BATCH_TOKENS: Final = 16_384  # padded source tokens of a batch at most, whatever the batch size
_RETRY_BEAM: Final = 10  # hypotheses of a second search, if the first had not half as many
_RETRY_RESULTS: Final = 5  # how many of them are looked at
_RETRY_NGRAM: Final = 4  # the second search says nothing of this many subwords twice


@dataclass(frozen=True)
class Outcome:
    """What became of a sentence."""

    hypotheses: tuple[Hypothesis, ...]
    """Best first; none if the search found nothing."""
    status: Status
    """ok, retried or failed."""


class Searcher:
    """Searches translations of ids.

    Args:
        model: The network; put into evaluation mode whenever it searches.
        decoding: How long translations may become.
    """

    def __init__(self, model: Seq2Seq, decoding: DecodingConfig) -> None:
        self.model = model
        self.decoding = decoding

    def search(
        self, sources: Sequence[Ids], options: SearchOptions, batch_size: int, progress: Progress | None = None
    ) -> list[list[Hypothesis]]:
        """Translate sentences.

        Args:
            sources: Subword ids without eos, none empty.
            options: How to search.
            batch_size: Sentences searched at once, at most.
            progress: Called after every batch with the number of its sentences.

        Returns:
            The hypotheses of each, best first.
        """
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for batch in make_batches([len(ids) + 1 for ids in sources], batch_size, _BATCH_TOKENS):
            results = self._search_batch([sources[index] for index in batch], options)
            for index, hypotheses in zip(batch, results, strict=True):
                found[index] = hypotheses
            if progress is not None:
                progress(len(batch))
        return found

    def search_checked(
        self, sources: Sequence[Ids], options: SearchOptions, batch_size: int, progress: Progress | None = None
    ) -> list[Outcome]:
        """Translate sentences; those whose translation looks wrong once more (see `nmt.decoding.quality_checks`).

        The second search is wider and repeats no 4-gram. Its best hypothesis that looks right is taken; if none does,
        the one of both searches that is least in doubt, and the sentence has failed.

        Args:
            sources: Subword ids without eos, none empty.
            options: How to search at first.
            batch_size: Sentences searched at once, at most.
            progress: Called after every batch of the first search with the number of its sentences.

        Returns:
            The outcome for each.
        """
        first = self.search(sources, options, batch_size, progress)
        doubts = self._doubts(sources, [hypotheses[:1] for hypotheses in first])
        outcomes = [Outcome(tuple(hypotheses), Status.OK) for hypotheses in first]
        wrong = [index for index, each in enumerate(doubts) if each != [0]]
        beam_size = max(_RETRY_BEAM, 2 * options.beam_size)
        wider = replace(
            options, beam_size=beam_size, n_best=max(_RETRY_RESULTS, options.n_best), no_repeat_ngram=_RETRY_NGRAM
        )
        second = self.search([sources[index] for index in wrong], wider, batch_size)
        again = self._doubts([sources[index] for index in wrong], [found[:_RETRY_RESULTS] for found in second])
        for index, hypotheses, their_doubts in zip(wrong, second, again, strict=True):
            outcomes[index] = better(first[index], doubts[index], hypotheses, their_doubts, options.n_best)
        return outcomes

    def _doubts(self, sources: Sequence[Ids], hypotheses: Sequence[Sequence[Hypothesis]]) -> list[list[int]]:
        """Doubt of every hypothesis of every sentence."""
        pairs = [(ids, each.tokens) for ids, found in zip(sources, hypotheses, strict=True) for each in found]
        counted = [0] * len(pairs)
        for index, weights in attention(self.model, [ids for ids, _ in pairs], [tokens for _, tokens in pairs]):
            counted[index] = doubt(*pairs[index], weights)
        doubts = iter(counted)
        return [[next(doubts) for _ in found] for found in hypotheses]

    @torch.inference_mode()
    def _search_batch(self, sources: Sequence[Ids], options: SearchOptions) -> list[list[Hypothesis]]:
        """Translate a batch, the longest sentence first."""
        model, decoding = self.model.eval(), self.decoding
        device = model.device
        state = model.start(encode_sources(model, sources))
        limits = [int(decoding.max_length_factor * len(ids)) + decoding.max_length_extra + 1 for ids in sources]

        def step(state: DecoderState, tokens: Tensor) -> tuple[Tensor, DecoderState]:
            return model.step(state, tokens.to(device))

        def reorder(state: DecoderState, index: Tensor) -> DecoderState:
            return model.reorder(state, index.to(device))

        return beam_search(step, reorder, state, limits, options)


def better(
    first: Sequence[Hypothesis],
    first_doubts: Sequence[int],
    second: Sequence[Hypothesis],
    second_doubts: Sequence[int],
    n_best: int,
) -> Outcome:
    """Choose between two searches of a sentence.

    Args:
        first: What the first search found.
        first_doubts: How much of its hypotheses is in doubt, of as many as were looked at.
        second: What the second found.
        second_doubts: The same.
        n_best: Hypotheses to keep.

    Returns:
        The hypothesis least in doubt, of equal ones that of the first search and of the better rank, before the others
        of its search.
    """
    ranked = [(value, 0, rank) for rank, value in enumerate(first_doubts)]
    ranked += [(value, 1, rank) for rank, value in enumerate(second_doubts)]
    if not ranked:
        return Outcome((), Status.FAILED)
    value, search, rank = min(ranked)
    hypotheses = list(second if search else first)
    best = hypotheses.pop(rank)
    return Outcome((best, *hypotheses)[:n_best], Status.FAILED if value else Status.RETRIED)
