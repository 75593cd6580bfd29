"""Text as people have it, around what `nmt translate` translates: placeholders, capitals, terms and markup."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from nmt.commands.progress import counted, progress
from nmt.data.text import CorpusError, Source
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import CHUNK_LINES, Translator
from nmt.terminal import tell
from nmt.text.glossary import Glossary
from nmt.text.results import TextResult
from nmt.text.translating import Job, TextFormat, TextTranslator

_WHO: Final = "nmt translate"
_LARGEST_PAGE: Final = 64 << 20  # bytes
_SHOWN: Final = 10  # terms
_FINE: Final = (Status.OK, Status.SPLIT, Status.RETRIED, Status.EMPTY, Status.COPIED)


class Texts:
    """Takes lines apart before they are translated, and puts them together again.

    Args:
        translator: Tells the languages.
        glossary: File of terms; None for none.

    Raises:
        GlossaryError: It is none.
        OSError: It cannot be read.
    """

    def __init__(self, translator: Translator, glossary: Path | None) -> None:
        self._texts = TextTranslator.for_model(translator)
        languages = (self._texts.source, self._texts.target)
        self._glossary = None if glossary is None else Glossary.read(glossary, languages)
        self._jobs: deque[Job] = deque()
        self._missing: Counter[str] = Counter()

    def begin(self, lines: Sequence[str]) -> list[str]:
        """Take lines apart; return what is to be translated."""
        self._jobs.append(self._texts.begin(lines, glossary=self._glossary))
        return self._jobs[-1].lines

    def finish(self, translations: Sequence[Translation]) -> list[Translation]:
        """Put the lines that began first together."""
        return [self._translation(result) for result in self._jobs.popleft().finish(translations)]

    def _translation(self, result: TextResult) -> Translation:
        """Make a translation of a line of its parts, of which there is mostly one."""
        self._missing.update(result.missing)
        only = result.lines[0] if len(result.lines) == 1 else None
        text = " ".join(result.text.splitlines()).strip()
        links = only.alignment if only is not None else None
        if only is None or only.best is None:
            return Translation(text, result.status, (), links)
        return Translation(text, result.status, (replace(only.best, text=text, alignment=links),), links)

    def translate_page(
        self, translator: Translator, source: Source, target: BinaryIO, settings: TranslationSettings
    ) -> None:
        """Translate a page of HTML, or a part of one.

        Args:
            translator: The model.
            source: The page, in UTF-8.
            target: Receives it.
            settings: How to search.

        Raises:
            CorpusError: It is too long, or no UTF-8.
        """
        content = source.file.read(_LARGEST_PAGE + 1)
        if len(content) > _LARGEST_PAGE:
            raise CorpusError(f"{source.name}: expected at most {_LARGEST_PAGE:,} bytes of HTML, got more")
        try:
            page = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{source.name}: expected UTF-8, got byte 0x{content[error.start]:02x} at {error.start:,}"
            ) from None
        job = self._texts.begin([page], TextFormat.HTML, glossary=self._glossary)
        with progress(_WHO) as show:
            done = counted(show, max(1, len(job.lines)))
            translated = [
                each for some in translator.translate_chunks(_chunks(job.lines), settings, done) for each in some
            ]
        [result] = job.finish(translated)
        target.write(result.text.encode("utf-8"))
        doubts = Counter(line.status for line in result.lines if line.status not in _FINE)
        if doubts:
            counts = ", ".join(f"{count:,} {status}" for status, count in doubts.most_common())
            tell(_WHO, f"of {len(result.lines):,} paragraphs and attributes: {counts}")
        self._missing.update(result.missing)
        self.tell()

    def tell(self) -> None:
        """Say which terms of the glossary were not met, and how often."""
        if self._missing:
            terms = ", ".join(f"{term} ({count:,})" for term, count in self._missing.most_common(_SHOWN))
            more = ", and others" if len(self._missing) > _SHOWN else ""
            tell(_WHO, f"terms of the glossary that the translations lack: {terms}{more}")


def _chunks(lines: Sequence[str]) -> Iterator[list[str]]:
    left = iter(lines)
    while some := list(islice(left, CHUNK_LINES)):
        yield some
