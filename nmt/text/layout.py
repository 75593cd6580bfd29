"""What a text is around its segments: line breaks and white space, or markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nmt.text.segments import Segment, Tag, written

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

    @property
    def original(self) -> str:
        """What stands there, as it came."""
        return self.write(self.segment) if self.raw is None else self.raw


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
    """Return the slots of a text in order."""
    return (part for part in layout if isinstance(part, Slot))
