"""Text files and streams, plain or compressed: line by line, pair by pair, in chunks, and written whole."""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from nmt.files import atomic_write

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

_DAMAGED = (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError)
"""What the libraries say of compressed data that is damaged, or ends too early."""


class CorpusError(ValueError):
    """Text that cannot be used; the message names file, line, what was expected and what came."""


def read_lines(path: Path) -> Iterator[str]:
    r"""Read a text file without holding it in memory.

    Only LF ends a line, so that line N here is line N of `sed`, `wc` and every other tool: a lone CR or a Unicode line
    separator stays inside its line. The CR of CRLF and a byte order mark are taken off.

    Args:
        path: UTF-8 text; compressed if the name ends in `.gz` or `.zst`.

    Yields:
        Each line without its end.

    Raises:
        CorpusError: Invalid UTF-8, or damaged compressed data.
        FileNotFoundError: There is no such file.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                content = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                yield content.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise CorpusError(
            f"{path}: line {number}: expected UTF-8, got byte 0x{byte:02x} at position {error.start}"
        ) from None
    except _DAMAGED as error:
        raise CorpusError(f"{path}: after line {number}: {_what_came(path, error)}") from None


def read_pairs(*paths: Path) -> Iterator[tuple[str, str]]:
    """Read the pairs of a corpus.

    Args:
        paths: One file of tab-separated columns, of which the first two are source and target and the others are
            ignored; or two files, side by side: one source segment per line, and the translation of each.

    Yields:
        Source and target of line N.

    Raises:
        CorpusError: A line has fewer than two columns; the two files differ in their number of lines (said at the
            end); or as for `read_lines`.
        FileNotFoundError: A file is missing.
        ValueError: Neither one nor two files.
    """
    if len(paths) == 1:
        yield from _read_columns(paths[0])
    elif len(paths) == 2:
        yield from _read_side_by_side(*paths)
    else:
        raise ValueError(f"paths: expected one file or two, got {len(paths)}")


def _read_columns(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split("\t", 2)
        if len(columns) < 2:
            raise CorpusError(f"{path}: line {number}: expected source and target separated by a tab, got no tab")
        yield columns[0], columns[1]


def _read_side_by_side(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    counts = [0, 0]
    for pair in zip_longest(read_lines(source), read_lines(target)):
        for side, line in enumerate(pair):
            counts[side] += line is not None
        if counts[0] == counts[1]:
            yield cast(tuple[str, str], pair)
    if counts[0] != counts[1]:
        raise CorpusError(
            f"expected as many source as target lines, got {counts[0]} in {source} and {counts[1]} in {target}"
        )


@contextmanager
def open_input(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file, compressed if its name ends in `.gz` or `.zst`, or stdin for None.

    Raises:
        CorpusError: The compressed data turns out to be damaged while it is read.
        OSError: The file cannot be read.
    """
    if path is None:
        yield sys.stdin.buffer
        return
    with _open(path) as file:
        try:
            yield file
        except _DAMAGED as error:
            raise CorpusError(f"{path}: {_what_came(path, error)}") from None


def _open(path: Path) -> BinaryIO:
    """Open a text, compressed if its name says so; damage shows while it is read."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return cast(BinaryIO, zstd.open(path, "rb")) if path.suffix == ".zst" else path.open("rb")


def _what_came(path: Path, error: BaseException) -> str:
    return f"expected {'Zstandard' if path.suffix == '.zst' else 'gzip'} data, got: {error}"


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file for writing, compressed if its name ends in `.gz` or `.zst`, or stdout for None.

    A file takes its name when all is written, and leaves nothing behind on an error; what is no regular file, such as
    a pipe or a device, is written to directly.

    Raises:
        OSError: The file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
    else:
        with _named(path), atomic_write(path) as plain:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=plain, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            elif path.suffix == ".zst":
                with zstd.ZstdFile(plain, "wb", options={zstd.CompressionParameter.checksum_flag: 1}) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield plain


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Make errors of a file's temporary twin name the file."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and Path(error.filename).name.startswith(f".{path.name}."):
            error.filename = str(path)
        raise


def read_chunks(lines: Iterable[bytes], max_lines: int, max_bytes: int) -> Iterator[list[str]]:
    """Gather lines, as many as fit into memory together.

    Args:
        lines: UTF-8; invalid bytes become U+FFFD. Only LF ends a line; the CR of CRLF and a byte order mark are taken
            off.
        max_lines: Lines of a chunk at most.
        max_bytes: A chunk ends with the line that reaches this size.

    Yields:
        The lines of each chunk.
    """
    mark = codecs.BOM_UTF8
    for chunk in gather(lines, len, max_lines, max_bytes):
        chunk[0], mark = chunk[0].removeprefix(mark), b""
        yield [raw.decode("utf-8", errors="replace").rstrip("\r\n") for raw in chunk]


def gather(items: Iterable[T], size: Callable[[T], int], most: int, largest: int) -> Iterator[list[T]]:
    """Gather items into lists of at most `most`; a list ends with the item with which their sizes reach `largest`."""
    gathered: list[T] = []
    total = 0
    for item in items:
        gathered.append(item)
        total += size(item)
        if len(gathered) >= most or total >= largest:
            yield gathered
            gathered, total = [], 0
    if gathered:
        yield gathered
