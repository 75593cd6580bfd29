"""How far a command is, on standard error: a live line on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from nmt.terminal import tell
from nmt.values import duration

LINE_EVERY_SECONDS: Final = 10.0

Show = Callable[[int, float | None], None]
"""Takes the lines done, and their share of all; None if nobody knows how many there are."""


@contextmanager
def progress(who: str, *, shown: bool = True) -> Iterator[Show]:
    """Show how far a command is.

    Args:
        who: Such as "nmt translate".
        shown: Whether to show anything.

    Yields:
        What to call from time to time, as often as one likes.
    """
    started = time.monotonic()
    if not shown:
        yield lambda lines, share: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield lambda lines, share: show(describe(lines, share, time.monotonic() - started), share)
    else:
        due = started + LINE_EVERY_SECONDS

        def show_rarely(lines: int, share: float | None) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                due = now + LINE_EVERY_SECONDS
                tell(who, describe(lines, share, now - started))

        yield show_rarely


def counted(show: Show, total: int) -> Callable[[int], None]:
    """Make a function that takes numbers of sentences just done, and shows how many of so many lines those are."""
    done = 0

    def add(sentences: int) -> None:
        nonlocal done
        done = min(done + sentences, total)  # equal lines are translated once, and long ones in pieces
        show(done, done / total)

    return add


def describe(lines: int, share: float | None, seconds: float) -> str:
    """Say how far one is: `1,200 lines, 60 lines/s, 40 %, 0:30 left`.

    Args:
        lines: Lines done.
        share: Of all; None if nobody knows.
        seconds: Since the start.
    """
    parts = [f"{lines:,} lines", f"{lines / max(seconds, 1e-9):,.0f} lines/s"]
    if share:
        parts += [f"{100 * share:.0f} %", f"{duration(seconds * (1 - share) / share)} left"]
    return ", ".join(parts)


@contextmanager
def _bar() -> Iterator[Callable[[str, float | None], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = BarColumn(), TextColumn("{task.fields[text]}", markup=False)
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None, text="")
        yield lambda text, share: bar.update(
            task, text=text, total=None if share is None else 1.0, completed=share or 0.0
        )
