"""Text files and streams, plain or compressed: line by line, pair by pair, and written whole."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeVar, cast

from nmt.data.compression import SUFFIXES, compressing, decompressing, is_damage
from nmt.data.encodings import advice, looks_wide
from nmt.files import STREAM, write_through
from nmt.reading import open_given

T = TypeVar("T")

LONGEST_LINE: Final = 1_000_000
"""Bytes of a line that are read."""

_SKIPPED: Final = 1 << 16  # bytes at a time of what follows them
_PART_OF_A_CHARACTER = re.compile(rb"[\xc0-\xff][\x80-\xbf]*\Z")


class CorpusError(ValueError):
    """Text that cannot be used; the message names file, line, what was expected and what came."""


class RawLine(NamedTuple):
    """A line of a stream."""

    content: bytes
    """Without its end, LF or CRLF, and without the byte order mark of UTF-8 before the first."""
    is_cut: bool = False
    """Whether it is longer than the limit, and this its beginning."""


def raw_lines(file: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[RawLine]:
    r"""Read lines with bounded memory.

    Only LF ends a line, so that line N here is line N of `sed`, `wc` and every other tool: a lone CR or a Unicode line
    separator stays inside its line.

    Args:
        file: The stream.
        longest: Bytes of a line at most; one that is cut ends before a character.
    """
    mark = codecs.BOM_UTF8
    most = longest + len(b"\r\n")
    while content := file.readline(most):
        rest, asked = content, most
        while len(rest) == asked and not rest.endswith(b"\n"):
            rest, asked = file.readline(_SKIPPED), _SKIPPED
        content = content.removeprefix(mark).removesuffix(b"\n").removesuffix(b"\r")
        mark = b""
        if len(content) > longest:
            yield RawLine(_PART_OF_A_CHARACTER.sub(b"", content[:longest]), is_cut=True)
        else:
            yield RawLine(content)


def read_lines(path: Path) -> Iterator[str]:
    """Read a text file without holding it in memory (see `raw_lines`).

    Args:
        path: UTF-8 text, compressed if the name says so (`nmt.data.compression.SUFFIXES`); `-` is stdin.

    Yields:
        Each line without its end.

    Raises:
        CorpusError: Invalid UTF-8, a line of more than `LONGEST_LINE` bytes, or damaged compressed data.
        FileNotFoundError: There is no such file.
    """
    number = 0
    with open_input(path) as source:
        try:
            for number, (content, is_cut) in enumerate(raw_lines(source.file), start=1):
                if is_cut:
                    raise CorpusError(f"{path}: line {number}: expected at most {LONGEST_LINE:,} bytes, got more")
                if looks_wide(content):
                    raise CorpusError(
                        f"{path}: line {number}: expected UTF-8, got control characters; {advice(path, content)}"
                    )
                yield content.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise CorpusError(
                f"{path}: line {number}: expected UTF-8, got byte 0x{byte:02x} at position {error.start}; "
                f"{advice(path, error.object)}"
            ) from None
        except Exception as error:
            if not is_damage(error):
                raise
            raise CorpusError(f"{path}: after line {number}: {source.damage(error)}") from None


def read_pairs(*paths: Path, languages: tuple[str, str] = ("", "")) -> Iterator[tuple[str, str]]:
    """Read the pairs of a corpus.

    Args:
        paths: One file of tab-separated columns, of which the first two are source and target and the others are
            ignored; or a translation memory, whose name ends in .tmx; or two files, side by side: one source segment
            per line, and the translation of each.
        languages: Codes of source and target, by which a translation memory tells what is what.

    Yields:
        Source and target of line N.

    Raises:
        CorpusError: A line has fewer than two columns; the two files differ in their number of lines (said at the
            end); a translation memory is none, or of other languages; or as for `read_lines`.
        FileNotFoundError: A file is missing.
        ValueError: Neither one nor two files.
    """
    if len(paths) == 1:
        yield from _read_memory(paths[0], languages) if is_memory(paths[0]) else _read_columns(paths[0])
    elif len(paths) == 2:
        yield from _read_side_by_side(*paths)
    else:
        raise ValueError(f"paths: expected one file or two, got {len(paths)}")


def is_memory(path: Path) -> bool:
    """Whether a name, perhaps of a compressed file, is that of a translation memory."""
    return (Path(path.stem) if path.suffix in SUFFIXES else path).suffix.lower() == ".tmx"


def _read_memory(path: Path, languages: tuple[str, str]) -> Iterator[tuple[str, str]]:
    from nmt.data.tmx import TmxError, read_tmx  # noqa: PLC0415  (few read any)

    with open_input(path) as source:
        try:
            yield from read_tmx(source.file, languages)
        except TmxError as error:
            raise CorpusError(f"{path}: {error}") from None
        except Exception as error:
            if not is_damage(error):
                raise
            raise CorpusError(f"{path}: {source.damage(error)}") from None


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


@dataclass(frozen=True)
class Source:
    """A stream that is open for reading."""

    file: BinaryIO
    """What to read, not compressed."""
    below: BinaryIO
    """What lies on the disk, or comes through a pipe, perhaps compressed."""
    path: Path = STREAM

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "stdin" if self.path == STREAM else str(self.path)

    def size(self) -> int | None:
        """Return the bytes of what lies below; None where that is no regular file."""
        try:
            found = os.fstat(self.below.fileno())
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def damage(self, error: BaseException) -> str:
        """Say what is wrong with the compressed data."""
        return f"expected {SUFFIXES[self.path.suffix]} data, got: {error}"


@contextmanager
def open_input(path: Path | None) -> Iterator[Source]:
    """Open a file or a pipe, compressed if its name says so, or stdin for None and for `-`.

    Raises:
        OSError: It cannot be read, or is a device without an end: all but terminals and the null device are.
    """
    if path is None or path == STREAM:
        file = _stdin()
        yield Source(file, file)
        return
    below = open_given(path)
    if stat.S_ISCHR(os.fstat(below.fileno()).st_mode) and not below.isatty() and not path.samefile(os.devnull):
        below.close()
        raise OSError(errno.EINVAL, "expected text, got a device", str(path))
    source = Source(decompressing(below, path.suffix) if path.suffix in SUFFIXES else below, below, path)
    try:
        yield source
    finally:
        if source.size() is not None:  # closing a pipe would wait for a thread that reads from it
            source.file.close()
            below.close()


def _stdin() -> BinaryIO:
    """Stdin by a stream of its own: Python closes the usual one at its end, and would wait for a thread that reads."""
    try:
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    except OSError:  # something that only looks like a file
        return sys.stdin.buffer


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open what a user names for writing, as `nmt.files.write_through` does; compressed if its name says so.

    Raises:
        OSError: It cannot be written.
    """
    with write_through(path) as plain:
        if path is None or path.suffix not in SUFFIXES:
            yield plain
        else:
            with compressing(plain, path.suffix) as packed:
                yield packed


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
