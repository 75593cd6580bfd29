"""What stands in a paragraph of Markdown: emphasis, links, pictures, code and HTML as tags, text as it is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from nmt.text.segments import Kind, Tag

_LABEL: Final = r"\[(?P<{}>(?:[^\[\]\\`]|\\.|`[^`]*`|!?\[[^\[\]]*\](?:\([^()\s]*\))?){{0,2000}})\]"
_TARGET: Final = (
    r"\(\s*(?:<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*)"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_TOKEN: Final = re.compile(
    r"(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<code>(?<!`)(?P<ticks>`++)(?:[^`]++|(?!(?P=ticks)(?!`))`++)+(?P=ticks)(?!`))"
    r"|(?P<math>\$\$[^$]+\$\$|\$(?=[^\s$\d])[^$\n]*[^\s$\\]\$(?!\w))"
    r"|(?P<template>\{\{[^{}]*\}\}|\{%[^{}]*%\})"
    r"|(?P<html><!--.*?-->|</?[A-Za-z][^<>]*>|<[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]*>|<[^\s<>@]+@[^\s<>]+>)"
    r"|(?P<note>\[\^[^\[\]\s]+\])"
    r"|(?P<task>^\[[ xX]\]\s)"
    rf"|(?P<bang>!?){_LABEL.format('label')}(?P<target>{_TARGET}|\[[^\[\]]*\])?"
    r"|(?P<mark>\*{1,3}|_{1,3}|~~)",
    re.DOTALL,
)
_MOST_OPEN: Final = 100  # marks that wait for those that close them
_ELEMENT: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)[^<>]*?(/?)>")


def parts_of(text: str, references: Collection[str]) -> list[str | Tag]:
    """Cut a paragraph into text and tags.

    Args:
        text: The paragraph, on one line.
        references: Labels of links that the page defines, as its library writes them.
    """
    scanner = _Scanner(count(1), references)
    scanner.scan(text)
    return list(scanner.ended())


@dataclass
class _Scanner:
    """Reads a paragraph, or the text of a link."""

    keys: count[int]
    references: Collection[str]
    parts: list[str | Tag] = field(default_factory=list)
    _open: list[tuple[str, int]] = field(default_factory=list)
    """Names of what was opened and not closed, and where."""

    def scan(self, text: str) -> None:
        """Read text."""
        end = 0
        for match in _TOKEN.finditer(text):
            if match.start() < end:
                continue
            self.parts.append(text[end : match.start()])
            end = match.end()
            kind = match.lastgroup
            if match["mark"]:
                self._mark(match[0], text[match.start() - 1 : match.start()], text[end : end + 1])
            elif match["escape"]:
                self.parts.append(match[0])
            elif match["html"]:
                self._html(match[0])
            elif match["task"] or match["note"]:
                self._tag(Kind.ALONE, match[0])
            elif match["label"] is not None:
                self._link(match)
            else:
                assert kind
                self._tag(Kind.WORD, match[0])
        self.parts.append(text[end:])

    def ended(self) -> Iterator[str | Tag]:
        """Return what was read; what was opened and never closed is text, or a point if it is HTML."""
        pending = {place: name for name, place in self._open}
        for place, part in enumerate(self.parts):
            if place in pending and isinstance(part, Tag):
                yield Tag(Kind.ALONE, part.key, part.markup) if pending[place].startswith("<") else part.markup
            else:
                yield part

    def _tag(self, kind: Kind, markup: str) -> None:
        self.parts.append(Tag(kind, next(self.keys), markup))

    def _mark(self, mark: str, before: str, behind: str) -> None:
        """Read a mark of emphasis, by the rules of CommonMark for marks that are closed by the same."""
        space = not before or before.isspace(), not behind or behind.isspace()
        point = _is_punctuation(before), _is_punctuation(behind)
        left = not space[1] and (not point[1] or space[0] or point[0])
        right = not space[0] and (not point[0] or space[1] or point[1])
        closes = right and (mark[0] != "_" or not left or point[1])
        opens = left and (mark[0] != "_" or not right or point[0])
        if closes and any(name == mark for name, _ in self._open):
            self._close(mark, mark)
        elif opens and len(self._open) < _MOST_OPEN:
            self._begin(mark, mark)
        else:
            self.parts.append(mark)

    def _html(self, markup: str) -> None:
        element = _ELEMENT.fullmatch(markup)
        if element is None:
            self._tag(Kind.ALONE if markup.startswith("<!--") else Kind.WORD, markup)
        elif element[1] and any(name == f"<{element[2]}" for name, _ in self._open):
            self._close(f"<{element[2]}", markup)
        elif element[1] or element[3] or len(self._open) == _MOST_OPEN:
            self._tag(Kind.ALONE, markup)
        else:
            self._begin(f"<{element[2]}", markup)

    def _begin(self, name: str, markup: str) -> None:
        self._open.append((name, len(self.parts)))
        self._tag(Kind.OPEN, markup)

    def _close(self, name: str, markup: str) -> None:
        """Close what was opened last by a name; what was opened since, and not closed, never is."""
        number = max(number for number, (opened, _) in enumerate(self._open) if opened == name)
        opening = self.parts[self._open[number][1]]
        for opened, place in self._open[number + 1 :]:
            part = self.parts[place]
            if isinstance(part, Tag):
                alone = Tag(Kind.ALONE, part.key, part.markup)
                self.parts[place] = alone if opened.startswith("<") else part.markup
        del self._open[number:]
        assert isinstance(opening, Tag)
        self.parts.append(Tag(Kind.CLOSE, opening.key, markup))

    def _link(self, match: re.Match[str]) -> None:
        label, target = match["label"], match["target"] or ""
        if not target or target.startswith("["):
            name = target[1:-1].strip() or label
            if _normalized(name) not in self.references:  # brackets, and no link
                self.parts.append(f"{match['bang']}[")
                self._inside(label)
                self.parts.append("]")
                self.scan(target)
                return
            target = f"[{name}]"
        key = next(self.keys)
        self.parts.append(Tag(Kind.OPEN, key, f"{match['bang']}["))
        self._inside(label)
        self.parts.append(Tag(Kind.CLOSE, key, f"]{target}"))

    def _inside(self, label: str) -> None:
        inner = _Scanner(self.keys, self.references)
        inner.scan(label)
        self.parts += inner.ended()


def _is_punctuation(character: str) -> bool:
    return bool(character) and not character.isalnum() and not character.isspace()


def _normalized(label: str) -> str:
    """Write a label as the library does: case and white space do not count."""
    return " ".join(label.split()).lower().upper()
