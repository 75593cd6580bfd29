"""API keys: made here, kept as what cannot be turned back into a key."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nmt.files import write_text
from nmt.reading import read_regular
from nmt.terminal import printable

_HEADING: Final = "# API keys of `nmt serve`; `nmt keys` writes this. Of a key only its SHA-256 is kept.\n"
_ID: Final = re.compile("[0-9a-f]{8}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_LONGEST: Final = 100  # characters of a key that is looked at


class KeysError(ValueError):
    """A file of keys that cannot be read, or a key that is not in it."""


@dataclass(frozen=True)
class Key:
    """A key, as far as it is known."""

    id: str
    """What it begins with."""
    sha256: str
    """Of all of it: 256 random bits need no slow hash."""
    name: str = ""
    """Whose it is."""
    requests: int | None = None
    """A minute; None for what others have, 0 for any number."""


class Keys:
    """The keys of a service.

    Args:
        keys: They.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._by_id = {key.id: key for key in keys}

    def find(self, given: str) -> Key | None:
        """Return which key this is; None if it is none. How long that takes says nothing of how much of it is right."""
        key = self._by_id.get(given.partition(".")[0])
        digest = hashlib.sha256(given[:_LONGEST].encode("utf-8", "replace")).hexdigest()
        return key if hmac.compare_digest(digest, key.sha256 if key else "0" * 64) else None


def new_key(name: str, requests: int | None) -> tuple[str, Key]:
    """Make a key; returns it, which is told once, and what is kept."""
    identity = secrets.token_hex(4)
    key = f"{identity}.{secrets.token_urlsafe(32)}"
    return key, Key(identity, hashlib.sha256(key.encode()).hexdigest(), name, requests)


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        KeysError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        rows = tomllib.loads(read_regular(path).decode("utf-8-sig")).get("key", [])
    except (ValueError, RecursionError) as error:
        raise KeysError(f"{path}: not a TOML file: {printable(str(error))}") from None
    if not isinstance(rows, list):
        raise KeysError(f"{path}: expected [[key]] tables")
    return [_read(path, number, row) for number, row in enumerate(rows, start=1)]


def _read(path: Path, number: int, row: object) -> Key:
    where = f"{path}: key number {number}"
    if not isinstance(row, dict) or not row.keys() <= {"id", "sha256", "name", "requests"}:
        raise KeysError(f"{where}: expected a table of id, sha256, name and requests")
    identity, digest, name, requests = (row.get(each) for each in ("id", "sha256", "name", "requests"))
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise KeysError(f"{where}: id: expected 8 hexadecimal digits")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise KeysError(f"{where}: sha256: expected 64 hexadecimal digits")
    if name is not None and not isinstance(name, str):
        raise KeysError(f"{where}: name: expected a text")
    if requests is not None and (not isinstance(requests, int) or isinstance(requests, bool) or requests < 0):
        raise KeysError(f"{where}: requests: expected a whole number from 0")
    return Key(identity, digest, name or "", requests)


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """Write a file of keys, for its owner alone if it is new.

    Raises:
        OSError: It cannot be written.
    """
    tables = []
    for key in keys:
        lines = [f'id = "{key.id}"', f'sha256 = "{key.sha256}"', f"name = {_as_toml(key.name)}"]
        lines += [] if key.requests is None else [f"requests = {key.requests}"]
        tables.append("\n[[key]]\n" + "\n".join(lines) + "\n")
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    write_text(path, _HEADING + "".join(tables))


def _as_toml(text: str) -> str:
    plain = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(plain)}"'
