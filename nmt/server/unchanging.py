"""Files that nobody else can change while they are used: copies in memory.

A file that is mapped changes with its name: who writes over it changes the weights of a model that is open, and who
cuts it short, as `cp` and `rsync --inplace` do before they write, has the system end the process that reads beyond its
end. A service is to survive both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from nmt.reading import open_regular

_PART: Final = 64 << 20  # bytes that are copied at a time


@contextmanager
def unchanging(path: Path) -> Iterator[Path]:
    """Lend a copy of a file, which is gone when nothing has it open or mapped any more.

    Args:
        path: The file; read once, from beginning to end.

    Yields:
        A name of the copy, for this process and this context. Errors that name it are made to name the file. Where the
        system has no such copies (Linux has), the file itself.

    Raises:
        OSError: It is no regular file, or cannot be read.
    """
    with open_regular(path) as file:
        copy = _memory_file(path.name)
        if copy is None:
            yield path
            return
        with copy:
            while os.sendfile(copy.fileno(), file.fileno(), None, _PART):
                pass
            _seal(copy)
            name = Path(f"/proc/self/fd/{copy.fileno()}")
            try:
                yield name
            except (ValueError, OSError) as error:
                error.args = tuple(
                    each.replace(str(name), str(path)) if isinstance(each, str) else each for each in error.args
                )
                raise


def _memory_file(name: str) -> FileIO | None:
    try:
        return FileIO(os.memfd_create(name[:80], os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+")
    except (AttributeError, OSError):
        return None


def _seal(file: FileIO) -> None:
    """Let nobody change a file any more, not even this process."""
    import fcntl  # noqa: PLC0415  (its names are Linux's)

    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
