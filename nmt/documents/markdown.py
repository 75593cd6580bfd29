"""Markdown (CommonMark, with tables): its library finds the blocks, and only the text in them is replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from nmt.documents.document import Document, DocumentError, Leaving
from nmt.documents.encodings import read_text
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.markdown_inline import parts_of
from nmt.documents.wrapping import as_wrapped
from nmt.text.segments import Kind, Segment, Tag

_LARGEST: Final = 4 << 20  # bytes: a second for each hundred thousand or so
_FRONT: Final = re.compile(r"(?:---[ \t]*\n.*?\n(?:---|\.\.\.)|\+\+\+[ \t]*\n.*?\n\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL)
_BLOCK: Final = re.compile(
    r"([-+*]|#{1,6})(?=\s|$)|(\d{1,9})(?=[.)](?:\s|$))|(?=>|`{3}|~{3}|=+\s*$|-+\s*$|([-_*])\s*(?:\3\s*){2,}$)"
)
_DIRECTIVE: Final = re.compile(r":::|!!!|\{%|\$\$$|\[TOC\]$|\[\^[^\]]+\]:")
_CODE: Final = {"fence": "code", "code_block": "code", "html_block": "blocks of HTML"}


def read(given: Given) -> Document:
    """Take Markdown apart.

    Raises:
        DocumentError: It is too large.
    """
    text = read_text(given.content, given.name)
    if len(given.content) > _LARGEST:
        raise DocumentError(
            f"{given.name}: expected at most {_LARGEST:,} bytes of Markdown, got {len(given.content):,}"
        )
    ending = "\r\n" if "\r\n" in text.text else "\n"
    source = text.text.replace("\r\n", "\n")
    flow, left = Flow(), Leaving()
    front = found[0] if (found := _FRONT.match(source)) else ""
    left.add("front matter", "it is for programs", int(bool(front)))
    page = _Page(source[len(front) :], flow, left)
    page.add()
    return flow.document(lambda: text.written((front + page.text()).replace("\n", ending)), left.all())


@dataclass(frozen=True)
class _Line:
    """A line of a paragraph."""

    number: int
    start: int
    """Where its text begins, behind what marks quotes and lists."""
    body: str


class _Page:
    """The lines of a page, and what is written in their place.

    Args:
        text: The page.
        flow: Receives the segments.
        left: Told what is not translated.
    """

    def __init__(self, text: str, flow: Flow, left: Leaving) -> None:
        self._lines = text.split("\n")
        self._out: list[str | None] = list(self._lines)
        """Lines; None for those that have become part of the one before."""
        self._flow, self._left = flow, left
        environment: dict[str, dict[str, object]] = {}
        # What is inside paragraphs is read here: the library keeps no places there.
        self._tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text, environment)
        self._references = frozenset(environment.get("references", {}))

    def text(self) -> str:
        """Return the page as it is now."""
        return "\n".join(line for line in self._out if line is not None)

    def add(self) -> None:
        """Add all text."""
        row: list[Token] = []
        for before, token in zip([None, *self._tokens], self._tokens, strict=False):
            if token.type in _CODE:
                self._left.add(_CODE[token.type], "it is kept as it is")
            elif token.type == "tr_open":
                row = []
            elif token.type == "tr_close":
                self._add_row(row)
            elif token.type == "inline" and token.map and token.content.strip():
                if before is not None and before.type in ("th_open", "td_open"):
                    row.append(token)
                else:
                    heads = before is not None and before.type == "heading_open" and before.markup.startswith("#")
                    self._add_paragraph(token.content, token.map[0], heads=heads)

    def _add_paragraph(self, content: str, first: int, *, heads: bool) -> None:
        lines = []
        for number, body in enumerate(content.split("\n"), start=first):
            start = self._lines[number].rfind(body.strip()) if number < len(self._lines) else -1
            if start < 0:
                self._left.add("paragraphs", "their place in the file is not known")
                return
            lines.append(_Line(number, start, body.strip()))
        for group in self._groups(lines):
            self._add_lines(group, heads=heads)

    def _groups(self, lines: Sequence[_Line]) -> Iterator[list[_Line]]:
        """Part the lines of a paragraph where the reader sees a break."""
        group: list[_Line] = []
        for line in lines:
            if _DIRECTIVE.match(line.body):
                if group:
                    yield group
                group = []
                self._left.add("directives", "they are for programs")
                continue
            group.append(line)
            if line.body.endswith("\\") or self._lines[line.number].endswith("  "):
                yield group
                group = []
        if group:
            yield group

    def _add_lines(self, lines: Sequence[_Line], *, heads: bool) -> None:
        safe = str if heads else _safe  # behind the marks of a heading nothing begins
        bodies = [line.body for line in lines]
        tail = "\\" if bodies[-1].endswith("\\") else ""
        bodies[-1] = bodies[-1].removesuffix(tail).rstrip() if tail else bodies[-1]
        last = lines[-1]
        end = self._lines[last.number][last.start + len(bodies[-1]) :]

        def fill(segment: Segment, _: object) -> None:
            broken = as_wrapped(_written(segment), bodies, ["\n"] * (len(bodies) - 1) + [""]).split("\n")
            for line in lines:
                self._out[line.number] = None
            for place, (line, body) in enumerate(zip(lines, broken, strict=False)):
                before = self._lines[line.number][: line.start]
                self._out[line.number] = before + safe(body) + (end if place == len(broken) - 1 else "")

        self._flow.add(parts_of(" ".join(bodies), self._references), fill)

    def _add_row(self, cells: Sequence[Token]) -> None:
        """Add the cells of a table's row, which stand on one line."""
        if not cells or not cells[0].map:
            return
        number = cells[0].map[0]
        line = self._lines[number]
        pieces = [line]
        for cell in cells:
            before, found, behind = pieces[-1].partition(cell.content)
            if not found:
                self._left.add("rows of tables", "they hold bars that are escaped")
                return
            pieces[-1:] = [before, found, behind]
        for place in range(1, len(pieces), 2):

            def fill(segment: Segment, _: object, place: int = place) -> None:
                pieces[place] = _written(segment).replace("|", "\\|")
                self._out[number] = "".join(pieces)

            self._flow.add(parts_of(pieces[place], self._references), fill)


def _written(segment: Segment) -> str:
    """Write text and tags; marks that would become other ones side by side get a space between."""
    text = ""
    for part in segment:
        added = part if isinstance(part, str) else part.markup
        text += f" {added}" if text[-1:] in ("`", "*", "_") and text[-1:] == added[:1] and _is_code(part) else added
    return text


def _is_code(part: str | Tag) -> bool:
    return isinstance(part, Tag) and part.kind is Kind.WORD


def _safe(line: str) -> str:
    """Keep text at the beginning of a line from being read as a list, a heading or the like."""
    found = _BLOCK.match(line)
    if found is None:
        return line
    digits = found[2] or ""
    return f"{digits}\\{line[len(digits) :]}"
