"""Files and standard streams as the commands read and write them, plain or gzipped."""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from nmt.files import atomic_write


class StreamError(ValueError):
    """Input that cannot be read or used; the message says which, what was expected and what came."""


@contextmanager
def open_input(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file, gzipped if its name ends in `.gz`, or stdin for None.

    Raises:
        StreamError: The gzip data turns out to be damaged while it is read.
        OSError: The file cannot be read.
    """
    if path is None:
        yield sys.stdin.buffer
    elif path.suffix == ".gz":
        try:
            with gzip.open(path, "rb") as file:
                yield cast(BinaryIO, file)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise StreamError(f"{path}: expected gzip data, got: {error}") from None
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file for writing, gzipped if its name ends in `.gz`, or stdout for None.

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
    chunk: list[str] = []
    size = 0
    first = True
    for raw in lines:
        content = raw.removeprefix(codecs.BOM_UTF8) if first else raw
        first = False
        chunk.append(content.decode("utf-8", errors="replace").rstrip("\r\n"))
        size += len(raw)
        if len(chunk) >= max_lines or size >= max_bytes:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
