"""The formats: a row each; and which one a document is of, by its name and by what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath
from typing import Final, NamedTuple, cast

from nmt.documents.document import Document, DocumentError, Languages, Limits
from nmt.documents.package import Package
from nmt.extras import MissingError


class Given(NamedTuple):
    """A document as it comes."""

    content: bytes
    name: str
    """The file's name, for errors."""
    languages: Languages
    limits: Limits

    def package(self) -> Package:
        """Open it as a zipped document; raises DocumentError."""
        return Package(self.content, self.name, self.limits)


Read = Callable[[Given], Document]
"""Takes a document apart; raises DocumentError."""


@dataclass(frozen=True)
class Format:
    """A kind of document. The module of its name, or `module`, has a function `read`, which is a `Read`."""

    name: str
    suffixes: tuple[str, ...]
    """What names of files end in."""
    media_type: str
    """What it is called in HTTP."""
    is_text: bool = True
    """Whether only its name tells it from other text; else what it holds does."""
    needs: tuple[str, ...] = ()
    """Libraries that are not installed with the package unless asked for."""
    module: str = ""

    def read(self, given: Given) -> Document:
        """Take a document apart.

        Raises:
            DocumentError: It cannot be translated.
            MissingError: A library is not installed.
        """
        for library in self.needs:
            if find_spec(library) is None:
                raise MissingError(
                    f"documents of this kind (.{self.name}) need {library}, which is not installed: "
                    'pip install "nmt-rnn[documents]"'
                )
        try:
            return cast(Read, import_module(f"nmt.documents.{self.module or self.name}").read)(given)
        except RecursionError:
            raise DocumentError(f"{given.name}: expected less that is nested in each other") from None


_XML: Final = ("lxml",)

FORMATS: Final = (
    Format("txt", (".txt", ".text"), "text/plain", module="plain"),
    Format("html", (".html", ".htm", ".xhtml"), "text/html"),
    Format("md", (".md", ".markdown"), "text/markdown", needs=("markdown_it",), module="markdown"),
    Format(
        "docx",
        (".docx",),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        is_text=False,
        needs=_XML,
    ),
    Format("odt", (".odt",), "application/vnd.oasis.opendocument.text", is_text=False, needs=_XML),
    Format(
        "pptx",
        (".pptx",),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        is_text=False,
        needs=_XML,
    ),
    Format(
        "xlsx",
        (".xlsx",),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        is_text=False,
        needs=_XML,
    ),
    Format("srt", (".srt",), "application/x-subrip", module="subtitles"),
    Format("vtt", (".vtt",), "text/vtt", module="subtitles"),
    Format("po", (".po", ".pot"), "text/x-gettext-translation", needs=("polib",)),
    Format("xliff", (".xliff", ".xlf"), "application/xliff+xml", is_text=False, needs=_XML),
    Format("tmx", (".tmx",), "application/x-tmx+xml", is_text=False, needs=_XML),
    Format("epub", (".epub",), "application/epub+zip", is_text=False, needs=_XML),
)
"""All formats."""

_KNOWN: Final = ", ".join(suffix for format in FORMATS for suffix in format.suffixes)
_BY_SUFFIX: Final = {suffix: format for format in FORMATS for suffix in format.suffixes}
_NOT_TRANSLATED: Final = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document that is protected by a password, or of before 2007"),
    (b"%PDF-", "a PDF, which holds places of letters and no text that could be written anew"),
    (b"{\\rtf", "rich text (RTF)"),
    (b"\x1f\x8b", "gzip data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)
_CONTENT_TYPES: Final = "[Content_Types].xml"
_OFFICE: Final = (
    (b"wordprocessingml.document.main+xml", "docx"),
    (b"presentationml.presentation.main+xml", "pptx"),
    (b"spreadsheetml.sheet.main+xml", "xlsx"),
)
_BY_MIMETYPE: Final = {b"application/vnd.oasis.opendocument.text": "odt", b"application/epub+zip": "epub"}
_MARKUP: Final = ("xliff", "tmx")
_ROOT: Final = re.compile(r"<(?:[\w.-]+:)?(xliff|tmx)[\s>]")


def format_of(name: str) -> Format:
    """Return the format that a file's name tells.

    Raises:
        DocumentError: It tells none that is known.
    """
    suffix = PurePath(name).suffix.lower()
    found = _BY_SUFFIX.get(suffix)
    if found is None:
        raise DocumentError(f"{name}: expected a name that ends in one of {_KNOWN}; got {suffix or 'no ending'}")
    return found


def read_document(content: bytes, name: str, languages: Languages, limits: Limits) -> tuple[Format, Document]:
    """Find out what a document is, and take it apart.

    Args:
        content: All of it.
        name: The file's name.
        languages: From what into what.
        limits: How large it may be.

    Raises:
        DocumentError: It is of no known format, or of another than its name says, or cannot be read.
        MissingError: A library is not installed.
    """
    format = format_of(name)
    if len(content) > limits.size:
        raise DocumentError(f"{name}: expected at most {limits.size:,} bytes, got {len(content):,}")
    given = Given(content, PurePath(name).name, languages, limits)
    held = _held(given)
    if held != format.name and not (format.is_text and held in (None, *_MARKUP)):
        expected = "text" if format.is_text else f"a document of the kind that it is called (.{format.name})"
        raise DocumentError(f"{given.name}: expected {expected}, got {_called(held)}")
    return format, format.read(given)


def _held(given: Given) -> str | None:
    """Say what a document is by what it holds: the name of a format, other words, or None for text of some kind."""
    for magic, kind in _NOT_TRANSLATED:
        if given.content.startswith(magic):
            return kind
    if given.content.startswith(b"PK"):
        return _packed(given.package())
    start = given.content[:4096]
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    found = _ROOT.search(start.decode("utf-16" if wide else "utf-8", "ignore"))
    return found[1] if found else None


def _packed(package: Package) -> str:
    if "mimetype" in package:
        known = _BY_MIMETYPE.get(package.read("mimetype").strip())
        if known is not None:
            return known
    if _CONTENT_TYPES in package:
        types = package.read(_CONTENT_TYPES)
        for content_type, name in _OFFICE:
            if content_type in types:
                return name
    return "a zip file of another kind"


def _called(held: str | None) -> str:
    if held is None:
        return "text"
    return f"a .{held} document; call it so" if any(held == format.name for format in FORMATS) else held
