"""What a file of parameters says before the values: safetensors' header, read without a library for arrays.

The file is 8 bytes with the length of the header, little-endian; the header, a JSON object that tells of each tensor
type, shape and place; and the values, without gaps.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from nmt.model_folder.files import ModelError, require_file
from nmt.reading import open_regular

_LARGEST_VOCABULARY: Final = 10_000_000
_LARGEST_HEADER: Final = 100_000_000  # bytes, as in the safetensors library
_LARGEST_SIZE: Final = 2**63
_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class TensorInfo:
    """What the header of a file says about one tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors writes it, such as "F32"."""
    begin: int
    """Where its values begin in the file, in bytes."""

    @property
    def values(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in the file, in bytes."""
        return self.values * _BYTES[self.dtype]


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
    tensors, metadata = _read(path)
    return Header(tensors, parse_sizes(metadata, path))


def check_size(path: Path) -> None:
    """Check that a file is as long as its header says, before all of it is read: a hole of terabytes takes hours.

    Raises:
        ModelError: It is missing or damaged.
        OSError: It cannot be read.
    """
    _read(path)


def _read(path: Path) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Read tensors and metadata, and check that the tensors fill the file."""
    require_file(path)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, _LARGEST_HEADER):
            raise ModelError(f"{path}: damaged: expected a header of {length:,} bytes, got a file of {size:,}")
        text = file.read(length)
    try:
        rows = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
        metadata = _metadata(rows.pop("__metadata__", {}))
        tensors = {name: _tensor(name, row, 8 + length) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = str(error) if type(error) is ValueError else "its header is none of safetensors"
        raise ModelError(f"{path}: damaged: {what}") from None
    end = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].bytes)):
        if tensor.begin != end:
            raise ModelError(f"{path}: damaged: {name}: expected to begin at byte {end:,}, got {tensor.begin:,}")
        end += tensor.bytes
    if end != size:
        raise ModelError(f"{path}: damaged: expected {end:,} bytes, got {size:,}")
    return tensors, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _metadata(found: Any) -> dict[str, str]:
    if not all(type(value) is str for value in found.values()):
        raise ValueError("its metadata are no texts")
    return dict(found)


def _tensor(name: str, row: Any, first: int) -> TensorInfo:
    """Read what the header says of a tensor; `first` is the byte of the file from which places are counted."""
    dtype, shape, (begin, end) = row["dtype"], row["shape"], row["data_offsets"]
    if type(shape) is not list or not all(
        type(size) is int and 0 <= size < _LARGEST_SIZE for size in (*shape, begin, end)
    ):
        raise ValueError(f"{name}: its shape or place is none")
    if dtype not in _BYTES:
        raise ValueError(f"{name}: expected a type of {', '.join(_BYTES)}, got {dtype}")
    found = TensorInfo(tuple(shape), dtype, first + begin)
    if end - begin != found.bytes:
        raise ValueError(f"{name}: expected {found.bytes:,} bytes, got {end - begin:,}")
    return found


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
