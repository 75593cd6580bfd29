"""What a run is cut into: some thousand rows of a file, which a worker makes into as many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from nmt.data.text import RawLine

LARGEST_SHARD: Final = 8_000_000
"""Bytes with which a shard ends, whatever its rows."""
MOST_NOTES: Final = 3
"""Rows of a shard of which it is told what is wrong."""


class BulkError(ValueError):
    """A run that cannot go on; the message says what was expected, and what came."""


class Note(NamedTuple):
    """What is wrong with a row."""

    row: int
    reason: str


@dataclass(frozen=True)
class Shard:
    """Some rows of a file."""

    number: int
    """In the run, from 0."""
    kind: str
    """text, tsv, json or parquet."""
    file: str
    """As the user calls it."""
    first: int
    """Number of its first row in the file, from 1."""
    rows: int
    content: list[RawLine] | bytes
    """Lines; or an Arrow stream of columns."""
    column: str | int
    """Where the text is: name of a field or a column, or number of a column, from 0."""
    size: int = 0
    """Bytes of the file that it takes, compressed ones if it is compressed."""

    def key(self, place: int) -> str:
        """Tell what one of its rows is called: file and number."""
        return f"{self.file}:{self.first + place}"


@dataclass
class Made:
    """What became of a shard."""

    content: bytes
    """Lines; or an Arrow stream of columns."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Rows of each status."""
    unreadable: int = 0
    """Rows that are not what they should be."""
    notes: list[Note] = field(default_factory=list)
    """What is wrong with the first of these."""

    def note(self, row: int, reason: str) -> None:
        """Count a row that is not what it should be."""
        self.unreadable += 1
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Note(row, reason))


class Failed(NamedTuple):
    """A shard that ended its worker again and again."""

    shard: Shard
    reason: str


Outcome = tuple[Shard, Made] | Failed
Shards = Iterator[Shard]
