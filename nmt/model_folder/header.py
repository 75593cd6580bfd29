"""What a file of parameters says before the values, read without torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from safetensors import SafetensorError, safe_open

from nmt.model_folder.files import ModelError, require_file
from nmt.reading import open_regular

_LARGEST_VOCABULARY: Final = 10_000_000
_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class TensorInfo:
    """What the header of a file says about one tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it, such as "F32"."""

    @property
    def values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in the file, in bytes."""
        return self.values * _BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class Header:
    """What a file of parameters says before the values."""

    tensors: Mapping[str, TensorInfo]
    """By name."""
    vocabulary_sizes: tuple[int, int]
    """Of source and target, in subwords."""


def read_header(path: Path) -> Header:
    """Read the names and shapes of a model's parameters, not the values.

    Raises:
        ModelError: The file is missing or damaged, or tells no vocabulary sizes.
        OSError: It cannot be read.
    """
    with open_tensors(path, "numpy") as file:
        tensors = {}
        for name in file.keys():  # noqa: SIM118  (the file cannot be iterated over)
            found = file.get_slice(name)
            tensors[name] = TensorInfo(tuple(found.get_shape()), str(found.get_dtype()))
        return Header(tensors, parse_sizes(file.metadata() or {}, path))


def check_size(path: Path) -> None:
    """Check that a file is as long as its header says, before all of it is read: a hole of terabytes takes hours.

    Raises:
        ModelError: It is missing or damaged.
        OSError: It cannot be read.
    """
    with open_tensors(path, "numpy"):
        pass


def parse_sizes(metadata: Mapping[str, str], path: Path) -> tuple[int, int]:
    """Read the sizes of the source and the target vocabulary, in subwords.

    Args:
        metadata: Of a file of parameters.
        path: The file, for the message.

    Raises:
        ModelError: The file does not say, or says what cannot be.
    """
    text = metadata.get("vocabulary_sizes", "")
    found = re.fullmatch(r"([0-9]{1,9}) ([0-9]{1,9})", text)
    if not found:
        raise ModelError(f"{path}: holds no vocabulary sizes; not a file of this toolkit")
    source, target = int(found[1]), int(found[2])
    if not (0 < source <= _LARGEST_VOCABULARY and 0 < target <= _LARGEST_VOCABULARY):
        raise ModelError(f"{path}: vocabulary sizes: expected 1 to {_LARGEST_VOCABULARY}, got {text}")
    return source, target


def sizes_as_metadata(sizes: tuple[int, int]) -> dict[str, str]:
    """Write both sizes as one entry, since equal models should be equal files: safetensors orders several by chance."""
    return {"vocabulary_sizes": f"{sizes[0]} {sizes[1]}"}


@contextmanager
def open_tensors(path: Path, framework: Literal["numpy", "pt"]) -> Iterator[Any]:
    """Open a safetensors file, which then gives the tensors of a framework.

    Raises:
        ModelError: It is missing or damaged.
        OSError: It cannot be read.
    """
    require_file(path)
    open_regular(path).close()  # what is wrong here names the file; safetensors' own errors do not
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged: {' '.join(str(error).split())}") from None
