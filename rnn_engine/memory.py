"""Blocks of memory for the engine's arenas and results, used again once they are free.

A fresh block of many megabytes costs more than it seems: the system hands it out page by page, zeroed, at the first
touch. A training step asks for the same blocks as the one before, so they are kept; never more of them than were in use
at once.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes of which the address of an arena must be a multiple."""


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
        whole = self._take(size, math.inf if brief else 1.5)
        array = whole[-whole.ctypes.data % ALIGNMENT :][:size].view(dtype).reshape(shape)
        weakref.finalize(array, self.give_back, whole).atexit = False
        return array

    def _take(self, size: int, most: float) -> NDArray[np.uint8]:
        """Of the free blocks that are large enough, the smallest, if it is at most `most` times as large."""
        needed = size + ALIGNMENT
        with self.lock:
            fitting = [i for i, block in enumerate(self._free) if needed <= block.nbytes <= most * needed]
            if fitting:
                whole = self._free.pop(min(fitting, key=lambda i: self._free[i].nbytes))
            else:
                whole = np.empty(needed, np.uint8)
            self._in_use += whole.nbytes
            self._most_in_use = max(self._most_in_use, self._in_use)
        return whole

    def give_back(self, whole: NDArray[np.uint8]) -> None:
        """Keeps the memory for the next `take`, and drops the oldest free blocks beyond what was ever in use."""
        with self.lock:
            self._in_use -= whole.nbytes
            self._free.append(whole)
            while sum(block.nbytes for block in self._free) > self._most_in_use - self._in_use:
                self._free.pop(0)

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
