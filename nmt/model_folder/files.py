"""The files of a model folder, without torch: names, digests, settings, and the header of the parameters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from nmt.config import Config, ConfigError
from nmt.config_file import read_config
from nmt.files import write_text

CONFIG_FILE: Final = "config.json"
MODEL_FILE: Final = "model.safetensors"
CARD_FILE: Final = "README.md"
DIGEST_FILE: Final = "SHA256SUMS"
"""SHA-256 of the subword models, the settings and the parameters, as the program `sha256sum` writes and checks it."""

SCORES_FILE: Final = "scores.jsonl"
"""One JSON object a line: a validation (`"kind": "validation"`) or an evaluation (`"kind": "test"`, or none)."""

_DIGEST_LINE: Final = re.compile(r"([0-9a-f]{64})  ([\w.-]+)", re.ASCII)
_LARGEST_VOCABULARY: Final = 10_000_000
_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class ModelError(ValueError):
    """A model folder that cannot be read; the message names the file, what was expected and what came."""


@dataclass(frozen=True)
class TensorInfo:
    """What the header of a file says about one tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it, such as "F32"."""

    @property
    def values(self) -> int:
        """Number of values."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def bytes(self) -> int:
        """Size in the file, in bytes."""
        return self.values * _BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class Header:
    """What a file of parameters says before the values."""

    tensors: Mapping[str, TensorInfo]
    """By name."""
    metadata: Mapping[str, str]

    def vocabulary_sizes(self, path: Path) -> tuple[int, int]:
        """Source and target vocabulary, in subwords.

        Args:
            path: The file, for the message.

        Raises:
            ModelError: The file does not say, or says what cannot be.
        """
        text = self.metadata.get("vocabulary_sizes", "")
        found = re.fullmatch(r"([0-9]{1,9}) ([0-9]{1,9})", text)
        if not found:
            raise ModelError(f"{path}: holds no vocabulary sizes; not a file of this toolkit")
        source, target = int(found[1]), int(found[2])
        if not (0 < source <= _LARGEST_VOCABULARY and 0 < target <= _LARGEST_VOCABULARY):
            raise ModelError(f"{path}: vocabulary sizes: expected 1 to {_LARGEST_VOCABULARY}, got {text}")
        return source, target


def require_file(path: Path, hint: str = "") -> None:
    """Check that a file is there.

    Raises:
        ModelError: It is missing, or no file; the message ends with `hint`.
    """
    if not path.is_file():
        raise ModelError(f"{path}: {'expected a file, got a folder' if path.is_dir() else 'missing'}{hint}")


def read_settings(folder: Path) -> Config:
    """Read the settings of a model folder.

    Raises:
        ModelError: They are missing, damaged, or of another version; one line.
    """
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder")
    require_file(path, "" if path.is_dir() else "; a model folder is made by `nmt train`")
    try:
        return read_config(path)
    except ConfigError as error:
        problems = str(error).splitlines()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ModelError(problems[0] + more) from None


def read_header(path: Path) -> Header:
    """Read names, shapes and metadata of a safetensors file, not the values.

    Raises:
        ModelError: It is missing or damaged.
        OSError: It cannot be read.
    """
    require_file(path)
    path.open("rb").close()  # what is wrong here names the file; safetensors' own errors do not
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {}
            for name in file.keys():  # noqa: SIM118  (the file cannot be iterated over)
                found = file.get_slice(name)
                tensors[name] = TensorInfo(tuple(found.get_shape()), str(found.get_dtype()))
            return Header(tensors, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged: {' '.join(str(error).split())}") from None


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
        name: hashlib.sha256(written[name]).hexdigest() if name in written else _digest(folder / name) for name in names
    }
    write_text(folder / DIGEST_FILE, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def check_digests(folder: Path) -> bool:
    """Check that files are as they were written, byte for byte.

    Args:
        folder: The model folder.

    Returns:
        False if the folder has no digests: models of version 0.1.0 were written without.

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
        found = _DIGEST_LINE.fullmatch(line)
        if not found:
            raise ModelError(f"{path}: damaged: line {number}: expected a SHA-256 and a file name")
        digests[found[2]] = found[1]
    for name in (CONFIG_FILE, MODEL_FILE):
        if name not in digests:
            raise ModelError(f"{path}: damaged: does not list {name}")
    for name, digest in digests.items():
        require_file(folder / name, f", but {DIGEST_FILE} lists it")
        if _digest(folder / name) != digest:
            advice = f"; after a change of your own, delete {DIGEST_FILE}" if name == CONFIG_FILE else ""
            raise ModelError(
                f"{folder / name}: damaged, or changed since the model was written: "
                f"its SHA-256 is not the one in {DIGEST_FILE}{advice}"
            )
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """Read the rows of `scores.jsonl`, in order; none if there is no such file.

    Lines that are no JSON object, such as the last one of a run that was killed while it wrote, are left out.

    Raises:
        OSError: The file cannot be read.
    """
    path = folder / SCORES_FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
