"""Lines of a file or a pipe, read ahead of whoever uses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nmt.data.ahead import ReadAhead
from nmt.data.compression import is_damage
from nmt.data.text import CorpusError, RawLine, Source, raw_lines


class _Line(NamedTuple):
    line: RawLine
    position: int
    """Bytes that were read up to its end."""


class LineReader:
    """Reads the lines of a source ahead, at most two chunks, in a thread of its own.

    Args:
        source: What to read.
        most: Lines of a chunk at most.
        largest: A chunk ends with the line with which its bytes reach this number.
    """

    def __init__(self, source: Source, most: int, largest: int) -> None:
        self.source = source
        self.position = 0
        """Bytes of the source, compressed ones where it is, up to the end of the last chunk; 0 if nobody knows."""
        self._is_file = source.size() is not None
        self._ahead = ReadAhead(
            self._lines(), lambda item: len(item.line.content), most, largest, patient=self._is_file
        )

    def chunks(self) -> Iterator[list[RawLine]]:
        """Read the lines, once.

        Yields:
            Full chunks, the same whenever a file is read; of a pipe, what has come when a line has waited for a tenth
            of a second.

        Raises:
            CorpusError: Compressed data is damaged. This and the other come when all lines before were yielded.
            OSError: The source cannot be read.
        """
        try:
            for chunk in self._ahead.chunks():
                self.position = chunk[-1].position
                yield [line for line, _ in chunk]
        except Exception as error:
            if is_damage(error):
                raise CorpusError(f"{self.source.path}: {self.source.damage(error)}") from None
            if isinstance(error, OSError):
                error.filename = error.filename or self.source.name
            raise

    def _lines(self) -> Iterator[_Line]:
        for line in raw_lines(self.source.file):
            yield _Line(line, self.source.below.tell() if self._is_file else 0)
