"""Searching translations of ids in batches, and once more those that look wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import torch
from torch import Tensor

from nmt.config import DecodingConfig
from nmt.data.batching import longest_first
from nmt.decoding.beam_search import Hypothesis, SearchOptions, beam_search
from nmt.decoding.quality_checks import COVERED, count_dropped, count_repeated
from nmt.decoding.scoring import encode_sources
from nmt.decoding.translation import Status
from nmt.model.decoder import DecoderState
from nmt.model.native import NativeNetwork, can_run
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import parameters_of

Ids = Sequence[int]
Progress = Callable[[int], None]

_BATCH_TOKENS: Final = 16_384  # padded source tokens of a batch at most, whatever the batch size
_SCORES: Final = 32_000_000  # of next subwords, for all hypotheses of a batch: 128 MB
_RETRY_NGRAM: Final = 4  # n-grams of this size come once in the second search
_LOOP_COST: Final = 0.5  # by which the score of what ends a loop may be worse: a model in a loop is sure of it


@dataclass(frozen=True)
class Outcome:
    """What became of a sentence."""

    hypotheses: tuple[Hypothesis, ...]
    """Best first; none if the search found nothing."""
    status: Status
    """ok, retried or failed."""


class Searcher:
    """Searches translations of ids.

    On the CPU that is done by the network in native code, if it can be, else by `beam_search`.

    Args:
        model: The network; put into evaluation mode whenever it searches.
        decoding: How long translations may become.
        wordless: Target ids without a letter.
        precision: A key of `nmt.model.native.PRECISIONS`; others than float32 are of the native network alone.
        frozen: Whether the model is no longer trained: its weights are packed once, not for every search.
    """

    def __init__(
        self,
        model: Seq2Seq,
        decoding: DecodingConfig,
        wordless: Collection[int] = frozenset(),
        precision: str = "float32",
        frozen: bool = False,
    ) -> None:
        self.model = model
        self.decoding = decoding
        self._wordless = wordless
        self._precision = precision
        self._frozen = frozen
        self._native: NativeNetwork | None = None

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
        options.check()
        batch_size = min(batch_size, max(1, _SCORES // (options.beam_size * self.model.vocabulary_sizes[1])))
        if can_run(self.model):
            return self._search_native(sources, options, batch_size, progress)
        return self._search_reference(sources, options, batch_size, progress)

    def _search_native(
        self, sources: Sequence[Ids], options: SearchOptions, batch_size: int, progress: Progress | None
    ) -> list[list[Hypothesis]]:
        if not sources:
            return []
        native = self._native
        if native is None or not native.is_of(self.model):
            native = NativeNetwork(self.model, parameters_of(self.model), self._precision)
        if self._frozen:  # weights may be changed in ways that leave no trace
            self._native = native
        longest = max(map(len, sources)) + 1
        found = native.search(
            sources,
            self._limits(sources),
            asdict(options),
            min(batch_size, max(1, _BATCH_TOKENS // longest)),
            torch.get_num_threads(),
            progress,
        )
        return [
            [
                Hypothesis(each.tokens, each.log_probability, each.score, int((each.coverage[:-1] < COVERED).sum()))
                for each in hypotheses
            ]
            for hypotheses in found
        ]

    def _limits(self, sources: Sequence[Ids]) -> list[int]:
        """Longest translations, eos included."""
        decoding = self.decoding
        return [int(decoding.max_length_factor * len(ids)) + decoding.max_length_extra + 1 for ids in sources]

    def _search_reference(
        self, sources: Sequence[Ids], options: SearchOptions, batch_size: int, progress: Progress | None
    ) -> list[list[Hypothesis]]:
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for batch in longest_first([len(ids) + 1 for ids in sources], _BATCH_TOKENS, batch_size):
            results = self._search_batch([sources[index] for index in batch], options)
            for index, hypotheses in zip(batch, results, strict=True):
                found[index] = hypotheses
            if progress is not None:
                progress(len(batch))
        return found

    def search_checked(
        self, sources: Sequence[Ids], options: SearchOptions, batch_size: int, progress: Progress | None = None
    ) -> list[Outcome]:
        """Translate sentences; those whose translation is a loop, or missing, once more.

        The second search repeats no 4-gram, and costs what the first did for these few. What it finds replaces a first
        translation only for a reason (see `_better`). Where content seems to be dropped (`count_dropped`), another
        search finds nothing better: that is told only.

        Args:
            sources: Subword ids without eos, none empty.
            options: How to search at first.
            batch_size: Sentences searched at once, at most.
            progress: Called after every batch of the first search with the number of its sentences.

        Returns:
            The outcome for each.
        """
        first = self.search(sources, options, batch_size, progress)
        outcomes = [self._checked(ids, found) for ids, found in zip(sources, first, strict=True)]
        again = [
            index
            for index, (ids, found) in enumerate(zip(sources, first, strict=True))
            if not found or self._is_loop(ids, found[0])
        ]
        other = replace(options, no_repeat_ngram=_RETRY_NGRAM)
        second = self.search([sources[index] for index in again], other, batch_size)
        for index, found in zip(again, second, strict=True):
            outcomes[index] = self._better(sources[index], first[index], found)
        return outcomes

    def _checked(self, source: Ids, found: Sequence[Hypothesis]) -> Outcome:
        """Say of the translation of a source whether it looks right."""
        wrong = not found or self._is_loop(source, found[0]) or _drops(source, found[0])
        return Outcome(tuple(found), Status.FAILED if wrong else Status.OK)

    def _is_loop(self, source: Ids, hypothesis: Hypothesis) -> bool:
        return count_repeated(source, hypothesis.tokens, self._wordless) > 0

    def _better(self, source: Ids, first: Sequence[Hypothesis], second: Sequence[Hypothesis]) -> Outcome:
        """Choose between two searches of a sentence, of which the first found a loop or nothing.

        Args:
            source: The sentence.
            first: What the first search found.
            second: What the second found.

        Returns:
            What the second search found, if its best translation is no loop and drops nothing, and its score is not
            much worse than the loop's. Else what the first search found, as failed.
        """
        outcome = self._checked(source, second)
        cost = first[0].score - second[0].score if first and second else 0.0
        if outcome.status is Status.OK and cost <= _LOOP_COST:
            return replace(outcome, status=Status.RETRIED)
        return Outcome(tuple(first), Status.FAILED)

    @torch.inference_mode()
    def _search_batch(self, sources: Sequence[Ids], options: SearchOptions) -> list[list[Hypothesis]]:
        """Translate a batch, the longest sentence first."""
        model = self.model.eval()
        device = model.device
        start = model.start(encode_sources(model, sources))
        lengths = torch.tensor([len(ids) for ids in sources])
        places = torch.arange(start.attention.shape[1])
        beyond = (places >= lengths[:, None]).to(device, start.attention.dtype)  # [B, S]: what needs no attention

        def step(state: _State, tokens: Tensor) -> tuple[Tensor, _State]:
            log_probs, after = model.step(state.decoder, tokens.to(device))
            return log_probs, _State(after, state.coverage + state.decoder.attention)

        def reorder(state: _State, index: Tensor) -> _State:
            here = index.to(device)
            return _State(model.reorder(state.decoder, here), state.coverage[here.flatten()])

        return beam_search(step, reorder, _State(start, beyond), self._limits(sources), options, _uncovered)


@dataclass(frozen=True)
class _State:
    """Where a search stands."""

    decoder: DecoderState
    coverage: Tensor
    """[N, S], attention that each source subword received in all steps but the last, which may write eos: that one
    looks at what is still to be said."""


def _uncovered(state: _State, numbers: Sequence[int]) -> list[int]:
    """Count the source subwords of hypotheses that are not covered."""
    counts: list[int] = (state.coverage[list(numbers)] < COVERED).sum(dim=1).tolist()
    return counts


def _drops(source: Ids, hypothesis: Hypothesis) -> bool:
    """Whether a hypothesis seems to leave out much of its source."""
    return count_dropped(source, hypothesis.tokens, hypothesis.observed, hypothesis.log_probability) > 0
