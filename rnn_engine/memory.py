"""Memory for the engine's arenas and results, used again once it is free.

A fresh block of many megabytes costs more than it seems: the system hands it out page by page, zeroed, at the first
touch. A training step asks for almost the same blocks as the one before, of other sizes, as its batch has another
shape. So they are cut from few large regions, each from the smallest free piece that holds it, and free neighbours
become one piece again: what a process holds is little more than what it ever used at once, whatever shapes come by. In
the C library's heap, blocks of many sizes would leave gaps.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import threading
import weakref
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ALIGNMENT: Final = 64
"""Bytes of which the address of an arena must be a multiple."""

_REGION: Final = 256 << 20
"""Bytes that a region has at least: few of them leave few ends that nothing fits. Untouched pages take no memory."""
_REGION_OF_FEW_ADDRESSES: Final = 64 << 20
"""The same where a process may have so many addresses and no more (`ulimit -v`), of which untouched pages take some."""
_PRIVATE: Final = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
"""What makes a mapping the process's own, which a forked child would otherwise write to as well."""


class _Region:
    """A mapping of the system's."""

    def __init__(self, size: int) -> None:
        self.mapping = mmap.mmap(-1, size, **_PRIVATE)
        self.size = size
        self.start = np.frombuffer(self.mapping, np.uint8).ctypes.data
        self.touched = 0
        """Bytes from its start on that have been handed out."""
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # where the system has none
                self.mapping.madvise(mmap.MADV_HUGEPAGE)

    def give_back(self, start: int, size: int) -> None:
        """Let the system have the pages that lie whole in a piece."""
        first = -(-(start - self.start) // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (start - self.start + size) // mmap.PAGESIZE * mmap.PAGESIZE
        if end > first and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED, first, end - first)


class _Pieces:
    """Free memory: pieces with something in use between any two."""

    def __init__(self) -> None:
        self.size_at: dict[int, int] = {}
        """By address."""
        self._start_of: dict[int, int] = {}
        """By the address behind a piece."""
        self._by_size: list[tuple[int, int]] = []
        """(size, address), sorted."""

    def add(self, start: int, size: int) -> None:
        """Add a piece; with those that it touches it becomes one."""
        end = start + size
        before = self._start_of.get(start)
        if before is not None:
            self.remove(before)
            start = before
        if end in self.size_at:
            end += self.remove(end)
        self.size_at[start], self._start_of[end] = end - start, start
        insort(self._by_size, (end - start, start))

    def remove(self, start: int) -> int:
        """Remove a piece; returns its size."""
        size = self.size_at.pop(start)
        del self._start_of[start + size], self._by_size[bisect_left(self._by_size, (size, start))]
        return size

    def take(self, size: int) -> int | None:
        """Cut so much from the smallest piece that has it; returns the address, or None."""
        place = bisect_left(self._by_size, (size, 0))
        if place == len(self._by_size):
            return None
        start = self._by_size[place][1]
        rest = self.remove(start) - size
        if rest:
            self.add(start + size, rest)
        return start


class _Blocks:
    """Blocks in use, the free pieces between them, and the regions in which all of them lie."""

    def __init__(self) -> None:
        self.regions: list[_Region] = []
        self.free = _Pieces()
        self.in_use = 0
        self.returned: deque[tuple[int, int]] = deque()
        """Free again, but not yet in `free`: a block may be collected at any time, in the midst of a change."""

    def take(self, size: int) -> tuple[_Region, int] | None:
        """Hand out a block; returns its region and its address, or None: the system has not got it."""
        self.collect()
        start = self.free.take(size)
        if start is None and self._grow(size):
            start = self.free.take(size)
        if start is None:
            return None
        region = next(region for region in self.regions if region.start <= start < region.start + region.size)
        region.touched = max(region.touched, start + size - region.start)
        self.in_use += size
        return region, start

    def collect(self) -> None:
        """Take in what was returned."""
        while self.returned:
            start, size = self.returned.popleft()
            self.in_use -= size
            self.free.add(start, size)

    def _grow(self, size: int) -> bool:
        """Add a region, half as large as all others together, or, if that is not to be had, as large as needed."""
        needed = size + ALIGNMENT  # the end of a region is nobody's: pieces of two regions never become one
        least = _REGION_OF_FEW_ADDRESSES if _addresses_are_limited() else _REGION
        for wanted in (max(needed, least, sum(region.size for region in self.regions) // 2), needed):
            with suppress(OSError, OverflowError):
                region = _Region(wanted)
                self.regions.append(region)
                self.free.add(region.start, region.size - ALIGNMENT)
                return True
        return False

    def clear(self) -> None:
        """Give all that is free back to the system."""
        self.collect()
        for region in list(self.regions):
            end = region.start + region.size - ALIGNMENT
            if self.free.size_at.get(region.start) == end - region.start:
                self.free.remove(region.start)
                self.regions.remove(region)
                continue
            for start, size in self.free.size_at.items():
                if region.start <= start < end:
                    region.give_back(start, size)


def _addresses_are_limited() -> bool:
    if sys.platform == "win32":
        return False
    import resource  # noqa: PLC0415  (not everywhere)

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


class BlockPool:
    """Hands out blocks of memory, to any thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._blocks = _Blocks()
        self._changing = False

    def array(self, shape: tuple[int, ...], dtype: str = "uint8") -> NDArray[Any]:
        """An uninitialised, aligned array; its memory returns to the pool when this very object goes.

        Do not take NumPy views of it that may live longer: they would not keep its memory.

        Args:
            shape: Its shape.
            dtype: NumPy's name of its type.

        Raises:
            MemoryError: The system has not got it.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        taken = max(-(-size // ALIGNMENT), 1) * ALIGNMENT
        with self._alone() as blocks:
            found = blocks.take(taken)
        if found is None:
            raise MemoryError(f"rnn_engine: {size:,} bytes are not to be had")
        region, start = found
        whole = np.frombuffer(region.mapping, np.uint8, taken, start - region.start)
        array = whole[:size].view(dtype).reshape(shape)
        weakref.finalize(array, blocks.returned.append, (start, taken)).atexit = False
        return array

    @contextmanager
    def _alone(self) -> Iterator[_Blocks]:
        """What this thread may change as long as the context lasts.

        A signal's handler may come in the midst of a change of its thread, and ask for blocks: it gets others, of its
        own. And it may raise an exception there: what is half changed is left to the blocks that are in use.
        """
        with self.lock:
            if self._changing:
                yield _Blocks()
                return
            self._changing = True
            try:
                yield self._blocks
            except BaseException:
                self._blocks = _Blocks()
                raise
            finally:
                self._changing = False

    def clear(self) -> None:
        """Give all free memory back to the system."""
        with self._alone() as blocks:
            blocks.clear()

    def statistics(self) -> dict[str, Any]:
        """Bytes in use, and those beside them, free, that the system has given and may not have got back."""
        with self._alone() as blocks:
            blocks.collect()
            return {"in_use": blocks.in_use, "free": sum(each.touched for each in blocks.regions) - blocks.in_use}


def across_forks(lock: threading.Lock | threading.RLock) -> None:
    """Lets a fork wait until nobody else holds the lock: in the child there would be nobody to release it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


pool = BlockPool()
"""The process's blocks."""
across_forks(pool.lock)
