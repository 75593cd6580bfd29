"""Ctrl-C as a request, so that the running step can be finished."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NOTE = b"\nnmt train: stopping after this step; once more stops at once\n"


@contextmanager
def interrupts(*, tells: bool = True) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM, or SIGHUP, when the terminal closes) into an event; the second stops at once.

    Signals reach only the main thread; elsewhere the event is simply never set.

    Args:
        tells: Whether to say so on standard error.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        with suppress(OSError):
            if tells:
                os.write(2, _NOTE)  # not print: the signal may have come in the middle of one

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` has it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
