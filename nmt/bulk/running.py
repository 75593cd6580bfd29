"""A run from its beginning to its end: read, made, written, put together."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from nmt.bulk.inputs import Input, writing
from nmt.bulk.rows import Wanted, failed, make, tsv_header
from nmt.bulk.shards import Failed, Note, Outcome, Shard, Shards
from nmt.bulk.state import Record, State, content_of


class Makes(Protocol):
    """Makes rows of shards, in whatever order: `nmt.bulk.pool.Pool`."""

    again: int

    def map(self, shards: Shards) -> Iterator[Outcome]:
        """Have shards made."""


@dataclass
class Tally:
    """What became of a run so far."""

    rows: int = 0
    rows_now: int = 0
    """Of these, made since the run went on."""
    statuses: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    given_up: int = 0
    """Rows of shards that ended their workers."""
    size: int = 0
    """Bytes of the inputs that are done."""


class Run:
    """A run.

    Args:
        inputs: What to read.
        outputs: What to write, for each.
        state: What is kept.
        wanted: What to write beside translations.
        rows: Of a shard, at most.
        show: Told of the rows and bytes that are done.
    """

    def __init__(
        self,
        inputs: list[Input],
        outputs: list[str],
        state: State,
        wanted: Wanted,
        rows: int,
        show: Callable[[int, int], None] = lambda rows, size: None,
    ) -> None:
        self.inputs, self.tally = inputs, Tally()
        self.notes: dict[str, Note] = {}
        """Of each file the first row that was not what it should be."""
        self._outputs, self._state, self._wanted, self._rows, self._show = outputs, state, wanted, rows, show
        self._records: dict[int, Record] = {}

    def make(self, pool: Makes) -> None:
        """Have all made that is not done.

        Raises:
            OSError: A file cannot be read or written; what is done stays.
        """
        for outcome in pool.map(self._missing()):
            if isinstance(outcome, Failed):
                shard, made = outcome.shard, make(outcome.shard, failed, self._wanted)
                made.note(shard.first, outcome.reason)
                self.tally.given_up += shard.rows
            else:
                shard, made = outcome
            self._count(shard, self._state.keep(shard, made, failed=isinstance(outcome, Failed)))
            self.tally.rows_now += shard.rows

    def put_together(self) -> None:
        """Write the outputs, each in the order of its input."""
        of_file: dict[str, list[Record]] = {}
        for _, record in sorted(self._records.items()):
            of_file.setdefault(record.file, []).append(record)
        for given, output in zip(self.inputs, self._outputs, strict=True):
            records = of_file.get(given.address, [])
            if given.damage is not None and not records:  # nothing could be read
                continue
            with writing(output, self._state.folder) as file:
                if given.kind == "parquet":
                    _write_tables(file, records)
                    continue
                if given.header is not None:
                    file.write(f"{tsv_header(given.header, self._wanted)}\n".encode())
                for record in records:
                    with content_of(record) as part:
                        shutil.copyfileobj(part, file)

    def _missing(self) -> Shards:
        """Read the inputs; what is done already is counted and passed over."""
        number = 0
        for given in self.inputs:
            for shard in given.shards(self._rows, number):
                number += 1
                if record := self._state.find(shard):
                    self._count(shard, record)
                else:
                    yield shard

    def _count(self, shard: Shard, record: Record) -> None:
        self._records[shard.number] = record
        tally = self.tally
        tally.rows += record.rows
        tally.statuses += record.statuses
        tally.unreadable += record.unreadable
        tally.size += shard.size
        for note in record.notes:
            known = self.notes.get(record.file)
            if known is None or note.row < known.row:
                self.notes[record.file] = note
        self._show(tally.rows, tally.size)

    def summary(self, again: int, seconds: float) -> dict[str, Any]:
        """Tell what became of the run, as JSON can hold it."""
        tally = self.tally
        return {
            "rows": tally.rows,
            "statuses": dict(sorted(tally.statuses.items())),
            "unreadable": tally.unreadable,
            "given_up": tally.given_up,
            "damaged_files": {given.address: given.damage for given in self.inputs if given.damage is not None},
            "outputs": self._outputs,
            "shards": len(self._records),
            "shards_again": again,
            "rows_now": tally.rows_now,
            "seconds": round(seconds, 3),
            "rows_per_second": round(tally.rows_now / seconds, 1) if seconds else None,
        }


def _write_tables(file: Any, records: list[Record]) -> None:
    """Write a Parquet file, a group of rows for each shard."""
    import pyarrow as pa  # noqa: PLC0415  (only where there is Parquet)
    from pyarrow import parquet  # noqa: PLC0415

    writer = None
    for record in records:
        with content_of(record) as part, pa.ipc.open_stream(part) as stream:
            table = stream.read_all()
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
