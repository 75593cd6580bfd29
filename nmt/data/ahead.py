"""Items read ahead of whoever uses them, in chunks that do not wait for a slow source."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_PATIENCE: Final = 0.1  # seconds that an item waits for others


class ReadAhead(Generic[T]):
    """Takes items, at most two chunks ahead, in a thread of its own.

    Args:
        items: What to take; gone through once.
        size: Of an item.
        most: Items of a chunk at most.
        largest: A chunk ends with the item with which their sizes reach this number.
        patient: Whether chunks are full however long that takes: they are then the same every time. Else a chunk is
            what has come when an item has waited for a tenth of a second.
    """

    def __init__(
        self, items: Iterable[T], size: Callable[[T], int], most: int, largest: int, *, patient: bool = False
    ) -> None:
        self._items, self._size = items, size
        self._most, self._largest, self._patient = most, largest, patient
        self._ahead: deque[tuple[T, int, float]] = deque()  # with size, and the time at which it came
        self._sizes = 0  # of the items ahead
        self._ended = self._left = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def chunks(self) -> Iterator[list[T]]:
        """Yield the items, once; an error of their source comes when all items before were yielded."""
        # A daemon: it may wait for an item for ever, and the process must end all the same.
        threading.Thread(target=self._take, name="nmt reads ahead", daemon=True).start()
        try:
            while chunk := self._next():
                yield chunk
            if self._error is not None:
                raise self._error
        finally:
            with self._changed:
                self._left = True
                self._changed.notify_all()

    def _next(self) -> list[T]:
        with self._changed:
            while not (self._is_full(1) or self._ended):
                if self._patient or not self._ahead:
                    self._changed.wait()
                elif (left := self._ahead[0][2] + _PATIENCE - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    break
            chunk: list[T] = []
            sizes = 0
            while self._ahead and len(chunk) < self._most and sizes < self._largest:
                item, size, _ = self._ahead.popleft()
                chunk.append(item)
                sizes += size
            self._sizes -= sizes
            self._changed.notify_all()
        return chunk

    def _take(self) -> None:
        try:
            for item in self._items:
                size = self._size(item)
                with self._changed:
                    self._changed.wait_for(lambda: self._left or not self._is_full(2))
                    if self._left:
                        return
                    self._ahead.append((item, size, time.monotonic()))
                    self._sizes += size
                    if len(self._ahead) == 1 or self._is_full(1):
                        self._changed.notify_all()
        except Exception as error:  # raised where the items are used
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _is_full(self, chunks: int) -> bool:
        """Whether there is enough ahead for so many chunks."""
        return len(self._ahead) >= chunks * self._most or self._sizes >= chunks * self._largest
