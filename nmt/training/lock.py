"""One training per folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.training import TrainingError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder. The system releases the lock when the process ends, however it ends.

    Args:
        folder: The model folder; created if missing.

    Raises:
        TrainingError: Another process trains in it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    try:
        with FileLock(path, blocking=False, fallback_to_soft=False):
            path.write_text(f"{os.getpid()}\n", encoding="utf-8")
            yield
    except Timeout:
        holder = path.read_text(encoding="utf-8").strip()
        raise TrainingError(
            f"{folder}: another training is running in it{f' (process {holder})' if holder else ''}; "
            "wait for its end, or choose another folder"
        ) from None
