"""The files of a run, local or at any address that fsspec knows: read shard by shard, and written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from nmt.bulk.rows import Wanted, added_columns
from nmt.bulk.shards import LARGEST_SHARD, BulkError, Shard
from nmt.data.compression import SUFFIXES, decompressing, is_damage
from nmt.data.text import RawLine, gather, open_input, open_output, raw_lines
from nmt.reading import open_given, sha256

_KINDS: Final = {".tsv": "tsv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
_Part = tuple[list[RawLine] | bytes, int, int, int]
"""Content of a shard, its rows, its bytes in the file, and the number of its first row."""
_COLUMNS: Final[dict[str, str | int]] = {"text": 0, "tsv": 0, "json": "text", "parquet": "text"}


def is_remote(address: str) -> bool:
    """Whether it is an address, and no path."""
    return "://" in address


def kind_of(address: str) -> str:
    """Tell what a file holds, by its name: text, tsv, json or parquet."""
    name = PurePosixPath(address)
    if name.suffix.lower() in SUFFIXES:
        name = name.with_suffix("")
        if name.suffix.lower() == ".parquet":
            raise BulkError(f"{address}: expected a .parquet file as it is, which is compressed inside, got {address}")
    return _KINDS.get(name.suffix.lower(), "text")


def digest(address: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    if not is_remote(address):
        return sha256(Path(address))
    found = hashlib.sha256()
    with _opened(address) as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


@contextmanager
def _opened(address: str) -> Iterator[BinaryIO]:
    system, path = _system(address)
    try:
        with system.open(path, "rb") as file:
            yield cast(BinaryIO, file)
    except OSError as error:
        if error.errno is not None:  # else a library's own
            error.filename = error.filename or address
        raise


def _system(address: str) -> tuple[Any, str]:
    """Find the file system of an address, and the path in it."""
    from fsspec.core import url_to_fs  # noqa: PLC0415  (for addresses alone)

    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as error:  # a protocol that needs another package, or that nobody knows
        raise BulkError(f"{address}: {error}") from None
    return system, str(path)


@contextmanager
def _reading(address: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file of lines: what is read, and what lies below it, perhaps compressed."""
    if not is_remote(address):
        with open_input(Path(address)) as source:
            yield source.file, source.below
        return
    with _opened(address) as below:
        suffix = PurePosixPath(address).suffix
        yield decompressing(below, suffix) if suffix in SUFFIXES else below, below


@contextmanager
def writing(address: str, scratch: Path) -> Iterator[BinaryIO]:
    """Open a file that appears when all of it is there; compressed if its name says so.

    Args:
        address: The file.
        scratch: A local folder, where a file of another machine lies until it is whole.
    """
    if not is_remote(address):
        with open_output(Path(address)) as file:
            yield file
        return
    system, path = _system(address)
    whole = scratch / f"output{PurePosixPath(address).suffix}"
    with open_output(whole) as file:
        yield file
    system.put_file(str(whole), path)
    whole.unlink()


@dataclass
class Input:
    """A file of a run."""

    address: str
    column: str | None
    """What the user says of where the text is."""
    wanted: Wanted
    kind: str = ""
    header: str | None = None
    """The first line of a file of columns, if it has names; known when it was read."""
    rows: int = 0
    """Rows that were read so far."""
    damage: str | None = None
    """Why not all of it could be read."""
    _place: str | int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.kind = kind_of(self.address)
        self._place = self._column()

    def _column(self) -> str | int:
        if self.column is None:
            return _COLUMNS[self.kind]
        if self.kind == "text":
            raise BulkError(f"{self.address}: --column: expected a file of columns or of fields, got one of lines")
        if self.kind == "tsv" and self.column.isascii() and self.column.isdigit():
            if int(self.column) < 1:
                raise BulkError(f"--column: expected a number from 1 on, or a name, got {self.column}")
            return int(self.column) - 1
        return self.column

    def shards(self, rows: int, start: int) -> Iterator[Shard]:
        """Read the file; where it is damaged, what comes before is read, and `damage` says the rest.

        Args:
            rows: Of a shard, at most.
            start: Number of the first shard.

        Raises:
            OSError: It cannot be read.
        """
        read = self._tables if self.kind == "parquet" else self._lines
        try:
            for number, (content, count, size, first) in enumerate(read(rows), start=start):
                self.rows += count
                yield Shard(number, self.kind, self.address, first, count, content, self._place, size)
        except BulkError as error:
            self.damage = str(error)

    def _lines(self, rows: int) -> Iterator[_Part]:
        first, before = 1, 0
        with _reading(self.address) as (file, below):
            found = raw_lines(file)
            try:
                if self.kind == "tsv" and isinstance(self._place, str):
                    self._read_header(next(found, RawLine(b"")))
                    first = 2
                for lines in self._gathered(found, rows):
                    position = below.tell()
                    yield lines, len(lines), position - before, first
                    first, before = first + len(lines), position
            except Exception as error:
                if not is_damage(error):
                    raise
                suffix = PurePosixPath(self.address).suffix
                kind = SUFFIXES.get(suffix, "whole")
                raise BulkError(f"after row {first - 1:,}: expected {kind} data, got: {error}") from None

    def _gathered(self, found: Iterator[RawLine], rows: int) -> Iterator[list[RawLine]]:
        """Gather lines into shards; those before a damage are one, too, and the damage comes after it."""
        problem: list[Exception] = []

        def readable() -> Iterator[RawLine]:
            try:
                yield from found
            except Exception as error:
                if not is_damage(error):
                    raise
                problem.append(error)

        yield from gather(readable(), lambda line: len(line.content), rows, LARGEST_SHARD)
        if problem:
            raise problem[0]

    def _read_header(self, line: RawLine) -> None:
        self.header = line.content.decode("utf-8", errors="replace")
        names = self.header.split("\t")
        if names.count(str(self._place)) != 1:
            raise BulkError(f"expected one column called {self._place!r} in the first line, got {', '.join(names)!r}")
        self._place = names.index(str(self._place))

    def _tables(self, rows: int) -> Iterator[_Part]:
        import pyarrow as pa  # noqa: PLC0415  (only where there is Parquet)
        from pyarrow import parquet  # noqa: PLC0415

        first = 1
        opened: Any = _opened(self.address) if is_remote(self.address) else open_given(Path(self.address))
        with opened as file:
            try:
                table = parquet.ParquetFile(file)
                self._check_schema(table.schema_arrow)
                count = max(1, table.metadata.num_rows)
                size = file.seek(0, 2)
                batches = table.iter_batches(rows) if table.metadata.num_rows else [table.schema_arrow.empty_table()]
                for batch in batches:
                    sink = pa.BufferOutputStream()
                    with pa.ipc.new_stream(sink, batch.schema) as writer:
                        writer.write(batch)
                    yield sink.getvalue().to_pybytes(), batch.num_rows, size * batch.num_rows // count, first
                    first += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                raise BulkError(f"after row {first - 1:,}: expected Parquet, got: {error}") from None

    def _check_schema(self, schema: Any) -> None:
        import pyarrow as pa  # noqa: PLC0415

        names = list(schema.names)
        if names.count(self._place) != 1:
            raise BulkError(f"expected one column called {self._place!r}, got {', '.join(map(repr, names))}")
        kind = schema.field(self._place).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise BulkError(f"expected a column {self._place!r} of strings, got {kind}")
        if both := added_columns(self.wanted) & set(names):
            raise BulkError(f"expected no column called {' or '.join(sorted(both))}, which would be added")
