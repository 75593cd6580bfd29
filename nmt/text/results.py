"""What became of a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nmt.decoding.alignment import Links
from nmt.decoding.translation import Candidate, Status, worst
from nmt.text.segments import Segment


@dataclass(frozen=True)
class LineResult:
    """What became of a line of a text, or of a paragraph or an attribute of HTML, or of a segment."""

    source: str
    """It, without tags."""
    text: str
    """Its translation, without tags."""
    status: Status
    """How it went; see `Status`."""
    alignment: Links | None = None
    """(word of `source`, word of `text`), from 0; None if nobody asked, or if they are not known."""
    missing: tuple[str, ...] = ()
    """Terms of the glossary that it holds, as the glossary writes them, whose translations are not in `text`."""
    best: Candidate | None = None
    """What the model made of it, before anything was put in its place; None if it was empty, copied or failed."""


@dataclass(frozen=True)
class TextResult:
    """What became of a text."""

    text: str
    """The translation; of a segment, with the markup of its tags."""
    status: Status
    """The worst of the lines'; empty or copied if there was nothing to translate in any."""
    alternatives: tuple[str, ...] = ()
    """Other translations, best first, none twice; of a text of several lines, the n-th is made of the n-th of each."""
    segment: Segment = ()
    """Of a segment, its translation."""
    lines: tuple[LineResult, ...] = ()
    """Each line that was given to the model."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Terms of the glossary that were not met, in the order in which they stand in the text."""
        return tuple(term for line in self.lines for term in line.missing)


def overall(statuses: Iterable[Status]) -> Status:
    """Return the worst of the statuses of lines; of those that held nothing to translate, only if there is no other."""
    found = set(statuses)
    said = found - {Status.EMPTY, Status.COPIED}
    return worst(*said) if said else Status.COPIED if Status.COPIED in found else Status.EMPTY
