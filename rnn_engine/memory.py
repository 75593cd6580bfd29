"""Blocks of memory for the engine's arenas and results, used again once they are free.

A fresh block of many megabytes costs more than it seems: the system hands it out page by page, zeroed, at the first
touch. A training step asks for almost the same blocks as the one before, so they are kept; never more of them than were
in use at once. Each large one is a mapping of its own: in the C library's heap blocks of many sizes leave gaps between
them, and a training's memory would grow with its shapes. Their sizes are rounded up, four to each power of two, so that
batches of other shapes find the blocks of those before.
"""

from __future__ import annotations

import math
import mmap
import os
import threading
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes of which the address of an arena must be a multiple."""


_MAPPED = 1 << 20
"""Bytes from which on a block is a mapping of its own."""
_HUGE = 4 << 20
"""Bytes from which on the system is asked for large pages, as NumPy asks for its arrays."""
_LOOSE = 3
"""How many times as large as asked for a free block may be that is not taken for a moment only."""


_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
"""What makes a mapping the process's own, which a forked child would otherwise write to as well."""


def _rounded(size: int) -> int:
    """Up to the next of four sizes in each power of two; a page that nobody touches takes no memory."""
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


def _block(size: int) -> NDArray[np.uint8]:
    """Fresh memory, which goes back to the system with the array."""
    if size < _MAPPED:
        return np.empty(size, np.uint8)
    try:
        mapping = mmap.mmap(-1, size, **_PRIVATE)
    except OSError:
        raise MemoryError(f"rnn_engine: {size:,} bytes are not to be had") from None
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # where the system has none
            mapping.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapping, np.uint8)


class BlockPool:
    """Free blocks, oldest first."""

    def __init__(self) -> None:
        self._free: list[NDArray[np.uint8]] = []
        self._in_use = 0
        self._most_in_use = 0
        self.lock = threading.RLock()  # a block may be collected, and given back, while its thread holds the lock

    def array(self, shape: tuple[int, ...], dtype: str = "uint8", *, brief: bool = False) -> NDArray[Any]:
        """An uninitialised, aligned array; its memory returns to the pool when this very object goes.

        Do not take NumPy views of it that may live longer: they would not keep its memory.

        Args:
            shape: Its shape.
            dtype: NumPy's name of its type.
            brief: It goes back within a step. Then however large a free block may serve: layers that take turns, or one
                whose policy changes, use the same memory.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        whole, asked = self._take(size, math.inf if brief else _LOOSE)
        array = whole[-whole.ctypes.data % ALIGNMENT :][:size].view(dtype).reshape(shape)
        weakref.finalize(array, self.give_back, whole, asked).atexit = False
        return array

    def _take(self, size: int, most: float) -> tuple[NDArray[np.uint8], int]:
        """Of the free blocks that are large enough, the smallest, if at most `most` times as large; else a new one.

        What counts as in use is what was asked for: did all of a loose block count, the bound would grow with shapes.
        """
        needed = size + ALIGNMENT
        if needed >= _MAPPED:
            needed = _rounded(needed)
        with self.lock:
            fitting = [i for i, block in enumerate(self._free) if needed <= block.nbytes <= most * needed]
            smallest = min(fitting, key=lambda i: self._free[i].nbytes, default=None)
            whole = _block(needed) if smallest is None else self._free.pop(smallest)
            self._in_use += needed
            self._most_in_use = max(self._most_in_use, self._in_use)
            if smallest is None:
                self._drop()
        return whole, needed

    def give_back(self, whole: NDArray[np.uint8], asked: int) -> None:
        """Keeps the memory for the next `take`."""
        with self.lock:
            self._in_use -= asked
            self._free.append(whole)
            self._drop()

    def _drop(self) -> None:
        """Give back to the system the oldest free blocks beyond what was ever in use."""
        free = sum(block.nbytes for block in self._free)
        while self._free and free > self._most_in_use - self._in_use:
            free -= self._free.pop(0).nbytes

    def clear(self) -> None:
        """Gives all free memory back to the system."""
        with self.lock:
            self._free.clear()
            self._most_in_use = self._in_use

    def statistics(self) -> dict[str, Any]:
        """Bytes in use and free."""
        with self.lock:
            return {"in_use": self._in_use, "free": sum(block.nbytes for block in self._free)}


def across_forks(lock: threading.Lock | threading.RLock) -> None:
    """Lets a fork wait until nobody else holds the lock: in the child there would be nobody to release it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


pool = BlockPool()
"""The process's blocks."""
across_forks(pool.lock)
