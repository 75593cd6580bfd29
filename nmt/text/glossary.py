"""Glossaries: what terms are to be called in the translation, and what is not to be translated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from nmt.reading import read_given
from nmt.terminal import printable

_LARGEST: Final = 64 << 20  # bytes of a file
LONGEST: Final = 50
"""Words that a term may have."""
_PART: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+|[^\s]")
"""A word, a letter of a script without spaces, or punctuation: what terms are made of."""
_XML: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<[?!a-zA-Z]")


class GlossaryError(ValueError):
    """What is wrong with a glossary; the message says where."""


@dataclass(frozen=True)
class Term:
    """A term."""

    source: str
    """What it is in the text, in whatever case."""
    target: str | None = None
    """What it is to be in the translation; None for what is not translated, and stays as it is in the text."""


@dataclass(frozen=True)
class Found:
    """A term in a text."""

    term: Term
    """Which."""
    start: int
    """Where it begins, in characters."""
    end: int
    """Where it ends."""


class _Step:
    """What may follow the words of terms that have been read, and the term that they are, if they are one."""

    __slots__ = ("next", "term")

    def __init__(self) -> None:
        self.next: dict[str, _Step] = {}
        self.term: Term | None = None


class Glossary:
    """Terms that are looked for in texts: as whole words, in any case, the longest first.

    Args:
        terms: The terms; of several of a source the first counts.

    Raises:
        GlossaryError: A term has too many words.
    """

    def __init__(self, terms: Iterable[Term] = ()) -> None:
        self._terms: dict[tuple[str, ...], Term] = {}
        self._first = _Step()
        for term in terms:
            parts = tuple(match[0] for match in _PART.finditer(term.source.casefold()))
            if len(parts) > LONGEST:
                raise GlossaryError(
                    f"expected at most {LONGEST} words in a term, got {len(parts):,}: {printable(term.source[:40])}"
                )
            if parts and self._terms.setdefault(parts, term) is term:
                step = self._first
                for part in parts:
                    step = step.next.setdefault(part, _Step())
                step.term = term

    def __len__(self) -> int:
        return len(self._terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self._terms.values())

    @classmethod
    def read(cls, path: Path, languages: tuple[str, str] = ("", "")) -> Glossary:
        """Read a glossary: TBX if it is XML, else lines of text.

        Args:
            path: The file.
            languages: Codes of source and target, which TBX needs.

        Raises:
            GlossaryError: It is no glossary; names the file, and the line.
            OSError: It cannot be read.
        """
        content = read_given(path, _LARGEST)
        try:
            return cls.parse(content, languages)
        except GlossaryError as error:
            raise GlossaryError(f"{path}: {error}") from None

    @classmethod
    def parse(cls, content: bytes, languages: tuple[str, str] = ("", "")) -> Glossary:
        """Make a glossary of the content of a file; see `read`.

        Raises:
            GlossaryError: It is no glossary; names the line.
        """
        if _XML.match(content) or _XML.match(content[:200].decode("utf-16", "replace").encode()):
            return cls(_read_tbx(content, languages))
        try:
            return cls(_read_lines(content.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise GlossaryError(f"line {line}: expected UTF-8, got byte 0x{content[error.start]:02x}") from None

    def find(self, text: str) -> list[Found]:
        """Find terms in a text; from left to right, the longest that begins at a place."""
        if not self._terms:
            return []
        matches = list(_PART.finditer(text))
        parts = [match[0].casefold() for match in matches]
        found: list[Found] = []
        place = 0
        while place < len(parts):
            step: _Step | None = self._first
            best = None
            for end in range(place, len(parts)):
                step = step.next.get(parts[end]) if step is not None else None
                if step is None:
                    break
                span = matches[place].start(), matches[end].end()
                if step.term is not None and _is_whole(text, *span):
                    best = Found(step.term, *span), end
            if best is not None:
                found.append(best[0])
                place = best[1]
            place += 1
        return found


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether what stands in a text is no part of a word with a hyphen, an apostrophe or a low line."""
    before = text[max(0, start - 2) : start]
    behind = text[end : end + 2]
    return not (
        before.endswith("_")
        or behind.startswith("_")
        or (before[-1:] in ("-", "'", "’") and before[:1].isalnum())
        or (behind[:1] == "-" and behind[1:].isalnum())
    )


