"""What a service says of itself: a JSON object a line, in which nothing stands of what users sent."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final

from pydantic_core import to_json

_SECONDS: Final = 0.25  # between writes
_MOST: Final = 10_000  # lines that wait to be written


class Log:
    """Writes to stderr from a thread of its own: a reader that is slow holds up no request, and loses lines instead.

    Args:
        wanted: Whether to write at all.
    """

    def __init__(self, wanted: bool) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self._lost = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nmt logs", daemon=True) if wanted else None
        if self._thread is not None:
            self._thread.start()

    def say(self, event: str, **what: Any) -> None:
        """Log an event; `what` holds numbers, names that the program has given, and no text of users."""
        if self._thread is not None:
            self._lost += len(self._lines) == _MOST
            self._lines.append({"time": time.time(), "event": event, **what})

    def defect(self, error: BaseException) -> None:
        """Log an error that nobody expected: what it is and where, not its message, in which a text may stand."""
        places = [f"{PurePath(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        self.say("defect", error=type(error).__name__, places=places[-12:])

    def end(self) -> None:
        """Write what is left, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        written = []
        while self._lines:
            line = self._lines.popleft()
            line["time"] = datetime.fromtimestamp(line["time"], UTC).isoformat(timespec="milliseconds")
            written.append(to_json(line).decode() + "\n")
        if self._lost:
            written.append(to_json({"event": "lost", "lines": self._lost}).decode() + "\n")
            self._lost = 0
        if written:
            sys.stderr.write("".join(written))
            sys.stderr.flush()
