"""Model files, which hold all that translating takes (docs/model_file.md); their sections and what is in them.

Imports no torch.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nmt.model.native import PRECISIONS, NativeNetwork, shape_numbers
from nmt.model.shapes import NetworkShape
from rnn_engine import _core

MAGIC: Final = b"\x89NMT\r\n\x1a\n"
"""The first bytes of every model file."""

_TYPES: Final = ("bytes", "float32", "int8", "int64", "float64", "int32", "bfloat16")
_BYTES: Final = {"bytes": 1, "float32": 4, "int64": 8, "float64": 8, "int32": 4}
_PANEL: Final = 16  # rows of a panel of what is rounded, each of which is filled up
_ROUNDED: Final = {"int8": (4, 1), "bfloat16": (2, 2)}  # to a multiple of so many values, of so many bytes
# Of a shape, those that files of earlier versions tell, and what the rest then are: one head, readout, no zoneout, no
# input feeding, no embeddings beside the states.
_NUMBERS, _EARLIER, _REST = 14, (9, 12, 13), (1, 0, 0, 0, 0)
_PRECISION, _SIZES = 2, slice(3, 5)  # where these stand in it


class Section(NamedTuple):
    """A section of a model file, without what is in it."""

    name: str
    type: str
    """bytes, float32, int8 or bfloat16 (both in panels), int64, float64 or int32."""
    rows: int
    columns: int

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        if self.type in _ROUNDED:
            multiple, size = _ROUNDED[self.type]
            return -(-self.rows // _PANEL) * _PANEL * (-(-self.columns // multiple) * multiple) * size
        return self.rows * self.columns * _BYTES[self.type]


class Values(NamedTuple):
    """What a section of numbers holds."""

    type: str
    """float64, int64 or int32."""
    content: bytes
    """Little-endian."""


class SearchNumbers(NamedTuple):
    """What a file says of how to search, for programs that do not read settings."""

    beam_size: float
    length_penalty: float
    max_length_factor: float
    max_length_extra: float
    max_length: float
    """Longest piece of a source line, in subwords."""


class ModelFile:
    """A model file, mapped into memory: its sections are used where they lie.

    Args:
        path: The file.

    Raises:
        ValueError: It is damaged, or something else; the message begins with its name.
    """

    def __init__(self, path: Path) -> None:
        self._file = _core.ModelFile(os.fsencode(path))
        self.sections = [
            Section(name, _TYPES[kind], rows, columns) for name, kind, rows, columns in self._file.sections()
        ]
        """All sections, in their order."""

    def read(self, name: str) -> bytes | None:
        """Copy a section of bytes or numbers; None if there is none of that name."""
        return self._file.read(name)

    @property
    def precision(self) -> str:
        """What the weights are rounded to, a key of `PRECISIONS`.

        Raises:
            ValueError: The file does not say.
        """
        number = self._numbers()[_PRECISION]
        return next((name for name, value in PRECISIONS.items() if value == number), f"unknown precision {number}")

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords.

        Raises:
            ValueError: The file does not say.
        """
        source, target = self._numbers()[_SIZES]
        return source, target

    def network(self, shape: NetworkShape) -> NativeNetwork:
        """Make the network of the file, which keeps it open.

        Args:
            shape: What the settings say that it is.

        Raises:
            ValueError: It is another, or not whole.
        """
        precision, found = self.precision, self._numbers()
        if precision in PRECISIONS and (expected := shape_numbers(shape, precision)) != found:
            raise ValueError(f"network: expected {list(expected)}, as the settings say, got {list(found)}")
        return NativeNetwork(shape, self._file, precision)

    def _numbers(self) -> tuple[int, ...]:
        content = self.read("network") or b""
        if len(content) not in [8 * count for count in (_NUMBERS, *_EARLIER)]:
            raise ValueError(f"expected a section `network` of {_NUMBERS} numbers")
        found = struct.unpack(f"<{len(content) // 8}q", content)
        return (*found, *_REST[len(found) - _EARLIER[0] :])


def make_model_file(
    shape: NetworkShape,
    tensors: Mapping[str, Any],
    precision: str,
    parts: Mapping[str, bytes | Values],
    search: SearchNumbers,
) -> bytes:
    """Make the contents of a model file; the same model makes the same file.

    Args:
        shape: The network's sizes.
        tensors: Its float32 parameters, by the names and of the shapes that `shape` tells.
        precision: What to round them to, a key of `PRECISIONS`.
        parts: Other sections by name, such as settings and subword models.
        search: How to search.

    Returns:
        The contents.
    """
    numbers = Values("float64", struct.pack("<5d", *search))
    sections = [
        (name, *((_TYPES.index(part.type), part.content) if isinstance(part, Values) else (0, part)))
        for name, part in {**parts, "search": numbers}.items()
    ]
    return _core.make_model_file(dict(tensors), sections, shape_numbers(shape, precision))
