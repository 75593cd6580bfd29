"""What text is made of when it is more than letters: runs of text, and the inline tags between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a tag does."""

    OPEN = "open"
    """Something begins that goes on to the `CLOSE` of the same key, or to the end of the segment."""
    CLOSE = "close"
    """It ends; without an `OPEN` of the same key, it began before the segment."""
    ALONE = "alone"
    """Something that stands between words, as a picture or a footnote's mark does."""
    WORD = "word"
    """Something that stands for a word or a few, and is part of the sentence, as code, a name or a formula is. It is
    kept as it is; the model sees a word in its place."""


@dataclass(frozen=True)
class Tag:
    """An inline tag; each comes exactly once in a translation, and those that were nested stay nested."""

    kind: Kind
    """What it does."""
    key: int
    """Which it is, for whoever made the segment: the two tags of a pair have the same key, others have their own."""
    markup: str = ""
    """What it is written as, for those that write segments as text; nobody else looks at it."""


Segment = tuple[str | Tag, ...]
"""Text that belongs together, such as a paragraph or a cell, with its inline tags. White space at both ends is kept."""


def plain(segment: Iterable[str | Tag]) -> str:
    """Return the text of a segment without its tags."""
    return "".join(part for part in segment if isinstance(part, str))


def written(segment: Iterable[str | Tag]) -> str:
    """Return the text of a segment with the markup of its tags."""
    return "".join(part if isinstance(part, str) else part.markup for part in segment)


def joined(parts: Iterable[str | Tag]) -> Segment:
    """Return parts as a segment in which no text is empty, nor beside another text."""
    found: list[str | Tag] = []
    for part in parts:
        if part == "":
            continue
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)
