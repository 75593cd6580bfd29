"""A document in, lines for a model out; their translations in, the document in another language out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.documents.document import Document, Languages, Left, Limits
from nmt.documents.flow import is_complete
from nmt.documents.formats import Format, read_document
from nmt.reading import read_given
from nmt.text.glossary import Glossary
from nmt.text.results import LineResult, TextResult
from nmt.text.segments import Segment, joined, plain
from nmt.text.translating import Job, TextTranslator

_SHOWN: Final = 60  # characters of a text in a report
_BAD: Final = (Status.FAILED, Status.DAMAGED, Status.UNKNOWN, Status.COPIED)


@dataclass(frozen=True)
class Doubt:
    """A text of a document that was not translated, or not well as far as the program can tell."""

    text: str
    """Its beginning."""
    status: Status


@dataclass(frozen=True)
class DocumentReport:
    """What became of a document."""

    format: str
    """Such as "docx"."""
    lines: int
    """Lines, paragraphs and the like that were given to the model."""
    statuses: Mapping[Status, int]
    """How many of them went how."""
    doubts: tuple[Doubt, ...]
    """Those that failed, were passed through, or hold what the model does not know."""
    left: tuple[Left, ...]
    """What was left as it is, and why."""
    missing: tuple[str, ...] = ()
    """Terms of the glossary that were not met."""


@dataclass(frozen=True)
class DocumentResult:
    """A document in another language."""

    content: bytes
    report: DocumentReport


class DocumentJob:
    """A document that is being translated; see `begin_document`.

    Args:
        format: What it is.
        document: It, taken apart.
        texts: What takes its texts apart.
        glossary: Terms that translations are to hold, and what is not to be translated.
    """

    def __init__(
        self, format: Format, document: Document, texts: TextTranslator, glossary: Glossary | None = None
    ) -> None:
        self.format, self._document = format, document
        self._job = texts.begin(document.texts, document.format, glossary=glossary)

    @property
    def job(self) -> Job:
        """The job of its texts."""
        return self._job

    @property
    def lines(self) -> list[str]:
        """What is to be translated: a line each."""
        return self._job.lines

    def settings(self, settings: TranslationSettings | None = None) -> TranslationSettings:
        """Return settings for the model that give what `finish` needs; see `nmt.text.translating.Job.settings`."""
        return self._job.settings(settings)

    def finish(self, translations: Sequence[Translation]) -> DocumentResult:
        """Write the document with the translations; to be called once.

        Args:
            translations: One for each of `lines`.

        Raises:
            ValueError: If there are not as many as lines.
        """
        results = [
            _checked(text, result)
            for text, result in zip(self._document.texts, self._job.finish(translations), strict=True)
        ]
        content = self._document.write(results)
        lines = [line for result in results for line in result.lines]
        doubts = tuple(Doubt(_shown(line.source), line.status) for line in lines if _is_doubt(line))
        missing = tuple(dict.fromkeys(term for result in results for term in result.missing))
        statuses = dict(Counter(line.status for line in lines))
        left = tuple(self._document.left)
        return DocumentResult(content, DocumentReport(self.format.name, len(lines), statuses, doubts, left, missing))


def begin_document(
    source: Path | bytes,
    name: str,
    texts: TextTranslator,
    limits: Limits | None = None,
    glossary: Glossary | None = None,
) -> DocumentJob:
    """Take a document apart.

    Nothing is translated here, so that a server may put the lines of many documents together:

        job = begin_document(content, "letter.docx", texts)
        result = job.finish(translator.translate_detailed(job.lines, job.settings()))

    Args:
        source: The document, or the file that holds it.
        name: The file's name, whose ending tells the format; nothing else is made of it.
        texts: What takes texts apart, and knows both languages.
        limits: How large it may be.
        glossary: Terms that translations are to hold, and what is not to be translated.

    Raises:
        DocumentError: It cannot be translated: its format is unknown or another than its name says, it is damaged, too
            large, or protected by a password.
        MissingError: A library is not installed.
        OSError: The file cannot be read.
    """
    limits = limits or Limits()
    content = read_given(source, limits.size) if isinstance(source, Path) else source
    found, document = read_document(content, name, Languages(texts.source, texts.target), limits)
    return DocumentJob(found, document, texts, glossary)


def translate_document(
    source: Path | bytes,
    name: str,
    texts: TextTranslator,
    translate: Callable[[DocumentJob], Sequence[Translation]],
    limits: Limits | None = None,
    glossary: Glossary | None = None,
) -> DocumentResult:
    """Translate a document.

    Args:
        source: As for `begin_document`.
        name: As for `begin_document`.
        texts: As for `begin_document`.
        translate: Gives a translation for each of a job's `lines`, by its `settings`.
        limits: As for `begin_document`.
        glossary: As for `begin_document`.

    Raises:
        DocumentError, MissingError, OSError: As by `begin_document`.
    """
    job = begin_document(source, name, texts, limits, glossary)
    return job.finish(translate(job))


def _checked(text: str | Segment, result: TextResult) -> TextResult:
    """Put the source in place of a translation that would break the markup, and say so."""
    if not isinstance(text, tuple) or is_complete(result.segment, text):
        return result
    lines = tuple(replace(line, text=line.source, status=Status.FAILED) for line in result.lines)
    return TextResult(plain(text), Status.FAILED, segment=joined(text), lines=lines)


def _is_doubt(line: LineResult) -> bool:
    return line.status in _BAD


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
