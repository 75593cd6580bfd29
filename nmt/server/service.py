"""What a service does for its routes, whoever asks: texts in, texts out; knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from nmt.decoding.translation import Status
from nmt.server.languages import Languages
from nmt.server.options import ServeOptions
from nmt.server.registry import Models
from nmt.server.translating import Key, Translating, searching
from nmt.text.results import TextResult
from nmt.text.translating import Job, TextTranslator

_AT_ONCE: Final = 5_000  # characters that are taken apart without another thread


class Detected(NamedTuple):
    """The language of a text."""

    language: str
    confidence: float
    """Per cent."""


class Asked(NamedTuple):
    """Texts that are to be translated."""

    texts: Sequence[str]
    source: str
    """Language code."""
    target: str
    """Language code."""
    format: str = "text"
    alternatives: int = 0


Gone = Callable[[Callable[[], object]], None]
"""Is given a function to call when nobody waits for an answer any more."""


class Service:
    """The models, the workers, and what stands between them and requests. Belongs to an event loop.

    Args:
        models: The models.
        translating: The workers.
        options: How to serve.
    """

    def __init__(self, models: Models, translating: Translating, options: ServeOptions) -> None:
        self.models, self.translating, self.options = models, translating, options
        self.languages = self._languages()

    async def reload(self) -> Sequence[str]:
        """Look again at the models; requests go on meanwhile. Returns what is wrong."""
        problems = await asyncio.to_thread(self.models.reload)
        self.languages = self._languages()
        return problems

    async def translate(self, asked: Asked, gone: Gone) -> list[TextResult]:
        """Translate texts of one language.

        Args:
            asked: The texts.
            gone: See `Gone`.

        Raises:
            Refused: The languages are unknown, there is too much to do, or it took too long.
        """
        source, target = self.languages.direction(asked.source, asked.target)
        asked = asked._replace(source=source, target=target)
        if source == target:
            return [TextResult(text, Status.COPIED) for text in asked.texts]
        small = sum(map(len, asked.texts)) <= _AT_ONCE
        job = _begin(asked) if small else await asyncio.to_thread(_begin, asked)
        key = Key(source, target, searching(job.settings(), self.options.beam_size))
        found = await self.translating.translate(key, job.lines, self.options.limits.seconds, gone)
        return job.finish(found) if small else await asyncio.to_thread(job.finish, found)

    def _languages(self) -> Languages:
        return Languages((each.source, each.target) for each in self.models.directions())


def _begin(asked: Asked) -> Job:
    return TextTranslator(asked.source, asked.target).begin(asked.texts, asked.format, asked.alternatives)
