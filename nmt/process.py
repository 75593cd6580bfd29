"""What a process has from whoever started it: three streams, signals that end it, and processor cores."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import ClassVar, Final, TextIO

from nmt.values import THREADS

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_HEAP: Final = (  # fields of glibc's mallinfo2; what is used in arenas is `uordblks`, apart from them `hblkhd`
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
_MMAP_THRESHOLD: Final = -3
"""Number of glibc's option of that name."""
_LARGE: Final = 2**20
"""Bytes from which on a block is mapped: mapping smaller ones, too, took no less memory (docs/performance.md)."""


class Stopped(BaseException):
    """A signal asks the process to end; like KeyboardInterrupt no error."""


class _Unmissed(io.RawIOBase):
    """A stream of which nobody minds what is lost: what cannot be told must not end the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # would close the file if nobody had it
        self._number = stream.fileno()

    def write(self, content: object) -> int:
        assert isinstance(content, (bytes, bytearray, memoryview))
        try:
            return os.write(self._number, content)
        except OSError:  # a full disk, or a reader that has left
            return len(content)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


def open_standard_streams() -> None:
    """Make the standard streams what a program can rely on.

    Something takes the place of those that the caller closed. Otherwise the next file that is opened would take their
    number, and get what is meant for them. Writing to a closed stdout is an error; a stderr that is closed or takes
    nothing is not missed. What a stream's encoding lacks is written as an escape.
    """
    for number, name, mode, flags in (
        (0, "stdin", "r", os.O_RDONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        unmissed = io.BufferedWriter(_Unmissed(sys.stderr))
        sys.stderr = io.TextIOWrapper(unmissed, sys.stderr.encoding, errors="backslashreplace", line_buffering=True)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals that end a process do so only when what it has begun is undone: no temporary file is left.

    A signal that the caller has it ignore, as `nohup` does, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends at once
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL}
    try:
        yield
    except Stopped as stopped:
        number = int(stopped.args[0])
        print(f"nmt: ended by {signal.Signals(number).name}", file=sys.stderr)
        signal.raise_signal(number)  # so that the caller sees what ended it
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rest_while_waiting() -> None:
    """Let torch's threads sleep while they have nothing to do, unless the environment says otherwise.

    They wait awake by default, on the cores that the engine's threads compute on: a training by two threads takes
    longer than by one, and several times as long beside another program. To be called before torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def count_cores() -> int:
    """Tell how many cores the process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads(threads: int | None) -> int:
    """Tell how many CPU threads to use.

    Args:
        threads: The number; None takes what the environment variable OMP_NUM_THREADS says, or, without it, every core
            that the process may run on.

    Returns:
        The number.

    Raises:
        TypeError, ValueError: It is none, or out of bounds.
    """
    if threads is not None and (problem := THREADS.check("threads", threads)):
        raise ValueError(problem)
    if threads is None:
        wanted = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(wanted) if re.fullmatch("[0-9]{1,9}", wanted) and int(wanted) > 0 else count_cores()
        threads = min(threads, int(THREADS.most))
    return threads


def give_back_memory() -> None:
    """Give memory that is free back to the system, where the C library would keep it (glibc): each thread's apart."""
    import ctypes  # noqa: PLC0415  (rarely needed)

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def map_large_blocks() -> None:
    """Let each large block come from the system by itself, and go back to it when it is free (glibc).

    Otherwise the C library holds blocks as large as the largest that was ever freed in its heap, among what stays, and
    the gaps between them grow.
    """
    import ctypes  # noqa: PLC0415  (rarely needed)

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def heap_bytes() -> int:
    """Tell how many bytes of the C library's heap are in use, in all threads; 0 where it does not say (glibc does)."""
    import ctypes  # noqa: PLC0415  (rarely needed)

    class Info(ctypes.Structure):
        _fields_: ClassVar = [(name, ctypes.c_size_t) for name in _HEAP]

    try:
        tell = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return 0
    tell.restype = Info
    found = tell()
    return int(found.uordblks + found.hblkhd)


def at_home(word: str) -> str:
    """Put the home folder for a leading `~` of an argument, which shells leave as it is in `--output=~/x`."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (os.path.expanduser(value) if value.startswith("~/") else value)  # noqa: PTH111
