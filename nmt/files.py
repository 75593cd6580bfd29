"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name beside `path`; on success it takes the name, on an error it goes.

    A reader, or a run after a power cut, sees either the old content or the new, never a part.

    Args:
        path: Where the file will be; its folder is made if missing.

    Yields:
        The temporary file, open for reading and writing bytes.

    Raises:
        OSError: The folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk, say: Python knows the file descriptor alone
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with LF line ends, atomically (see `atomic_write`)."""
    with atomic_write(path) as file:
        file.write(text.encode())
