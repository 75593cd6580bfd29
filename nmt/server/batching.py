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
_ENOUGH: Final = 8  # lines of a batch, of which each takes little longer than of a larger one
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
    workers, and those of several requests into one batch. Of a few lines it leaves to others only what they are free
    for: half of them for each of two workers, one after the other, would take longer.

    Args:
        translate: (key, lines, threads) -> a result for each line; called in the workers. It may use so many threads:
            all, if there is one line, and nothing else to do; else one. What it raises is the error of all requests of
            the batch that raise it by themselves, too.
        ended: Called in a worker with the works that are done, or failed, of a batch.
        workers: Threads.
        capacity: Lines that may wait.
        told: Called in a worker after every batch.
    """

    def __init__(
        self,
        translate: Callable[[K, Sequence[str], int], Sequence[R]],
        ended: Callable[[Sequence[Work[K, R]]], None],
        workers: int,
        capacity: int,
        told: Callable[[BatchTold], None] = lambda batch: None,
    ) -> None:
        self._translate, self._ended, self._told = translate, ended, told
        self._queue: FairQueue[K, R] = FairQueue(capacity)
        self._changed = threading.Condition()
        self._stopping = False
        self._free = 0  # workers that wait for lines
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

    @property
    def free(self) -> int:
        """Workers that wait for lines."""
        return self._free

    def submit(self, work: Work[K, R]) -> None:
        """Let work of at least one line be done, after `wake` if no worker is at work.

        Raises:
            FullError: Too much waits already.
            StoppedError: It has stopped.
        """
        with self._changed:
            if self._stopping:
                raise StoppedError
            self._queue.put(work)

    def wake(self) -> None:
        """Let workers begin with what was submitted; what comes together so gets into one batch."""
        with self._changed:
            self._changed.notify(min(self._queue.waiting, self._free))

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
        while True:
            batch, threads = self._next_batch()
            if not batch:
                break
            done = self._do(batch, threads)
            self._told(BatchTold(len(batch), sum(share.stop - share.start for share in batch)))
            if done:
                self._ended(done)
            del batch, done  # or they would be kept until there is more

    def _next_batch(self) -> tuple[list[Share[K, R]], int]:
        """Wait for lines; none when all is done and no more come. Returns, too, how many threads may work at them."""
        with self._changed:
            self._free += 1
            self._changed.wait_for(lambda: self._queue.waiting or self._stopping)
            waiting, workers = self._queue.waiting, len(self._threads)
            part = max(-(-waiting // workers), min(_ENOUGH, -(-waiting // self._free)))
            alone = waiting == 1 and self._free == workers
            batch = self._queue.take(min(_LINES, part), _CHARACTERS)
            self._free -= 1
            return batch, workers if alone else 1

    def _do(self, batch: Sequence[Share[K, R]], threads: int) -> list[Work[K, R]]:
        """Translate a batch; returns what it has finished."""
        try:
            results: Sequence[R] = self._results(batch, threads)
        except BaseException as error:  # of a thread that must go on
            if len(batch) == 1:
                return self._fail(batch[0].work, error)
            return [work for share in batch for work in self._do([share], 1)]  # it may be the fault of one
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

    def _results(self, batch: Sequence[Share[K, R]], threads: int) -> Sequence[R]:
        lines = [line for share in batch for line in share.lines]
        results = self._translate(batch[0].work.key, lines, threads)
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
