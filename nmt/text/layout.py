"""What a text is around its segments: line breaks and white space, or markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nmt.text.segments import Kind, Segment, Tag, joined, written

_BREAK = re.compile("(\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])")  # those that `str.splitlines` knows


@dataclass(frozen=True)
class Slot:
    """A place for a segment."""

    segment: Segment
    """What stands there."""
    write: Callable[[Segment], str] = written
    """Writes a translation of it, or what came if it is not to be translated."""
    raw: str | None = None
    """What stands there, to the letter; None for what `write` makes of the segment."""

    tags: Mapping[int, Layout] = field(default_factory=dict)
    """By their keys, those of its tags that have slots themselves, and what they are made of."""

    def written(self, translation: Segment | None, tags: Mapping[int, str | None]) -> str:
        """Write what stands there.

        Args:
            translation: The translation of the segment; None if it stays as it came.
            tags: What became of the tags that have slots; None for those that stay as they came.
        """
        if translation is None and self.raw is not None and not any(tag is not None for tag in tags.values()):
            return self.raw
        return self.write(joined(_with_tags(self.segment if translation is None else translation, tags)))


Layout = tuple[str | Slot, ...]
"""A text: what is kept to the letter, and what is translated."""


def layout_of_text(text: str) -> Layout:
    """Lay out plain text: lines are translated, line breaks kept, of whatever kind and however many."""
    parts = _BREAK.split(text)
    return tuple(Slot((part,)) if place % 2 == 0 and part.strip() else part for place, part in enumerate(parts) if part)


def layout_of_segment(segment: Segment) -> Layout:
    """Lay out a segment, which is one slot."""
    return (Slot(segment),) if any(isinstance(part, Tag) or part.strip() for part in segment) else (written(segment),)


def slots(layout: Layout) -> Iterator[Slot]:
    """Return the slots of a text in order, those in the tags of a slot before it."""
    for part in layout:
        if isinstance(part, Slot):
            for tag in part.tags.values():
                yield from slots(tag)
            yield part


def write(layout: Layout, translations: Iterator[Segment | None]) -> str | None:
    """Write a text.

    Args:
        layout: What it is made of.
        translations: One for each of its slots; None for what stays as it came.

    Returns:
        The text; None if all of it stays as it came.
    """
    parts: list[str] = []
    changed = False
    for part in layout:
        if isinstance(part, str):
            parts.append(part)
            continue
        tags = {key: write(tag, translations) for key, tag in part.tags.items()}
        translation = next(translations)
        changed = changed or translation is not None or any(tag is not None for tag in tags.values())
        parts.append(part.written(translation, tags))
    return "".join(parts) if changed else None


def _with_tags(segment: Segment, tags: Mapping[int, str | None]) -> Iterator[str | Tag]:
    """Write what became of tags into a segment."""
    for part in segment:
        markup = tags.get(part.key) if isinstance(part, Tag) and part.kind is not Kind.CLOSE else None
        yield replace(part, markup=markup) if isinstance(part, Tag) and markup is not None else part
