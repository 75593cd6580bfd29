"""`SHA256SUMS`: proof that the files of a model are as they were written."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nmt.brief import read_brief
from nmt.files import write_text
from nmt.model_folder.files import CONFIG_FILE, MODEL_FILE, ModelError, read_settings, require_file
from nmt.model_folder.header import check_size
from nmt.reading import read_regular, sha256

DIGEST_FILE: Final = "SHA256SUMS"
"""SHA-256 of the subword models, the settings and the parameters, as the program `sha256sum` writes and checks it."""

_LARGEST_FILE: Final = 1 << 30
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([\w.-]+)", re.ASCII)


def write_digests(folder: Path, written: Mapping[str, bytes]) -> None:
    """Write the digests of a model folder.

    They are of what was meant to be written: a file that was damaged on the disk before now gets no good name by it.

    Args:
        folder: The model folder.
        written: Contents of all files that are loaded, by name, in the order of the lines.

    Raises:
        OSError: The file cannot be written.
    """
    write_lines(folder, {name: hashlib.sha256(content).hexdigest() for name, content in written.items()})


def write_lines(folder: Path, digests: Mapping[str, str]) -> None:
    """Write digests by file name.

    Raises:
        OSError: The file cannot be written.
    """
    write_text(folder / DIGEST_FILE, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def add_digest(folder: Path, name: str, content: bytes) -> None:
    """Add a file that was written later to the digests of a model folder, if it has any.

    Args:
        folder: The model folder.
        name: Of the file.
        content: What was written.

    Raises:
        ModelError: The digests cannot be read.
        OSError: They cannot be read or written.
    """
    path = folder / DIGEST_FILE
    if os.path.lexists(path):
        write_lines(folder, {**read_digests(path), name: hashlib.sha256(content).hexdigest()})


def lists_file(folder: Path, name: str) -> bool:
    """Whether the digests of a model folder list a file; a folder without digests lists all of its files.

    Raises:
        ModelError: The digests cannot be read.
        OSError: They cannot be read.
    """
    path = folder / DIGEST_FILE
    if not os.path.lexists(path):
        return True
    return name in read_digests(path)


def check_digests(folder: Path, but: str = "") -> bool:
    """Check that files are as they were written, byte for byte, and that none is loaded which is not listed.

    Args:
        folder: The model folder.
        but: A file that is not looked at.

    Returns:
        False if the folder has no digests: who changes a file of a model may delete them.

    Raises:
        ModelError: The digests cannot be read, do not list a file that is loaded, or a file is missing or another than
            they say.
        OSError: A file cannot be read.
    """
    path = folder / DIGEST_FILE
    if not os.path.lexists(path):
        return False
    digests = read_digests(path)
    for name in (CONFIG_FILE, MODEL_FILE):
        if name not in digests:
            raise ModelError(f"{path}: damaged: does not list {name}")
    _check(folder, CONFIG_FILE, digests.pop(CONFIG_FILE))  # says what else is loaded
    for name in (read_brief(folder / CONFIG_FILE) or read_settings(folder)).data.subword_files:
        if name not in digests and (folder / name).exists():  # one that is missing is for its reader to tell
            raise ModelError(f"{path}: does not list {name}, which is part of the model")
    if (folder / MODEL_FILE).exists():
        check_size(folder / MODEL_FILE)
    digests.pop(but, None)
    for name, digest in digests.items():
        _check(folder, name, digest)
    return True


def read_digests(path: Path) -> dict[str, str]:
    """Read the digests by file name.

    Args:
        path: Of `DIGEST_FILE`, which is there.

    Raises:
        ModelError: They are no digests.
        OSError: They cannot be read.
    """
    require_file(path)
    lines = read_regular(path).decode("ascii", errors="replace").split("\n")
    if lines.pop():
        raise ModelError(f"{path}: damaged: the last line has no end")
    digests: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if not found:
            raise ModelError(f"{path}: damaged: line {number}: expected a SHA-256 and a file name")
        if digests.setdefault(found[2], found[1]) != found[1]:
            raise ModelError(f"{path}: damaged: line {number}: another SHA-256 of {found[2]}")
    return digests


def _check(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    require_file(path, f", but {DIGEST_FILE} lists it")
    if sha256(path, None if name == MODEL_FILE else _LARGEST_FILE) != digest:
        advice = f"; after a change of your own, delete {DIGEST_FILE}" if name == CONFIG_FILE else ""
        raise ModelError(
            f"{path}: damaged, or changed since the model was written: "
            f"its SHA-256 is not the one in {DIGEST_FILE}{advice}"
        )
