"""Lines of many requests in one bounded queue, from which batches are taken so that nobody waits for a large request.

Nothing here locks or waits: `nmt.server.batching` does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_TURN: Final = 4  # lines that a request gives before it is another's turn


class FullError(Exception):
    """The queue has no room for so many lines."""


@dataclass(eq=False)
class Work(Generic[K, R]):
    """Lines of a request that are translated alike."""

    key: K
    """Which lines may be in one batch: those of equal keys."""
    lines: Sequence[str]
    results: list[R | None] = field(init=False)
    """Of each line, when it is there."""
    error: BaseException | None = None
    """Why there will be none."""
    taken: int = 0
    """Lines that are in batches, or were."""
    left: int = field(init=False)
    """Lines that have no result yet."""
    cancelled: bool = False
    """Nobody waits for it any more."""

    def __post_init__(self) -> None:
        self.left = len(self.lines)
        self.results = [None] * self.left

    @property
    def waiting(self) -> int:
        """Lines that are in no batch yet."""
        return 0 if self.cancelled else len(self.lines) - self.taken


@dataclass(frozen=True)
class Share(Generic[K, R]):
    """Neighbouring lines of a request that are in a batch."""

    work: Work[K, R]
    start: int
    stop: int

    @property
    def lines(self) -> Sequence[str]:
        """The lines."""
        return self.work.lines[self.start : self.stop]


class FairQueue(Generic[K, R]):
    """A queue of work. Keys take turns, and so do the requests of a key, each with a few lines.

    Args:
        capacity: Lines that may wait; work for an empty queue may be larger.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.waiting = 0
        """Lines that wait."""
        self._keys: OrderedDict[K, OrderedDict[int, Work[K, R]]] = OrderedDict()

    def put(self, work: Work[K, R]) -> None:
        """Let work wait for its turn.

        Raises:
            FullError: There is no room for it.
        """
        if self.waiting and self.waiting + work.waiting > self.capacity:
            raise FullError
        if work.waiting:
            self.waiting += work.waiting
            self._keys.setdefault(work.key, OrderedDict())[id(work)] = work

    def cancel(self, work: Work[K, R]) -> None:
        """Take work out of the queue, if it is in it; what is in a batch already stays there."""
        works = self._keys.get(work.key)
        if works is not None and works.pop(id(work), None) is not None:
            self.waiting -= work.waiting
            if not works:
                del self._keys[work.key]
        work.cancelled = True

    def take(self, most_lines: int, most_characters: int) -> list[Share[K, R]]:
        """Take a batch: lines of one key, at least one if any waits.

        Args:
            most_lines: Lines of it, at most.
            most_characters: Characters of it, at most, unless a single line has more.
        """
        if not self._keys:
            return []
        key, works = next(iter(self._keys.items()))
        batch: list[Share[K, R]] = []
        count = characters = 0
        full = False
        while works and count < most_lines and not full:
            _, work = works.popitem(last=False)
            start = work.taken
            for line in work.lines[start : start + min(_TURN, most_lines - count)]:
                if count and characters + len(line) > most_characters:
                    full = True
                    break
                characters += len(line)
                count += 1
                work.taken += 1
            if work.taken > start:
                batch.append(Share(work, start, work.taken))
            if work.waiting:
                works[id(work)] = work
                works.move_to_end(id(work), last=not full or work.taken > start)
        self.waiting -= count
        self._keys.move_to_end(key)
        if not works:
            del self._keys[key]
        return _joined(batch)


def _joined(batch: list[Share[K, R]]) -> list[Share[K, R]]:
    """Make one share of what a request gave in several turns."""
    spans: dict[int, Share[K, R]] = {}
    for share in batch:
        first = spans.get(id(share.work), share)
        spans[id(share.work)] = Share(share.work, first.start, share.stop)
    return list(spans.values())
