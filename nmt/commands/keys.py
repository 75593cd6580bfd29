"""`nmt keys`: the API keys of a service."""

from __future__ import annotations

from pathlib import Path

from nmt.server.keys import KeysError, new_key, read_keys, write_keys
from nmt.terminal import printable, tell


def add(path: Path, name: str, requests: int | None) -> None:
    """Make a key, and print it: nobody can tell it again.

    Raises:
        KeysError, OSError: The file cannot be read or written.
    """
    keys = read_keys(path) if path.exists() else []
    given, key = new_key(name, requests)
    write_keys(path, [*keys, key])
    print(given)
    tell("nmt keys", f"{path}: key {key.id} was added; this is the only time that it is shown")


def list_(path: Path) -> None:
    """Print what is known of the keys.

    Raises:
        KeysError, OSError: The file cannot be read.
    """
    for key in read_keys(path):
        limit = "" if key.requests is None else f"{key.requests:,} requests a minute" if key.requests else "no limit"
        print("\t".join((key.id, printable(key.name), limit)))


def remove(path: Path, identity: str) -> None:
    """Remove a key.

    Raises:
        KeysError, OSError: There is none, or the file cannot be read or written.
    """
    keys = read_keys(path)
    rest = [key for key in keys if key.id != identity]
    if len(rest) == len(keys):
        raise KeysError(f"{path}: expected the first 8 digits of a key, got {printable(identity)}")
    write_keys(path, rest)
    tell("nmt keys", f"{path}: key {identity} was removed")
