"""Searching translations of ids in batches, and once more those that look wrong; imports no torch."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nmt.decoding.hypotheses import Hypothesis, SearchError, SearchOptions
from nmt.decoding.network import Ids, Network, Progress
from nmt.decoding.quality_checks import count_dropped, count_repeated
from nmt.decoding.translation import Status, TranslationSettings
from nmt.values import BATCH_SIZE, BEAM_SIZE, LENGTH_PENALTY, N_BEST

if TYPE_CHECKING:
    from nmt.brief import DecodingSettings
    from nmt.config import DecodingConfig

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
    """Searches translations of ids with a network.

    Args:
        network: What searches.
        decoding: How long translations may become.
        wordless: Target ids without a letter.
    """

    def __init__(
        self, network: Network, decoding: DecodingConfig | DecodingSettings, wordless: Container[int] = frozenset()
    ) -> None:
        self.network = network
        self.decoding = decoding
        self._wordless = wordless

    def search(
        self,
        sources: Sequence[Ids],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
    ) -> list[list[Hypothesis]]:
        """Translate sentences.

        Args:
            sources: Subword ids without eos, none empty.
            options: How to search.
            batch_size: Sentences searched at once, at most.
            progress: Called after every batch with the number of its sentences.
            prefixes: Target subwords that the translation of each begins with.

        Returns:
            The hypotheses of each, best first, or as they were drawn.
        """
        options.check()
        if not sources:
            return []
        batch_size = min(batch_size, max(1, _SCORES // (options.beam_size * self.network.vocabulary_sizes[1])))
        limits = self._limits(sources, prefixes or [()] * len(sources), options.max_length)
        return self.network.search(sources, limits, options, batch_size, progress, prefixes)

    def _limits(self, sources: Sequence[Ids], prefixes: Sequence[Ids], most: int | None) -> list[int]:
        """Longest translations, eos included: long enough for something to follow a prefix, if `most` allows it."""
        factor, extra = self.decoding.max_length_factor, self.decoding.max_length_extra
        limits = []
        for ids, prefix in zip(sources, prefixes, strict=True):
            usual = max(int(factor * len(ids)), len(prefix)) + extra
            limits.append(1 + (usual if most is None else min(usual, max(most, len(prefix)))))
        return limits

    def search_checked(
        self,
        sources: Sequence[Ids],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
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
            prefixes: Target subwords that the translation of each begins with.

        Returns:
            The outcome for each.
        """
        first = self.search(sources, options, batch_size, progress, prefixes)
        outcomes = [self._checked(ids, found) for ids, found in zip(sources, first, strict=True)]
        again = [
            index
            for index, (ids, found) in enumerate(zip(sources, first, strict=True))
            if not found or self._is_loop(ids, found[0])
        ]
        other = replace(options, no_repeat_ngram=min(options.no_repeat_ngram or _RETRY_NGRAM, _RETRY_NGRAM))
        starts = [prefixes[index] for index in again] if prefixes else None
        second = self.search([sources[index] for index in again], other, batch_size, None, starts)
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


def _drops(source: Ids, hypothesis: Hypothesis) -> bool:
    """Whether a hypothesis seems to leave out much of its source."""
    return count_dropped(source, hypothesis.tokens, hypothesis.observed, hypothesis.log_probability) > 0


def search_options(
    settings: TranslationSettings, defaults: DecodingConfig | DecodingSettings
) -> tuple[SearchOptions, int]:
    """Say how to search, and how many sentences at once.

    Args:
        settings: What is asked for.
        defaults: What holds where nothing is.

    Raises:
        SearchError: A setting is out of bounds.
    """
    for name, value, bounds in (
        ("beam_size", settings.beam_size, BEAM_SIZE),
        ("length_penalty", settings.length_penalty, LENGTH_PENALTY),
        ("batch_size", settings.batch_size, BATCH_SIZE),
        ("n_best", settings.n_best, N_BEST),
    ):
        if (value is not None or name == "n_best") and (problem := bounds.check(name, value)):
            raise SearchError(problem)
    if settings.beam_size is not None:
        beam_size = settings.beam_size
    else:
        beam_size = settings.n_best if settings.sampling else max(defaults.beam_size, settings.n_best)
    options = SearchOptions(
        beam_size=beam_size,
        length_penalty=defaults.length_penalty if settings.length_penalty is None else settings.length_penalty,
        n_best=settings.n_best,
        no_repeat_ngram=settings.no_repeat_ngram,
        min_length=settings.min_length,
        max_length=settings.max_length,
        sampling=settings.sampling,
        attention=settings.alignments,
    )
    options.check()
    return options, defaults.batch_size if settings.batch_size is None else settings.batch_size
