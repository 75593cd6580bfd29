"""Work on a stream of items: some at a time, its results in order, each as soon as it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Ask = Callable[[], None]
"""Raises `Abandoned` when nobody wants the result any more."""


class Abandoned(Exception):
    """Work whose result nobody wants any more."""


def in_order(work: Callable[[T, Ask], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Work on items in threads.

    Items are taken one after the other, and no more of them ahead of the results that were used than there are workers,
    and one. Whoever gives up, by an exception or by going no further, waits for the work that is under way to end.

    Args:
        work: Makes a result of an item; should ask from time to time whether it is still wanted.
        items: The items. Taking one may wait for as long as it likes: results that are there are yielded meanwhile.
        workers: Threads.

    Yields:
        The result of each item, in order; an error of `work`, or of `items`, is raised in its place.
    """
    team = _Team(work, iter(items), workers)
    for number in range(workers):  # daemons: one may wait for an item for ever, and the process must end all the same
        threading.Thread(target=team.work, name=f"nmt works {number}", daemon=True).start()
    try:
        while found := team.next_result():
            yield found[0]
    finally:
        team.leave()


class _Team(Generic[T, R]):
    """The threads of `in_order`."""

    def __init__(self, work: Callable[[T, Ask], R], items: Iterator[T], workers: int) -> None:
        self._work, self._items, self._workers = work, items, workers
        self._taking = threading.Lock()
        self._changed = threading.Condition()
        self._done: dict[int, R | BaseException] = {}  # what became of items, by their numbers
        self._taken = self._used = self._at_work = 0
        self._total: int | None = None  # once it is known
        self._left = False

    def work(self) -> None:
        """Take items and work on them until there are no more, or nobody wants them."""
        while found := self._take():
            number, item = found
            result: R | BaseException
            try:
                result = self._work(item, self._ask)
            except BaseException as error:
                result = error
            with self._changed:
                self._done[number] = result
                self._at_work -= 1
                self._changed.notify_all()

    def _take(self) -> tuple[int, T] | None:
        with self._taking:
            with self._changed:
                self._changed.wait_for(lambda: self._left or self._taken <= self._used + self._workers)
                if self._left or self._total is not None:
                    return None
            try:
                item = next(self._items)
            except BaseException as error:
                with self._changed:
                    self._total = self._taken
                    if not isinstance(error, StopIteration):
                        self._done[self._taken] = error
                    self._changed.notify_all()
                return None
            with self._changed:
                self._taken += 1
                self._at_work += 1
                return self._taken - 1, item

    def _ask(self) -> None:
        if self._left:
            raise Abandoned

    def next_result(self) -> tuple[R] | None:
        """Wait for the next result in order; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._used in self._done or self._used == self._total)
            if self._used not in self._done:
                return None
            result = self._done.pop(self._used)
            self._used += 1
            self._changed.notify_all()
        if isinstance(result, BaseException):
            raise result
        return (result,)

    def leave(self) -> None:
        """Want nothing any more, and wait for the work that is under way to end."""
        with self._changed:
            self._left = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._at_work)
