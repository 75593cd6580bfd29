"""Files that appear whole or not at all, and what the output that a user names becomes."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

STREAM: Final = Path("-")
"""As the name of an input it is stdin, as that of an output stdout."""
LEFTOVERS: Final = ".nmt-*.tmp"
"""Names of temporary files: what a process leaves that was killed by a signal that cannot be caught."""

_MOST_LINKS = 40  # followed one after the other, as Linux does
_DESCRIPTOR = re.compile(r"(?:/dev/fd|/proc/(?:self|[0-9]+)/fd)/([0-9]+)")


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name in its folder; on success it takes the name, on an error it goes.

    A reader, or a run after a power cut, sees either the old content or the new, never a part. A file that was there
    leaves its mode to the new one. What else has the name is replaced, and links are not followed: this is for files
    of folders that are the program's own; `write_through` is for what a user names.

    Args:
        path: Where the file will be.

    Yields:
        The temporary file, open for reading and writing bytes.

    Raises:
        OSError: Its folder is missing, or cannot be written to; the error names `path` or the folder.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with _beside(path, _mode_of(path)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with LF line ends, atomically (see `atomic_write`)."""
    with atomic_write(path) as file:
        file.write(text.encode())


@contextmanager
def write_through(path: Path | None) -> Iterator[BinaryIO]:
    """Open what a user names for writing, be it a file or not.

    | name | what happens |
    |---|---|
    | none, or `-` | stdout |
    | a link | what it leads to is written, and the link stays |
    | `/dev/stdout`, `/dev/fd/N` | the open file of that number, where it stands |
    | a pipe or a device | written directly |
    | a file with other names (hard links), or of another owner | written over in place when all is there |
    | a file, or nothing | replaced when all is there, its mode kept (see `atomic_write`) |

    Args:
        path: The name.

    Yields:
        The open file.

    Raises:
        OSError: It cannot be written, or the folder is missing; the error names it.
    """
    if path is None or path == STREAM:
        yield sys.stdout.buffer
        return
    place = _end_of_links(path)
    if isinstance(place, int):
        with _naming(path), open(path, "wb", opener=lambda *_: os.dup(place)) as file:
            yield file
        return
    try:
        found = place.stat()
    except FileNotFoundError:
        with atomic_write(place) as file:
            yield file
        return
    if not os.access(place, os.W_OK):  # a file that is replaced need not be writable, only its folder
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if not stat.S_ISREG(found.st_mode):
        with _naming(path), place.open("wb") as file:
            yield file
    elif _can_replace(place, found):
        with atomic_write(place) as file:
            yield file
    else:
        with _written_over(place) as file:
            yield file


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that are gone; those that are written to are locked, and stay."""
    for path in folder.glob(LEFTOVERS):
        with suppress(OSError), open(path, "rb", opener=_open_no_link) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _open_no_link(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


@contextmanager
def _beside(path: Path, mode: int | None) -> Iterator[BinaryIO]:
    """Open a new file in the folder of `path`, with a mode or that of all new files; in the end it is gone."""
    # Nobody can guess the name and put a link there; it is short, so that whatever name fits the folder can be written.
    temporary = path.with_name(f".nmt-{os.urandom(8).hex()}.tmp")
    opener = None if mode is None else lambda name, flags: os.open(name, flags, 0o600)
    try:
        with open(temporary, "x+b", opener=opener) as file:
            with suppress(OSError):  # of file systems without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if mode is not None:
                os.fchmod(file.fileno(), mode)  # whatever the umask is
            yield file
    except OSError as error:
        # Of a full disk, say, Python knows the file descriptor alone; errors without a number are a library's own.
        if error.errno is not None and error.filename in (None, str(temporary)):
            missing = error.errno == errno.ENOENT and not path.parent.exists()
            reason = "no such folder; make it first" if missing else error.strerror
            raise type(error)(error.errno, reason, str(path.parent if missing else path)) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _mode_of(path: Path) -> int | None:
    """Permissions of a file; None if there is none, or something else."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _can_replace(path: Path, found: os.stat_result) -> bool:
    """Whether another file in the place of this one is as good: no other name, owner or group would be lost."""
    folder = path.parent.stat()
    group = folder.st_gid if folder.st_mode & stat.S_ISGID else os.getegid()
    same_owner = (found.st_uid, found.st_gid) == (os.geteuid(), group)
    return found.st_nlink == 1 and same_owner and os.access(path.parent, os.W_OK)


def _end_of_links(path: Path) -> Path | int:
    """Follow links to the place that is written, which may not exist yet, or to an open file of this process."""
    for _ in range(_MOST_LINKS):
        path = Path(os.path.realpath(path.parent), path.name)
        descriptor = _DESCRIPTOR.fullmatch(str(path))
        if descriptor and str(path.parent) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
            return int(descriptor[1])
        if not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


@contextmanager
def _written_over(path: Path) -> Iterator[BinaryIO]:
    """Write beside a file first, if its folder takes new ones, and over it in the end: it stays the same file."""
    if not os.access(path.parent, os.W_OK):
        with _naming(path), path.open("wb") as file:
            yield file
        return
    with _beside(path, 0o600) as spool:
        yield spool
        import shutil  # noqa: PLC0415  (imports much, and is rarely needed)

        spool.seek(0)
        with path.open("r+b") as file:
            shutil.copyfileobj(spool, file)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors that know no file a name."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
