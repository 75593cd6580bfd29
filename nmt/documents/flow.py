"""From the content of a document to segments and back, whatever the format writes it as.

A format tells what stands in a paragraph as text and tags, in order, and how to write such a list in place of it. Here
it is cut into segments, so that what need not be placed anew stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import Document, Left
from nmt.text.results import TextResult, overall
from nmt.text.segments import Kind, Segment, Tag, joined, plain

_MOST_TAGS: Final = 200
"""Tags of a segment; the text between more of them is translated piece by piece, since placing them would take long."""
_LONGEST: Final = 10_000
"""Characters of a segment; what is longer is translated piece by piece, too."""
_PIECE: Final = re.compile(rf"\s*\S[\s\S]{{0,{_LONGEST}}}(?!\S)|\s*\S+|\s+")

Fill = Callable[[Segment, Status], None]
"""Writes text and tags in the place from which they came; also takes the worst status in them."""


@dataclass(frozen=True)
class _Spot:
    """A place of a document with translated text."""

    template: Sequence[str | Tag | int]
    """What stands there; numbers are those of segments."""
    fill: Fill


@dataclass
class Flow:
    """The segments of a document, and where they belong."""

    segments: list[Segment] = field(default_factory=list)
    _spots: list[_Spot] = field(default_factory=list)

    def add(self, parts: Iterable[str | Tag], fill: Fill, breaks: Collection[int] = ()) -> bool:
        """Add the content of a place.

        Args:
            parts: Text and tags, as they stand there.
            fill: Writes it anew; is called only if something is to be translated there.
            breaks: Keys of tags at which a segment ends, unless they are inside others.

        Returns:
            Whether there is anything to translate.
        """
        template: list[str | Tag | int] = []
        found = False
        for piece in chain.from_iterable(map(_bounded, _cut(joined(parts), breaks))):
            before, core, behind = _peeled(piece)
            template += before
            if is_translatable(core):
                template.append(len(self.segments))
                self.segments.append(core)
                found = True
            else:
                template += core
            template += behind
        if found:
            self._spots.append(_Spot(template, fill))
        return found

    def write(self, results: Sequence[TextResult]) -> None:
        """Write all translations in their places."""
        for spot in self._spots:
            numbers = [part for part in spot.template if isinstance(part, int)]
            parts: list[str | Tag] = []
            for part in spot.template:
                parts += _stripped(results[part].segment) if isinstance(part, int) else (part,)
            spot.fill(joined(parts), overall(results[number].status for number in numbers))

    def document(self, write: Callable[[], bytes], left: Sequence[Left] = ()) -> Document:
        """Make the document of which this is all.

        Args:
            write: Gives its bytes when all places are written.
            left: What is not translated.
        """

        def written(results: Sequence[TextResult]) -> bytes:
            self.write(results)
            return write()

        return Document(self.segments, written, left)


def is_translatable(segment: Iterable[str | Tag]) -> bool:
    """Whether there are letters: numbers, dashes and the like are the same in all languages."""
    return any(map(str.isalpha, plain(segment)))


def is_complete(segment: Segment, source: Segment) -> bool:
    """Whether a translation has the tags of its source, each once, and pairs that are properly nested stay so."""
    tags = [part for part in segment if isinstance(part, Tag)]
    return sorted(map(_order, tags)) == sorted(_order(part) for part in source if isinstance(part, Tag)) and (
        _is_nested(tags) or not _is_nested([part for part in source if isinstance(part, Tag)])
    )


def _order(tag: Tag) -> tuple[int, str]:
    return tag.key, tag.kind


def _is_nested(tags: Iterable[Tag]) -> bool:
    stack: list[int] = []
    for tag in tags:
        if tag.kind is Kind.OPEN:
            stack.append(tag.key)
        elif tag.kind is Kind.CLOSE and (not stack or stack.pop() != tag.key):
            return False
    return not stack


def _stripped(segment: Segment) -> Segment:
    """Take off white space at the ends: what is translated has none there."""
    parts = list(segment)
    if parts and isinstance(parts[0], str):
        parts[0] = parts[0].lstrip()
    if parts and isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip()
    return joined(parts)


def _cut(segment: Segment, breaks: Collection[int]) -> list[list[str | Tag]]:
    """Cut at tags that end a segment, which become pieces of their own."""
    pieces: list[list[str | Tag]] = [[]]
    depth = 0
    for part in segment:
        if isinstance(part, Tag):
            depth += (part.kind is Kind.OPEN) - (part.kind is Kind.CLOSE)
            if part.key in breaks and depth == 0:
                pieces += [[part], []]
                continue
        pieces[-1].append(part)
    return pieces


def _bounded(piece: list[str | Tag]) -> list[list[str | Tag]]:
    """Cut a piece at all of its tags if there are too many, and its text between words if it is too long."""
    if sum(isinstance(part, Tag) for part in piece) <= _MOST_TAGS and len(plain(piece)) <= _LONGEST:
        return [piece]
    return [[each] for part in piece for each in ([part] if isinstance(part, Tag) else _PIECE.findall(part))]


def _peeled(parts: list[str | Tag]) -> tuple[list[str | Tag], Segment, list[str | Tag]]:
    """Take from both ends what stays there whatever the translation is: white space, points, and pairs around all."""
    before: list[str | Tag] = []
    behind: list[str | Tag] = []
    parts = list(parts)
    while parts:
        first, last = parts[0], parts[-1]
        if isinstance(first, str) and first != (rest := first.lstrip()):
            before.append(first[: len(first) - len(rest)])
            parts[:1] = [rest] if rest else []
        elif isinstance(last, str) and last != (rest := last.rstrip()):
            behind.insert(0, last[len(rest) :])
            parts[-1:] = [rest] if rest else []
        elif isinstance(first, Tag) and first.kind is Kind.ALONE:
            before.append(parts.pop(0))
        elif isinstance(last, Tag) and last.kind is Kind.ALONE:
            behind.insert(0, parts.pop())
        elif _are_pair(first, last):
            before.append(parts.pop(0))
            behind.insert(0, parts.pop())
        else:
            break
    return before, tuple(parts), behind


def _are_pair(first: str | Tag, last: str | Tag) -> bool:
    return (
        isinstance(first, Tag)
        and isinstance(last, Tag)
        and (first.kind, last.kind) == (Kind.OPEN, Kind.CLOSE)
        and first.key == last.key
    )
