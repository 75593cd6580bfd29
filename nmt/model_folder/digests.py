"""`SHA256SUMS`: proof that the files of a model are as they were written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from nmt.files import sha256, write_text
from nmt.model_folder.files import CONFIG_FILE, MODEL_FILE, ModelError, require_file

DIGEST_FILE: Final = "SHA256SUMS"
"""SHA-256 of the subword models, the settings and the parameters, as the program `sha256sum` writes and checks it."""

_LINE: Final = re.compile(r"([0-9a-f]{64})  ([\w.-]+)", re.ASCII)


def write_digests(folder: Path, names: Sequence[str], written: Mapping[str, bytes]) -> None:
    """Write the digests of a model folder.

    Args:
        folder: The model folder.
        names: The files, in the order of the lines.
        written: Contents of those that are not there yet.

    Raises:
        OSError: A file cannot be read or written.
    """
    digests = {
        name: hashlib.sha256(written[name]).hexdigest() if name in written else sha256(folder / name) for name in names
    }
    write_text(folder / DIGEST_FILE, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def check_digests(folder: Path) -> bool:
    """Check that files are as they were written, byte for byte.

    Args:
        folder: The model folder.

    Returns:
        False if the folder has no digests: who changes a file of a model may delete them.

    Raises:
        ModelError: The digests cannot be read, or a file is missing or another than they say.
        OSError: A file cannot be read.
    """
    path = folder / DIGEST_FILE
    if not path.exists():
        return False
    require_file(path)
    lines = path.read_bytes().decode("ascii", errors="replace").split("\n")
    if lines.pop():
        raise ModelError(f"{path}: damaged: the last line has no end")
    digests: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if not found:
            raise ModelError(f"{path}: damaged: line {number}: expected a SHA-256 and a file name")
        digests[found[2]] = found[1]
    for name in (CONFIG_FILE, MODEL_FILE):
        if name not in digests:
            raise ModelError(f"{path}: damaged: does not list {name}")
    for name, digest in digests.items():
        require_file(folder / name, f", but {DIGEST_FILE} lists it")
        if sha256(folder / name) != digest:
            advice = f"; after a change of your own, delete {DIGEST_FILE}" if name == CONFIG_FILE else ""
            raise ModelError(
                f"{folder / name}: damaged, or changed since the model was written: "
                f"its SHA-256 is not the one in {DIGEST_FILE}{advice}"
            )
    return True
