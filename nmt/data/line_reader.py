"""Lines read ahead of whoever uses them, in chunks that do not wait for a slow writer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from nmt.data.compression import is_damage
from nmt.data.text import CorpusError, RawLine, Source, raw_lines

_PATIENCE: Final = 0.1  # seconds that a line waits for others, where they do not come from a file


class _Ahead(NamedTuple):
    line: RawLine
    came: float
    """Time, in seconds."""
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
        self.chunk_start = self.position = 0
        """Bytes of the source, compressed ones where it is, before and behind the last chunk; 0 if nobody knows."""
        self._most, self._largest = most, largest
        self._is_file = source.size() is not None
        self._ahead: deque[_Ahead] = deque()
        self._bytes = 0  # of the lines ahead
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def chunks(self) -> Iterator[list[RawLine]]:
        """Read the lines, once.

        Yields:
            Full chunks, the same whenever a file is read; of a pipe, what has come when a line has waited for a tenth
            of a second.

        Raises:
            CorpusError: Compressed data is damaged. This and the other come when all lines before were yielded.
            OSError: The source cannot be read.
        """
        # A daemon: it may wait for input for ever, and the process must end all the same.
        threading.Thread(target=self._read_ahead, name="nmt reads ahead", daemon=True).start()
        while chunk := self._next():
            yield chunk
        if self._error is None:
            return
        if is_damage(self._error):
            raise CorpusError(f"{self.source.path}: {self.source.damage(self._error)}") from None
        if isinstance(self._error, OSError):
            self._error.filename = self._error.filename or self.source.name
        raise self._error

    def _next(self) -> list[RawLine]:
        with self._changed:
            while not (self._is_full(1) or self._ended):
                if self._is_file or not self._ahead:
                    self._changed.wait()
                elif (left := self._ahead[0].came + _PATIENCE - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    break
            self.chunk_start = self.position
            chunk: list[RawLine] = []
            size = 0
            while self._ahead and len(chunk) < self._most and size < self._largest:
                line, _, self.position = self._ahead.popleft()
                chunk.append(line)
                size += len(line.content)
            self._bytes -= size
            self._changed.notify_all()
        return chunk

    def _read_ahead(self) -> None:
        try:
            for line in raw_lines(self.source.file):
                position = self.source.below.tell() if self._is_file else 0
                with self._changed:
                    self._changed.wait_for(lambda: not self._is_full(2))
                    self._ahead.append(_Ahead(line, time.monotonic(), position))
                    self._bytes += len(line.content)
                    if len(self._ahead) == 1 or self._is_full(1):
                        self._changed.notify_all()
        except Exception as error:  # raised where the lines are used
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _is_full(self, chunks: int) -> bool:
        """Whether there is enough ahead for so many chunks."""
        return len(self._ahead) >= chunks * self._most or self._bytes >= chunks * self._largest
