"""One writer at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.reading import read_regular, require_writable

LOCK_FILE = ".lock"


class LockError(ValueError):
    """A folder in which another process is at work."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others that write out of a folder. The system releases the lock when the process ends, however it ends.

    Args:
        folder: The folder; created if missing.

    Raises:
        LockError: Another process writes in it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    require_writable(path)
    try:
        with FileLock(path, blocking=False, fallback_to_soft=False):
            path.write_text(f"{os.getpid()}\n", encoding="utf-8")
            yield
    except Timeout:
        holder = read_regular(path, 100).decode(errors="replace").strip()
        raise LockError(
            f"{folder}: another nmt command is at work in it"
            f"{f' (process {holder})' if holder else ''}; wait for its end, or choose another folder"
        ) from None
