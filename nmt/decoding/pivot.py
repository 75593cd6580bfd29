"""Translating through a third language, where no model knows both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, Self

from nmt.decoding.alignment import Links
from nmt.decoding.network import Progress
from nmt.decoding.translation import Candidate, Status, Translation, TranslationSettings, worst


class Translates(Protocol):
    """What turns lines into translations, be it one model or two."""

    def translate_detailed(
        self,
        lines: Sequence[str],
        settings: TranslationSettings | None = None,
        progress: Progress | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[Translation]:
        """See `nmt.decoding.translator.Translator.translate_detailed`."""
        ...

    def with_threads(self, threads: int) -> Self:
        """See `nmt.decoding.translator.Translator.with_threads`."""
        ...


class PivotTranslator:
    """Two translators, of which the second goes on with what the first found best.

    Settings hold for both, but that `n_best`, `min_length`, `max_length`, sampling and prefixes are for the second
    alone. Scores are the second's: what it thinks of its translation of the first one's. A line has the worse of both
    statuses; links of words go through the words between.

    Args:
        first: To the language between.
        second: From there.
    """

    def __init__(self, first: Translates, second: Translates) -> None:
        self._first, self._second = first, second

    def translate_detailed(
        self,
        lines: Sequence[str],
        settings: TranslationSettings | None = None,
        progress: Progress | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[Translation]:
        """Translate lines; see `nmt.decoding.translator.Translator.translate_detailed`."""
        settings = settings or TranslationSettings()
        there = replace(settings, n_best=1, min_length=0, max_length=None, sampling=None)
        between = self._first.translate_detailed(lines, there)
        found = self._second.translate_detailed([each.text for each in between], settings, progress, prefixes)
        return [_joined(*each) for each in zip(between, found, strict=True)]

    def with_threads(self, threads: int) -> Self:
        """Return the same, of whose calls each uses so many threads."""
        return type(self)(self._first.with_threads(threads), self._second.with_threads(threads))


def _joined(first: Translation, second: Translation) -> Translation:
    """Make one translation of two, the second of which is of the first."""
    if first.status is Status.EMPTY:
        return first
    links = first.alignment
    hypotheses = tuple(_through(each, links) for each in second.hypotheses)
    alignment = _chained(links, second.alignment)
    return Translation(second.text, _status(first.status, second.status), hypotheses, alignment)


def _status(first: Status, second: Status) -> Status:
    """Say how a line went whose parts of the way went so, the first not empty."""
    if second is Status.EMPTY:  # nothing came of the first
        return worst(Status.FAILED, Status.OK if first is Status.COPIED else first)
    if first is Status.COPIED:
        return second
    return worst(first, Status.UNKNOWN if second is Status.COPIED else second)


def _through(candidate: Candidate, links: Links | None) -> Candidate:
    return replace(candidate, alignment=_chained(links, candidate.alignment))


def _chained(first: Links | None, second: Links | None) -> Links | None:
    """Link source and target words that are linked to the same word between."""
    if first is None or second is None:
        return None
    sources: dict[int, list[int]] = {}
    for source, word in first:
        sources.setdefault(word, []).append(source)
    return tuple(sorted({(source, target) for word, target in second for source in sources.get(word, ())}))