def _read_lines(text: str) -> Iterator[Term]:
    """Read lines of a source and a target, separated by a tab, or of what is not translated; each in several forms."""
    for number, line in enumerate(text.split("\n"), start=1):
        columns = [column.strip() for column in line.rstrip("\r").split("\t")]
        while columns and not columns[-1]:
            columns.pop()
        if not columns or columns[0].startswith("#"):
            continue
        if len(columns) > 2 or not columns[0]:
            got = f"{len(columns)} columns" if columns[0] else "no source"
            raise GlossaryError(f"line {number}: expected a term, and, behind a tab, its translation, got {got}")
        sources = _forms(columns[0])
        targets: list[str] | list[None] = _forms(columns[1]) if len(columns) == 2 else [None]
        if len(targets) not in (1, len(sources)):
            raise GlossaryError(
                f"line {number}: expected as many forms in the translation as in the term, {len(sources)}, or one, "
                f"got {len(targets)}"
            )
        yield from (Term(*forms) for forms in zip(sources, itertools.cycle(targets), strict=False))


def _forms(column: str) -> list[str]:
    """Return the forms of a word that a column lists, between bars; a bar of a word is written with a backslash."""
    forms = [form.replace("\\|", "|").strip() for form in re.split(r"(?<!\\)\|", column)]
    return [form for form in forms if form] or [column]


def _read_tbx(content: bytes, languages: tuple[str, str]) -> list[Term]:
    """Read the terms of a TBX file that are there in both languages; of several in a language, the first target."""
    if not all(languages):
        raise GlossaryError("expected languages for a TBX file, got a model that does not tell them")
    reader = _TbxReader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = reader.text, reader.entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise GlossaryError(f"line {error.lineno}: expected XML, got {expat.errors.messages[error.code]}") from None
    except RecursionError:
        raise GlossaryError("expected a glossary, got elements too deep within each other") from None
    found = []
    for entry in reader.entries:
        sources, targets = (_of_language(entry, language) for language in languages)
        found += [Term(source, targets[0]) for source in sources if targets]
    if not found:
        seen = sorted({language for entry in reader.entries for language in entry})[:20]
        raise GlossaryError(
            f"expected terms in {languages[0]} and {languages[1]}, got {len(reader.entries):,} entries in "
            f"{', '.join(seen) or 'no language'}"
        )
    return found


def _of_language(entry: dict[str, list[str]], language: str) -> list[str]:
    wanted = language.lower().replace("_", "-")
    near = (code for code in entry if code.startswith(f"{wanted}-") or wanted.startswith(f"{code}-"))
    return entry.get(wanted) or entry.get(next(near, ""), [])


class _TbxReader:
    """Gathers the terms of each entry of a TBX file, of whatever version."""

    def __init__(self) -> None:
        self.entries: list[dict[str, list[str]]] = []
        self._language = ""
        self._term: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = name.rpartition(":")[2]
        if name in ("termEntry", "conceptEntry"):
            self.entries.append({})
        elif name in ("langSet", "langSec"):
            self._language = (attributes.get("xml:lang") or attributes.get("lang") or "").lower().replace("_", "-")
        elif name == "term" and self.entries:
            self._term = []

    def end(self, name: str) -> None:
        """An element ends."""
        if name.rpartition(":")[2] == "term" and self._term is not None:
            term = " ".join("".join(self._term).split())
            if term:
                self.entries[-1].setdefault(self._language, []).append(term)
            self._term = None

    def text(self, data: str) -> None:
        """Text of an element."""
        if self._term is not None:
            self._term.append(data)

    def entity(self, name: str, *_: object) -> None:
        """A declaration of an entity, which may stand for gigabytes, or for another file."""
        raise GlossaryError(f"expected a glossary without entities of its own, got one, {name[:80]}")
