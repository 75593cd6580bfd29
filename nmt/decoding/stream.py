"""Work on a stream of items in a thread of its own, a step ahead of whoever uses the results."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Ask = Callable[[], None]
"""Raises `Abandoned` when nobody wants the result any more."""


class Abandoned(Exception):
    """Work whose result nobody wants any more."""


def a_step_ahead(work: Callable[[T, Ask], R], items: Iterable[T]) -> Iterator[R]:
    """Work on items in a thread: on the next one while a result is used, and no further.

    Whoever gives up, by an exception or by going no further, waits for the work that is under way to end.

    Args:
        work: Makes a result of an item; should ask from time to time whether it is still wanted.
        items: The items. Taking one may wait for as long as it likes: a result that is there is yielded meanwhile.

    Yields:
        The result of each item, in order; an error of `work`, or of `items`, is raised in its place.
    """
    worker = _Worker(work, items)
    # A daemon: it may wait for an item for ever, and the process must end all the same.
    threading.Thread(target=worker.run, name="nmt works ahead", daemon=True).start()
    try:
        while found := worker.next_result():
            yield found[0]
    finally:
        worker.leave()


class _Worker(Generic[T, R]):
    """The thread of `a_step_ahead`."""

    def __init__(self, work: Callable[[T, Ask], R], items: Iterable[T]) -> None:
        self._work, self._items = work, items
        self._changed = threading.Condition()
        self._results: deque[tuple[R]] = deque()
        self._error: BaseException | None = None
        self._ended = self._left = self._at_work = False

    def run(self) -> None:
        """Work until there are no more items, or nobody wants them."""
        try:
            for item in self._items:
                if not self._begin():
                    return
                try:
                    result = self._work(item, self._ask)
                finally:
                    self._set(at_work=False)
                with self._changed:
                    self._results.append((result,))
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            self._set(ended=True)

    def _begin(self) -> bool:
        """Wait until the last result is taken; false if nobody wants more."""
        with self._changed:
            self._changed.wait_for(lambda: self._left or not self._results)
            self._at_work = not self._left
            return self._at_work

    def _set(self, *, at_work: bool = False, ended: bool = False) -> None:
        with self._changed:
            self._at_work, self._ended = at_work, ended
            self._changed.notify_all()

    def _ask(self) -> None:
        if self._left:
            raise Abandoned

    def next_result(self) -> tuple[R] | None:
        """Wait for the next result; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._ended)
            found = self._results.popleft() if self._results else None
            self._changed.notify_all()
        if found is None and self._error is not None:
            raise self._error
        return found

    def leave(self) -> None:
        """Want nothing any more, and wait for the work that is under way to end."""
        with self._changed:
            self._left = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._at_work)
