"""What a service does for its routes, whoever asks: texts in, texts out; knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.server.detection import Detector
from nmt.server.errors import Refused
from nmt.server.languages import Languages
from nmt.server.options import ServeOptions
from nmt.server.registry import Models
from nmt.server.translating import Key, Translating, searching
from nmt.text.glossary import Glossary
from nmt.text.results import TextResult
from nmt.text.translating import Job, TextTranslator

AUTO: Final = "auto"
"""The source language of texts whose language is to be found out."""

_AT_ONCE: Final = 2_000  # characters that are taken apart without another thread
_TELLING: Final = 40  # characters from which a text tells its language by itself
_PART: Final = 200  # lines of a document that wait at a time
_PATIENCE: Final = 0.5  # seconds after which a document that found the queue full asks again


class Detected(NamedTuple):
    """The language of a text."""

    language: str
    """Its code."""
    confidence: float
    """Per cent."""


class Asked(NamedTuple):
    """Texts that are to be translated."""

    texts: Sequence[str]
    source: str
    """Language code, or `AUTO`."""
    target: str
    """Language code."""
    format: str = "text"
    alternatives: int = 0
    details: bool = False
    """Whether the lines of the results come with alignments."""
    glossary: Glossary | None = None
    """Terms that translations are to hold, and what is not to be translated."""


class Found(NamedTuple):
    """What became of texts."""

    results: list[TextResult]
    detected: list[Detected] | None
    """The language of each, if nobody said it."""


class Progress:
    """How far a document is.

    Args:
        lines: How many it has.
    """

    def __init__(self, lines: int) -> None:
        self.lines, self.done = lines, 0


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
        self.documents: dict[Progress, None] = {}
        """Those that are being translated."""
        self._detector = Detector(())
        self._look_again()

    async def reload(self) -> Sequence[str]:
        """Look again at the models; requests go on meanwhile. Returns what is wrong."""
        problems = await asyncio.to_thread(self.models.reload)
        self._look_again()
        return problems

    async def refresh(self) -> Sequence[str] | None:
        """Look again at the models if their files have changed. Returns what is wrong; None if nothing has changed."""
        problems = await asyncio.to_thread(self.models.refresh)
        self._look_again()  # a request that found a file gone may have reloaded them
        return problems

    async def translate(self, asked: Asked, gone: Gone) -> Found:
        """Translate texts.

        Args:
            asked: The texts.
            gone: See `Gone`.

        Raises:
            Refused: The languages are unknown, there is too much to do, or it took too long.
        """
        self.translating.require_room()
        if asked.source != AUTO:
            return Found(await self._translate(asked, gone), None)
        self.languages.find(asked.target)
        detected = await self._detect_all(asked.texts)
        results: list[TextResult | None] = [None] * len(asked.texts)
        for source in dict.fromkeys(each.language for each in detected):
            places = [place for place, each in enumerate(detected) if each.language == source]
            part = asked._replace(texts=[asked.texts[place] for place in places], source=source)
            for place, result in zip(places, await self._translate(part, gone), strict=True):
                results[place] = result
        return Found([each for each in results if each is not None], detected)

    async def prepare(self) -> None:
        """Read what detection needs, so that the first who asks need not wait for it."""
        if len(self._detector.languages) > 1:
            await asyncio.to_thread(self._detector.prepare)

    async def detect(self, text: str) -> list[Detected]:
        """Tell which languages a text may be in, the surest first; none for a text without letters."""
        found = await asyncio.to_thread(self._detector.detect, text)
        return [Detected(code, round(100 * confidence, 1)) for code, confidence in found if confidence >= 0.0005]

    async def translate_lines(
        self,
        direction: tuple[str, str],
        lines: Sequence[str],
        settings: TranslationSettings,
        gone: Gone,
        seconds: float,
    ) -> list[Translation]:
        """Translate as many lines as a document may have, some at a time, and wait where others fill the queue.

        Args:
            direction: Codes of served languages.
            lines: The lines.
            settings: How to translate.
            gone: See `Gone`.
            seconds: In which it is to be done.

        Raises:
            Refused: It took too long.
        """
        key = Key(*direction, searching(settings, self.options.beam_size))
        found: list[Translation] = []
        self.documents[progress := Progress(len(lines))] = None
        try:
            async with asyncio.timeout(seconds):
                while len(found) < len(lines):
                    part = lines[len(found) : len(found) + _PART]
                    try:
                        found += await self.translating.translate(key, part, seconds, gone)
                        progress.done = len(found)
                    except Refused as error:
                        if error.status != 503 or self.translating.is_stopping:
                            raise
                        await asyncio.sleep(_PATIENCE)
        except TimeoutError:
            raise Refused(504, f"Not translated within {seconds:g} seconds") from None
        finally:
            del self.documents[progress]
        return found

    async def _translate(self, asked: Asked, gone: Gone) -> list[TextResult]:
        source, target = self.languages.direction(asked.source, asked.target)
        asked = asked._replace(source=source, target=target)
        if source == target:
            return [TextResult(text, Status.COPIED) for text in asked.texts]
        small = sum(map(len, asked.texts)) <= _AT_ONCE
        job = _begin(asked) if small else await asyncio.to_thread(_begin, asked)
        settings = job.settings()
        if asked.details:
            settings = replace(settings, alignments=True)
        key = Key(source, target, searching(settings, self.options.beam_size))
        found = await self.translating.translate(key, job.lines, self.options.limits.seconds, gone)
        return job.finish(found) if small else await asyncio.to_thread(job.finish, found)

    async def _detect_all(self, texts: Sequence[str]) -> list[Detected]:
        """Tell the language of each text; of those that are short, the language of all together."""
        together = await self.language_of("\n".join(texts))
        return [await self.language_of(text) if len(text) > _TELLING and len(texts) > 1 else together for text in texts]

    async def language_of(self, text: str) -> Detected:
        """Tell the language of a text; of one without letters, the first that is served."""
        found = await self.detect(text)
        return found[0] if found else Detected(self._first, 0.0)

    def _look_again(self) -> None:
        directions = self.models.directions()
        self.languages = Languages((each.source, each.target) for each in directions)
        self._first = directions[0].source if directions else ""  # what stands for no language, as in "123"
        codes = tuple(each.code for each in self.languages.all)
        if self._detector.languages != codes:  # else it keeps what it has read
            self._detector = Detector(codes)


def _begin(asked: Asked) -> Job:
    return TextTranslator(asked.source, asked.target).begin(
        asked.texts, asked.format, asked.alternatives, asked.glossary
    )
