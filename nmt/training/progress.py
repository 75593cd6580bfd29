"""What training tells while it runs: a live line on a terminal, plain lines elsewhere, and training.log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nmt.reading import require_writable
from nmt.values import duration

LINE_EVERY_SECONDS = 30.0


@dataclass(frozen=True)
class StepReport:
    """Numbers of one training step."""

    step: int
    """Steps done."""
    epoch: int
    """Number of the running epoch, from 1."""
    epochs: int
    """Epochs to run."""
    loss: float
    """Sum of the smoothed loss over the batch's target tokens, in nats."""
    nll: float
    """Sum of the negative log-likelihood, in nats."""
    tokens: int
    """Target tokens of the batch."""
    learning_rate: float
    """Learning rate of the step."""
    progress: float
    """Share of training done, 0..1."""
    seconds: float
    """Training time so far."""
    best: str
    """The best validation so far, in words; empty before the first."""
    skipped: bool = False
    """Whether the step was left out, because gradients were not finite."""
    gradient_norm: float = 0.0
    """Norm of the gradient before clipping."""


class Reporter:
    """Shows progress on standard error and writes training.log; a context manager.

    Training does not end because nobody can watch it: where standard error takes no more, as on a full disk or on a
    terminal that was closed, nothing is shown any longer. The log must be written.

    Args:
        log: The log file; lines are appended.
        stream: Where to show progress.
    """

    def __init__(self, log: Path, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if self._console.is_terminal else None
        )
        self._can_show = True
        self._log_path = log
        self._log: TextIO | None = None
        self._since = self._shown_at = time.monotonic()
        self._loss = self._nll = 0.0
        self._tokens = 0

    def __enter__(self) -> Self:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        require_writable(self._log_path)
        self._log = self._log_path.open("a", encoding="utf-8")
        if self._live:
            self._show(self._live.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._show(self._live.stop)
        if self._log:
            with suppress(OSError):  # what could not be written has been an error already
                self._log.close()

    def note(self, text: str) -> None:
        """Tell something that stays: one line on the screen and in the log."""
        self._write_log(text)
        self._show(lambda: self._console.print(text, markup=False))

    def log(self, *lines: str) -> None:
        """Write lines into the log alone."""
        for line in lines:
            self._write_log(line)

    def _show(self, draw: Callable[[], None]) -> None:
        if self._can_show:
            try:
                draw()
            except OSError:
                self._can_show = False

    def step(self, report: StepReport) -> None:
        """Take the numbers of a step in, and show them when it is time to."""
        self._loss += report.loss
        self._nll += report.nll
        self._tokens += report.tokens
        now = time.monotonic()
        if self._live and now - self._shown_at >= 0.25:
            self._shown_at = now
            live, text = self._live, Text(self._line(report, now), no_wrap=True, overflow="ellipsis")
            self._show(lambda: live.update(text, refresh=True))
        if now - self._since >= LINE_EVERY_SECONDS:
            line = self._line(report, now)
            self._write_log(line)
            if not self._live:
                self._show(lambda: self._console.print(line, markup=False))
            self._clear(now)

    def _line(self, report: StepReport, now: float) -> str:
        tokens = max(self._tokens, 1)
        rate = self._tokens / max(now - self._since, 1e-9)
        left = report.seconds * (1.0 - report.progress) / report.progress if report.progress > 0 else math.inf
        parts = [
            f"epoch {report.epoch}/{report.epochs}",
            f"step {report.step}",
            f"loss {self._nll / tokens:.3f}",
            f"ppl {perplexity(self._nll / tokens):.2f}",
            *([f"smoothed loss {self._loss / tokens:.3f}"] if self._loss != self._nll else []),
            f"lr {report.learning_rate:.2e}",
            f"{rate:,.0f} target tokens/s",
            f"{duration(left)} left",
        ]
        return "  ".join([*parts, *([f"best {report.best}"] if report.best else [])])

    def _clear(self, now: float) -> None:
        """Begin a new span over which loss and speed are averaged."""
        self._since = self._shown_at = now
        self._loss = self._nll = 0.0
        self._tokens = 0

    def _write_log(self, text: str) -> None:
        if self._log:
            try:
                self._log.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')}  {text}\n")
                self._log.flush()
            except OSError as error:
                error.filename = error.filename or str(self._log_path)
                raise


class Pace:
    """Target tokens a second, without the time that validations and checkpoints take."""

    def __init__(self) -> None:
        self._tokens, self._seconds = 0, 0.0
        self._mark = time.monotonic()

    def go_on(self) -> None:
        """Leave out the time since the last step."""
        self._mark = time.monotonic()

    def add(self, tokens: int) -> None:
        """Take a step in."""
        now = time.monotonic()
        self._tokens, self._seconds, self._mark = self._tokens + tokens, self._seconds + now - self._mark, now

    def take(self) -> float:
        """Return the pace since the last call; 0 if there was no step."""
        pace = self._tokens / self._seconds if self._seconds else 0.0
        self._tokens, self._seconds = 0, 0.0
        return pace


def perplexity(nll: float) -> float:
    """Turn nats per token into perplexity; infinite where that overflows."""
    return math.exp(nll) if nll < 700 else math.inf
