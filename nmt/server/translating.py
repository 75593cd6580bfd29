"""Texts of requests translated together: taken apart, queued, put together, given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from nmt.decoding.translation import Translation, TranslationSettings
from nmt.server.batching import Batcher, BatchTold, StoppedError
from nmt.server.errors import Refused
from nmt.server.fair_queue import FullError, Work
from nmt.server.registry import Models

_RETRY_AFTER: Final = 1.0  # seconds: a full queue is a matter of moments


class Key(NamedTuple):
    """Lines with equal keys are translated in the same batches."""

    source: str
    target: str
    settings: TranslationSettings


LineWork = Work[Key, Translation]


class Translating:
    """Translates lines for the requests of an event loop.

    Args:
        models: The models.
        workers: Threads that translate.
        capacity: Lines that may wait.
        told: Called in a worker after every batch.
    """

    def __init__(
        self,
        models: Models,
        workers: int,
        capacity: int,
        told: Callable[[BatchTold], None] = lambda batch: None,
    ) -> None:
        self._models = models
        self._loop, self._capacity = asyncio.get_running_loop(), capacity
        self._stopping = False
        self._waking = False
        self._futures: dict[LineWork, asyncio.Future[None]] = {}
        self._batcher: Batcher[Key, Translation] = Batcher(self._translate, self._tell, workers, capacity, told)

    @property
    def waiting(self) -> int:
        """Lines that wait."""
        return self._batcher.waiting

    @property
    def is_stopping(self) -> bool:
        """Whether no more lines are taken."""
        return self._stopping

    @property
    def requests(self) -> int:
        """Requests whose lines wait, or are being translated."""
        return len(self._futures)

    async def translate(
        self, key: Key, lines: Sequence[str], seconds: float, on_gone: Callable[[Callable[[], object]], None]
    ) -> list[Translation]:
        """Translate lines.

        Args:
            key: From what to what, and how.
            lines: The lines; none are translated at once.
            seconds: In which it is to be done.
            on_gone: Is given a function to call if nobody wants the translations any more.

        Raises:
            Refused: There is too much to do, it took too long, or nobody wants it any more.
            Exception: What the model raised.
        """
        if not lines:
            return []
        work: LineWork = Work(key, lines)
        future = self._loop.create_future()
        self._futures[work] = future
        try:
            self._batcher.submit(work)
            if not self._waking:  # when the loop has looked at all that has come by now
                self._waking = True
                self._loop.call_soon(self._wake)
            on_gone(lambda: _give_up(future, Refused(499, "The client has left")))  # nobody reads it but the log
            late = Refused(504, f"Not translated within {seconds:g} seconds")
            timer = self._loop.call_later(seconds, _give_up, future, late)
            try:
                await future
            finally:
                timer.cancel()
        except FullError:
            raise _full() from None
        except StoppedError:
            raise Refused(503, "The service is being stopped", _RETRY_AFTER) from None
        finally:
            del self._futures[work]
            if work.left:
                self._batcher.cancel(work)
        return [each for each in work.results if each is not None]

    def require_room(self) -> None:
        """Look whether lines would be taken, before anything is done for them.

        Raises:
            Refused: There is too much to do.
        """
        if self.waiting >= self._capacity:
            raise _full()

    def stop(self) -> None:
        """Take no more lines, and wait until those that wait are translated."""
        self._stopping = True
        self._batcher.stop()

    def _wake(self) -> None:
        self._waking = False
        self._batcher.wake()

    def _translate(self, key: Key, lines: Sequence[str], threads: int) -> Sequence[Translation]:
        """Called in a worker."""
        with self._models.use(key.source, key.target) as lease:
            return lease.translator.with_threads(threads).translate_detailed(lines, key.settings)

    def _tell(self, works: Sequence[LineWork]) -> None:
        """Called in a worker."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._end, works)

    def _end(self, works: Sequence[LineWork]) -> None:
        for work in works:
            future = self._futures.get(work)
            if future is None or future.done():
                continue
            if work.error is not None:
                future.set_exception(work.error)
            else:
                future.set_result(None)


def _full() -> Refused:
    return Refused(503, "Too many requests wait: try again in a moment", _RETRY_AFTER)


def _give_up(future: asyncio.Future[None], reason: Refused) -> None:
    if not future.done():
        future.set_exception(reason)


def searching(settings: TranslationSettings, beam_size: int | None) -> TranslationSettings:
    """Return settings with the beam of a service, raised to the number of translations that are asked for."""
    if beam_size is None:
        return settings
    return replace(settings, beam_size=max(beam_size, settings.n_best))
