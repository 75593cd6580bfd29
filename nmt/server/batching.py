"""Translating the lines of many requests together, in threads: the native search lets Python's lock go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nmt.server.fair_queue import FairQueue, Share, Work

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_LINES: Final = 64  # of a batch: more of them are no faster each
_CHARACTERS: Final = 16_384  # so that a batch is done soon, whatever its lines hold


@dataclass(frozen=True)
class BatchTold:
    """What a batch was, for the metrics."""

    requests: int
    lines: int


class StoppedError(Exception):
    """No more work is taken."""


class Batcher(Generic[K, R]):
    """Workers that translate whatever waits, without waiting for more.

    A worker that is free takes its part of what waits, at most a batch; the lines of a large request so go to all
    workers, and those of several requests into one batch.

    Args:
        translate: (key, lines) -> a result for each line; called in the workers. What it raises is the error of all
            requests of the batch that raise it by themselves, too.
        ended: Called in a worker with the works that are done, or failed, of a batch.
        workers: Threads.
        capacity: Lines that may wait.
        told: Called in a worker after every batch.
    """

    def __init__(
        self,
        translate: Callable[[K, Sequence[str]], Sequence[R]],
        ended: Callable[[Sequence[Work[K, R]]], None],
        workers: int,
        capacity: int,
        told: Callable[[BatchTold], None] = lambda batch: None,
    ) -> None:
        self._translate, self._ended, self._told = translate, ended, told
        self._queue: FairQueue[K, R] = FairQueue(capacity)
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"nmt translates {number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Lines that wait."""
        return self._queue.waiting

    def submit(self, work: Work[K, R]) -> None:
        """Let work of at least one line be done.

        Raises:
            FullError: Too much waits already.
            StoppedError: It has stopped.
        """
        with self._changed:
            if self._stopping:
                raise StoppedError
            self._queue.put(work)
            self._changed.notify(min(len(work.lines), len(self._threads)))

    def cancel(self, work: Work[K, R]) -> None:
        """Do no more of some work; nobody is told of its end."""
        with self._changed:
            self._queue.cancel(work)

    def stop(self) -> None:
        """Take no more work, and wait until what waits is done."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            done = self._do(batch)
            self._told(BatchTold(len(batch), sum(share.stop - share.start for share in batch)))
            if done:
                self._ended(done)
            del batch, done  # or they would be kept until there is more

    def _next_batch(self) -> list[Share[K, R]]:
        """Wait for lines; none when all is done and no more come."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue.waiting or self._stopping)
            part = -(-self._queue.waiting // len(self._threads))
            return self._queue.take(min(_LINES, part), _CHARACTERS)

    def _do(self, batch: Sequence[Share[K, R]]) -> list[Work[K, R]]:
        """Translate a batch; returns what it has finished."""
        try:
            results: Sequence[R] = self._results(batch)
        except BaseException as error:  # of a thread that must go on
            if len(batch) == 1:
                return self._fail(batch[0].work, error)
            return [work for share in batch for work in self._do([share])]  # it may be the fault of one
        start, done = 0, []
        with self._changed:
            for share in batch:
                work, stop = share.work, start + share.stop - share.start
                work.results[share.start : share.stop] = results[start:stop]
                work.left -= stop - start
                start = stop
                if not work.left and not work.cancelled:
                    done.append(work)
        return done

    def _results(self, batch: Sequence[Share[K, R]]) -> Sequence[R]:
        lines = [line for share in batch for line in share.lines]
        results = self._translate(batch[0].work.key, lines)
        if len(results) != len(lines):
            raise RuntimeError(f"expected a result for each of {len(lines)} lines, got {len(results)}")
        return results

    def _fail(self, work: Work[K, R], error: BaseException) -> list[Work[K, R]]:
        with self._changed:
            if work.cancelled:  # by its request, or since other lines of it have failed
                return []
            work.error = error
            self._queue.cancel(work)
            return [work]
