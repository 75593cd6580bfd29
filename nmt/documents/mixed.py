"""Formats in which text and elements are mixed, as in HTML: XHTML, OpenDocument, XLIFF, TMX."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.flow import Flow
from nmt.documents.xml import Element, Pen, empty
from nmt.text.segments import Kind, Segment, Tag

_FARTHEST: Final = 1000  # text and tags between the two elements of a pair
_SPACE = re.compile(r"[ \t\r\n]+")


class Role(Enum):
    """What an element is to the text around it."""

    PAIR = auto()
    """Part of it, with text inside."""
    ALONE = auto()
    """A point in it. Places inside, such as the paragraphs of a footnote, are for themselves."""
    WORD = auto()
    """Kept as it is, and stands for a word."""
    BREAK = auto()
    """Ends a line."""
    THROUGH = auto()
    """Nothing: what is inside is part of the text, and the element can go."""
    BLOCK = auto()
    """A place of its own."""
    LEFT = auto()
    """Like a block, and nothing in it is looked at."""
    OPENS = auto()
    """The beginning of something whose end is an element of its own."""
    CLOSES = auto()
    """That end."""


@dataclass(frozen=True)
class Rules:
    """How a format mixes text and elements."""

    role: Callable[[Element], Role]
    collapse: Callable[[Element], bool] = lambda _: True
    """Whether several spaces and line ends in an element are one space."""
    mate: Callable[[Element], str] = lambda _: ""
    """What the element of a beginning and that of its end have in common."""


@dataclass
class _Run:
    """Text and elements between two blocks."""

    parent: Element
    after: Element | None
    """The block before; None for the parent's beginning."""
    parts: list[str | Tag] = field(default_factory=list)
    elements: dict[int, Element] = field(default_factory=dict)
    """By key and kind of the tag that stands for each: see `_slot`."""
    breaks: set[int] = field(default_factory=set)
    children: list[Element] = field(default_factory=list)
    """Children of the parent in it."""


class Mixed:
    """Takes mixed content apart.

    Args:
        flow: Receives the segments.
        rules: What elements are.
    """

    def __init__(self, flow: Flow, rules: Rules) -> None:
        self._flow, self._rules = flow, rules
        self._key = 0
        self._open: dict[str, list[tuple[int, int]]] = {}  # by what it ends with, each key and place

    def add(self, element: Element, done: Callable[[Element, Status], None] = lambda element, status: None) -> bool:
        """Add the content of an element: its text, and the blocks in it, each for itself.

        Args:
            element: The element.
            done: Is called when text in it was replaced.

        Returns:
            Whether there is anything to translate.
        """
        found = False
        waiting: list[Element] = [element]
        while waiting:
            place = waiting.pop()
            inner: list[Element] = []
            for run in list(self._runs(place, inner)):
                found |= self._flow.add(run.parts, self._fill(run, element, done), run.breaks)
            waiting += reversed(inner)
        return found

    def _runs(self, element: Element, blocks: list[Element]) -> Iterator[_Run]:
        """Return the text of an element between its blocks; gather these, and those inside points."""
        self._open = {}
        run = _Run(element, None)
        self._text(run, element.text, element)
        for child in element:
            role = self._role(child)
            if role in (Role.BLOCK, Role.LEFT) or self._holds_block(child, role):
                yield run
                self._open = {}
                if role is not Role.LEFT:
                    blocks.append(child)
                run = _Run(element, child)
            else:
                run.children.append(child)
                self._inline(run, child, role, blocks)
            self._text(run, child.tail, element)
        yield run

    def _inline(self, run: _Run, element: Element, role: Role, blocks: list[Element]) -> None:
        if role in (Role.PAIR, Role.THROUGH):
            pair = self._tag(run, element, Kind.OPEN) if role is Role.PAIR else None
            self._text(run, element.text, element)
            for child in element:
                self._inline(run, child, self._role(child), blocks)
                self._text(run, child.tail, element)
            if pair is not None:
                run.parts.append(Tag(Kind.CLOSE, pair))
        elif role is Role.OPENS:
            place = len(run.parts)
            key = self._tag(run, element, Kind.ALONE)
            self._open.setdefault(self._rules.mate(element), []).append((key, place))
        elif role is Role.CLOSES and (begun := self._open.get(self._rules.mate(element))):
            self._close(run, element, *begun.pop())
        else:
            key = self._tag(run, element, Kind.WORD if role is Role.WORD else Kind.ALONE)
            if role is Role.BREAK:
                run.breaks.add(key)
            if role is Role.ALONE:
                blocks += outermost(element, lambda each: self._role(each) is Role.BLOCK)

    def _close(self, run: _Run, element: Element, key: int, start: int) -> None:
        """Make a pair of two elements if what is between them is whole; else they are two points."""
        depth = int(len(run.parts) - start > _FARTHEST)
        for part in run.parts[start + 1 :] if not depth else ():
            if isinstance(part, Tag):
                depth += (part.kind is Kind.OPEN) - (part.kind is Kind.CLOSE)
                if depth < 0:
                    break
        if depth:
            self._tag(run, element, Kind.ALONE)
            return
        run.parts[start] = Tag(Kind.OPEN, key)
        run.elements[-key] = element
        run.parts.append(Tag(Kind.CLOSE, key))

    def _tag(self, run: _Run, element: Element, kind: Kind) -> int:
        self._key += 1
        run.elements[self._key] = element
        run.parts.append(Tag(kind, self._key))
        return self._key

    def _text(self, run: _Run, text: str | None, element: Element) -> None:
        if text:
            run.parts.append(_SPACE.sub(" ", text) if self._rules.collapse(element) else text)

    def _role(self, element: Element) -> Role:
        return self._rules.role(element) if isinstance(element.tag, str) else Role.ALONE  # comments and the like

    def _holds_block(self, element: Element, role: Role) -> bool:
        """Whether an element that should be part of a line has paragraphs in it, as a link around a heading has."""
        return role in (Role.PAIR, Role.THROUGH) and any(
            self._role(each) is Role.BLOCK for each in element.iterdescendants("*")
        )

    def _fill(self, run: _Run, element: Element, done: Callable[[Element, Status], None]) -> Callable[..., None]:
        def fill(segment: Segment, status: Status) -> None:
            for child in run.children:
                run.parent.remove(child)
            if run.after is None:
                run.parent.text = None
            else:
                run.after.tail = None
            _write(run, segment)
            done(element, status)

        return fill


def outermost(element: Element, wanted: Callable[[Element], bool]) -> list[Element]:
    """Return what is wanted inside an element, but for what is inside something wanted."""
    found: list[Element] = []
    waiting = list(reversed(element))
    while waiting:
        each = waiting.pop()
        if wanted(each):
            found.append(each)
        else:
            waiting += reversed(each)
    return found


def _write(run: _Run, segment: Segment) -> None:
    pens = [Pen(run.parent, run.after)]
    for part in segment:
        if isinstance(part, str):
            pens[-1].text(part)
        elif part.kind is Kind.CLOSE:
            if -part.key in run.elements:
                pens[-1].put(run.elements[-part.key])
            else:
                pens.pop()
        else:
            element = run.elements[part.key]
            pens[-1].put(element)
            if part.kind is Kind.OPEN and -part.key not in run.elements:
                empty(element)
                pens.append(Pen(element))
