"""Files that others made, opened without trust: only regular files of a plausible size are read.

A named pipe would keep its reader waiting, a device has no end, and a file of terabytes may be a hole with a name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_TEXT: Final = 16 << 20
"""Bytes of settings, a manifest or a state at most: ten thousand times what they have."""

_PATIENCE_MILLISECONDS: Final = 5000
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def kind_of(path: Path) -> str | None:
    """Say what stands under a name where a regular file is expected; None if it is one, or a link to one.

    Raises:
        OSError: There is nothing, or it cannot be looked at.
    """
    return _kind(path.stat().st_mode)


class _NamedFile(FileIO):
    """A file whose errors of reading name it, too, as those of opening do."""

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:  # what readers with a buffer call
        try:
            return super().readinto(buffer)
        except OSError as error:
            error.filename = error.filename or str(self.name)
            raise


def open_given(path: Path) -> BufferedReader:
    """Open what a user names to read bytes, whatever it is.

    Raises:
        OSError: It is missing, a folder, or cannot be read; later reading may raise it as well, with the name.
    """
    return BufferedReader(_NamedFile(str(path)))


def open_regular(path: Path, largest: int | None = None) -> BufferedReader:
    """Open a file to read.

    Args:
        path: The file, or a link to it.
        largest: Bytes that it may have; None for any number.

    Returns:
        The open file.

    Raises:
        OSError: It is no regular file, too large, or cannot be read; names it, and says what came.
    """
    _require_regular(path, path.stat())  # opening alone means something to some devices
    file = _open_owned(path)
    try:
        found = os.fstat(file.fileno())  # may be another file by now
        _require_regular(path, found)
        if largest is not None and found.st_size > largest:
            raise OSError(errno.EFBIG, f"expected at most {largest:,} bytes, got {found.st_size:,}", str(path))
        return file
    except BaseException:
        file.close()
        raise


def _open_owned(path: Path) -> BufferedReader:
    """Open a file without waiting, should it be a pipe.

    The file owns its descriptor from the first moment: if a signal ends this, it is closed, and nobody closes it twice.
    """
    return BufferedReader(FileIO(str(path), opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)))


def read_regular(path: Path, largest: int = LARGEST_TEXT) -> bytes:
    """Read a whole file; see `open_regular`."""
    with open_regular(path, largest) as file:
        return file.read(largest)


def read_given(path: Path, largest: int = LARGEST_TEXT) -> bytes:
    """Read what a user names, which may be a pipe, such as that of `<(...)`, as well as a file.

    Args:
        path: The file or pipe.
        largest: Bytes that it may have.

    Raises:
        OSError: It holds more, or cannot be read, or is a pipe into which nobody writes for five seconds.
    """
    if not stat.S_ISFIFO(path.stat().st_mode):
        with open_given(path) as file:
            content = file.read(largest + 1)
    else:
        with _open_owned(path) as file:
            waiting = select.poll()
            waiting.register(file, select.POLLIN)
            if not waiting.poll(_PATIENCE_MILLISECONDS):
                raise OSError(errno.ETIMEDOUT, "nobody writes into this pipe", str(path))
            os.set_blocking(file.fileno(), True)
            content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"expected at most {largest:,} bytes, got more", str(path))
    return content


def require_writable(path: Path) -> None:
    """Check that what is to be appended to is a file or not there yet: a named pipe would wait for a reader.

    Raises:
        OSError: It is something else; a device may be, which takes what it is given.
    """
    try:
        found = path.stat()
        if not stat.S_ISCHR(found.st_mode):
            _require_regular(path, found)
    except FileNotFoundError:
        if path.is_symlink():  # what would be made lies elsewhere
            raise


def sha256(path: Path, largest: int | None = None) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits; see `open_regular`."""
    with open_regular(path, largest) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def _require_regular(path: Path, found: os.stat_result) -> None:
    kind = _kind(found.st_mode)
    if kind is not None:
        number = errno.EISDIR if kind == "a folder" else errno.EINVAL
        raise OSError(number, f"expected a file, got {kind}", str(path))
