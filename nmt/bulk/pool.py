"""Workers on a machine or a cluster, by Ray: the only place that knows it.

A worker that dies is replaced, and what it had is given to others. Nothing that it did counts until its shard is here.
"""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from nmt.bulk.shards import BulkError, Failed, Outcome, Shard, Shards
from nmt.bulk.worker import Work, Worker
from nmt.process import count_cores

ATTEMPTS: Final = 3
"""How often a shard may end a worker, or its memory, until it is given up."""
_AHEAD: Final = 2  # shards that a worker has: the one that it is at, and the next
_MOST_DEATHS: Final = 3  # of a worker, without a shard done anywhere, until the run is
_BEGINNINGS: Final = 4
_PATIENCE_SECONDS: Final = 60
_STORE_BYTES: Final = 256 << 20  # what is under way: two shards in and one out for each worker are some megabytes

Tell = Callable[[str], None]


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[int]:
    """Begin to use Ray, on this machine or on a cluster; in the end what was begun here is ended.

    Args:
        address: Of a cluster that runs; None for this machine alone.
        workers: How many to have; None for one a core.

    Yields:
        How many there may be.

    Raises:
        BulkError: There is no such cluster, or it has fewer cores.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its makers about each run
    import ray  # noqa: PLC0415

    # Whatever dies, Ray prints a page on stdout; what matters of it is told.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        if ray.is_initialized():  # a program that has begun it already
            yield workers or int(ray.cluster_resources().get("CPU", 1))
        else:
            with _ended():
                yield _begin(address, workers)


def _begin(address: str | None, workers: int | None) -> int:
    """Begin to use Ray, and return how many workers there may be."""
    import ray  # noqa: PLC0415

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if address is None:
        workers = workers or count_cores()
        _begin_here(num_cpus=workers, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    else:
        try:
            ray.init(address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BulkError(f"--address {address}: {error}") from None
        cores = int(ray.cluster_resources().get("CPU", 0))
        workers = workers or cores
        if not 1 <= workers <= cores:
            raise BulkError(f"--workers {workers}: expected at most the {cores} cores of the cluster at {address}")
    for number, handler in before.items():  # Ray's own would end the process and leave temporary files
        signal.signal(number, handler)
    return workers


def _begin_here(**options: Any) -> None:
    """Begin Ray on this machine; it gives its processes thirty seconds, which a busy machine may not keep to."""
    import ray  # noqa: PLC0415

    for attempt in range(1, _BEGINNINGS + 1):
        try:
            ray.init("local", **options)
            return
        except Exception as error:
            ray.shutdown()
            if type(error) is not Exception:  # what says that they came too late has no type of its own
                raise
            if attempt == _BEGINNINGS:
                raise BulkError(f"Ray could not begin on this machine: {error}") from None


@contextmanager
def _ended() -> Iterator[None]:
    import ray  # noqa: PLC0415

    try:
        yield
    finally:
        ray.shutdown()


@dataclass
class _Seat:
    """A place for a worker, and what it was given: the first is what it is at."""

    actor: Any
    given: deque[tuple[Any, Shard]] = field(default_factory=deque)


class Pool:
    """Workers that shards are given to, as a context: at its end they are ended, and their cores are free.

    Args:
        work: What all do.
        workers: How many.
        tell: Is told, in words, of workers that died and of shards that took too much memory.
    """

    def __init__(self, work: Work, workers: int, tell: Tell) -> None:
        import ray  # noqa: PLC0415

        self._work, self._tell = ray.put(work), tell
        self._begin = ray.remote(num_cpus=1, max_restarts=0)(Worker).remote
        self._seats = [_Seat(self._begin(self._work)) for _ in range(workers)]
        self._attempts: dict[int, int] = {}
        self._deaths = 0  # since a shard was done
        self.again = 0
        """Shards that were given out once more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import ray  # noqa: PLC0415

        for seat in self._seats:
            ray.kill(seat.actor)

    def wait(self) -> None:
        """Wait until all have begun, a minute at most: those of a large cluster may come while others are at work."""
        import ray  # noqa: PLC0415

        begun = [seat.actor.__ray_ready__.remote() for seat in self._seats]
        ray.wait(begun, num_returns=len(begun), timeout=_PATIENCE_SECONDS)

    def map(self, shards: Shards) -> Iterator[Outcome]:
        """Have shards made, as they are read: a few for each worker, no more.

        Yields:
            Each of them, as soon as it is made, or is given up.

        Raises:
            BulkError: Workers die without having done anything.
        """
        import ray  # noqa: PLC0415

        waiting: deque[Shard] = deque()  # those that are given out again
        while True:
            self._hand_out(waiting, shards)
            under_way = {seat.given[0][0]: seat for seat in self._seats if seat.given}
            if not under_way:
                return
            ready, _ = ray.wait(list(under_way), num_returns=1)
            for reference in ready:
                yield from self._take(under_way[reference], waiting)

    def _hand_out(self, waiting: deque[Shard], shards: Shards) -> None:
        """Give each worker what it lacks, first those that have nothing."""
        for depth in range(1, _AHEAD + 1):
            for seat in self._seats:
                if len(seat.given) < depth:
                    shard = waiting.popleft() if waiting else next(shards, None)
                    if shard is None:
                        return
                    seat.given.append((seat.actor.make.remote(shard), shard))

    def _take(self, seat: _Seat, waiting: deque[Shard]) -> Iterator[Outcome]:
        """Take what a worker was at."""
        import ray  # noqa: PLC0415
        from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError, WorkerCrashedError  # noqa: PLC0415

        reference, shard = seat.given[0]
        try:
            made = ray.get(reference)
        except (OutOfMemoryError, RayActorError, WorkerCrashedError) as error:
            lost = [each for _, each in seat.given]
            self._deaths += 1
            if self._deaths > _MOST_DEATHS * len(self._seats):
                raise BulkError(
                    f"{self._deaths} workers died one after the other; the last: {_reason(error)}"
                ) from None
            seat.given.clear()
            seat.actor = self._begin(self._work)
            waiting.extend(lost[1:])  # which it had not begun
            yield from self._once_more(shard, f"the worker died ({_reason(error)})", waiting)
        except RayTaskError as error:
            if not isinstance(error.cause, MemoryError):
                raise error.cause if isinstance(error.cause, Exception) else error from None
            seat.given.popleft()
            yield from self._once_more(shard, "not enough memory in the worker", waiting)
        else:
            seat.given.popleft()
            self._deaths = 0
            yield shard, made

    def _once_more(self, shard: Shard, reason: str, waiting: deque[Shard]) -> Iterator[Outcome]:
        attempts = self._attempts[shard.number] = self._attempts.get(shard.number, 0) + 1
        rows = f"{shard.file}: rows {shard.first:,} to {shard.first + shard.rows - 1:,}"
        if attempts >= ATTEMPTS:
            self._tell(f"{rows}: {reason}; given up after {attempts} attempts, the rest goes on")
            yield Failed(shard, reason)
            return
        self.again += 1
        self._tell(f"{rows}: {reason}; once more, by another")
        waiting.append(shard)


def _reason(error: BaseException) -> str:
    """Say in some words what Ray says in a page."""
    from ray.exceptions import OutOfMemoryError  # noqa: PLC0415

    if isinstance(error, OutOfMemoryError):
        return "the machine's memory was nearly used up, and Ray ended it"
    text = " ".join(str(error).split())
    if cause := re.search(r"(\w*Error): ([^:]*)$", text):  # of a worker that could not begin
        return f"{cause[1]}: {cause[2]}"[:200]
    return "killed, or crashed"
