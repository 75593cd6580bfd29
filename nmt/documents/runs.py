"""Office Open XML: paragraphs made of runs, each a text with its formatting.

The formatting that most of a paragraph has is that of its text; other runs become pairs of tags. Neighbours that look
the same are one run, however an editor has cut them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lxml import etree

from nmt.decoding.translation import Status
from nmt.documents.flow import Flow
from nmt.documents.xml import SPACE, Element, Pen, empty, local
from nmt.text.segments import Kind, Segment, Tag

_LOOKS_ALIKE: Final = frozenset({"lang", "noProof", "rsidR", "rsidRPr", "dirty", "err", "smtClean"})
"""Attributes and elements of formatting that nobody sees."""


class Text(NamedTuple):
    """A piece of a run."""

    text: str
    format: Element | None


@dataclass(frozen=True)
class Point:
    """Something that stands between pieces of text."""

    make: Callable[[], Iterable[Element]]
    """Gives the elements that are written for it, when all is known."""
    is_break: bool = False
    is_word: bool = False
    """Whether it is read as part of the sentence, as a page's number is."""


@dataclass(frozen=True)
class Around:
    """Something with text inside."""

    items: Sequence[Text | Point | Around]
    shell: Element | None = None
    """The element around it; what is in `inner` is written anew."""
    inner: Element | None = None
    keep: tuple[str, ...] = ()
    """Local names of children of `inner` that are no content."""
    before: Callable[[], Iterable[Element]] = tuple
    """Gives elements that stand at its beginning, where no element is around it."""
    behind: Callable[[], Iterable[Element]] = tuple
    """And at its end."""


Item = Text | Point | Around


@dataclass
class _Level:
    """What is written by one pen: a paragraph, or what is in an element."""

    pen: Pen
    format: Element | None


@dataclass(frozen=True)
class Names:
    """What a format calls its runs."""

    run: str
    text: str
    properties: str
    has_space: bool = True
    """Whether text says that white space at its ends counts."""


@dataclass
class Runs:
    """Takes paragraphs apart, and writes them.

    Args:
        flow: Receives the segments.
        names: What runs are called.
    """

    flow: Flow
    names: Names
    _key: int = 0

    def add(
        self,
        paragraph: Element,
        items: Sequence[Item],
        keep: tuple[str, ...],
        end: tuple[str, ...] = (),
        done: Callable[[Element], None] = lambda _: None,
    ) -> bool:
        """Add a paragraph.

        Args:
            paragraph: It.
            items: What is in it.
            keep: Local names of children that stay at its beginning.
            end: Of those that stay at its end.
            done: Is called with the paragraph when it was written.

        Returns:
            Whether there is anything to translate.
        """
        made = _Made()
        base = _usual(items)
        parts = list(self._parts(items, base, made))

        def fill(segment: Segment, _: Status) -> None:
            ending = [child for child in paragraph if local(child) in end]
            last = empty(paragraph, keep)
            pen = Pen(paragraph, last)
            self._write(segment, made, _Level(pen, base))
            for child in ending:
                pen.put(child)
            done(paragraph)

        return self.flow.add(parts, fill, made.breaks)

    def around(self, format: Element | None, content: Element) -> tuple[Element]:
        """Make a run around something that is no text."""
        return (self._run(format, content),)

    def _run(self, format: Element | None, content: Element) -> Element:
        run = etree.Element(self.names.run)
        if format is not None:
            run.append(copy.deepcopy(format))
        content.tail = None
        run.append(content)
        return run

    def _parts(self, items: Iterable[Item], base: Element | None, made: _Made) -> Iterable[str | Tag]:
        usual = _looks(base)
        around: int | None = None
        looks = usual
        for item in items:
            wanted = _looks(item.format) if isinstance(item, Text) else usual
            if wanted != looks:
                if around is not None:
                    yield Tag(Kind.CLOSE, around)
                around = None
                if wanted != usual and isinstance(item, Text):
                    around = self._next()
                    made.formats[around] = item.format
                    yield Tag(Kind.OPEN, around)
                looks = wanted
            if isinstance(item, Text):
                yield item.text
            elif isinstance(item, Point):
                key = self._next()
                made.points[key] = item
                if item.is_break:
                    made.breaks.add(key)
                yield Tag(Kind.WORD if item.is_word else Kind.ALONE, key)
            else:
                key = self._next()
                inside = _usual(item.items)
                made.arounds[key] = item, inside
                yield Tag(Kind.OPEN, key)
                yield from self._parts(item.items, inside, made)
                yield Tag(Kind.CLOSE, key)
        if around is not None:
            yield Tag(Kind.CLOSE, around)

    def _next(self) -> int:
        self._key += 1
        return self._key

    def _write(self, segment: Segment, made: _Made, top: _Level) -> None:
        levels = [top]
        for part in segment:
            level = levels[-1]
            if isinstance(part, str):
                text = etree.Element(self.names.text)
                text.text = part
                if self.names.has_space and part != part.strip():
                    text.set(SPACE, "preserve")
                level.pen.put(self._run(level.format, text))
            elif part.key in made.points:
                for element in made.points[part.key].make():
                    level.pen.put(element)
            elif part.key in made.formats:
                if part.kind is Kind.OPEN:
                    levels.append(_Level(level.pen, made.formats[part.key]))
                else:
                    levels.pop()
            elif part.kind is Kind.OPEN:
                levels.append(_begun(level, *made.arounds[part.key]))
            else:
                levels.pop()
                for element in made.arounds[part.key][0].behind():
                    levels[-1].pen.put(element)


@dataclass
class _Made:
    """What tags of a paragraph stand for, by their keys."""

    points: dict[int, Point] = field(default_factory=dict)
    formats: dict[int, Element | None] = field(default_factory=dict)
    arounds: dict[int, tuple[Around, Element | None]] = field(default_factory=dict)
    breaks: set[int] = field(default_factory=set)


def _begun(level: _Level, around: Around, format: Element | None) -> _Level:
    if around.shell is None or around.inner is None:
        for element in around.before():
            level.pen.put(element)
        return _Level(level.pen, format)
    level.pen.put(around.shell)
    last = empty(around.inner, around.keep)
    return _Level(Pen(around.inner, last), format)


def _looks(format: Element | None) -> bytes:
    """Return what formatting is, without what nobody sees in it."""
    if format is None:
        return b""
    seen = copy.deepcopy(format)
    seen.tail = None
    for element in (seen, *seen.iterdescendants("*")):
        for name in list(element.attrib):
            if str(name).rpartition("}")[2] in _LOOKS_ALIKE:
                del element.attrib[name]
    for child in list(seen):
        if local(child) in _LOOKS_ALIKE:
            seen.remove(child)
    if not len(seen) and not seen.attrib:
        return b""
    return bytes(etree.tostring(seen, method="c14n"))


def _usual(items: Iterable[Item]) -> Element | None:
    """Return the formatting that most of the text has; of as much text, that of what comes first."""
    sizes: Counter[bytes] = Counter()
    formats: dict[bytes, Element | None] = {}
    for item in items:
        if isinstance(item, Text) and item.text.strip():
            looks = _looks(item.format)
            formats.setdefault(looks, item.format)
            sizes[looks] += len(item.text)
    return formats[sizes.most_common(1)[0][0]] if sizes else None
