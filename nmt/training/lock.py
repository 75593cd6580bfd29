"""One training per folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.training.errors import TrainingError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder. The system opens the lock when the process ends, however it ends.

    Args:
        folder: The model folder; created if missing.

    Raises:
        TrainingError: Another process trains in it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Opened for appending: who holds the lock has written into the file, and that must stay.
    with (folder / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise TrainingError(
                f"{folder}: another training is running in it{f' (process {holder})' if holder else ''}; "
                "wait for its end, or choose another folder"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
