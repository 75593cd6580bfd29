"""Pairs as ids on disk: for each side one flat array and its offsets, memory-mapped when read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.files import atomic_write

Side = Literal["source", "target"]
IdArray = NDArray[np.uint16] | NDArray[np.uint32]

_OFFSET: Final = np.dtype(np.int64)
_HEADER_BYTES: Final = 128  # room for any one-dimensional header, and a multiple of 64 as the format asks


class PreparedError(ValueError):
    """Prepared data that is missing, damaged or of other settings than those asked for."""


class Sentences(NamedTuple):
    """Sentence i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: IdArray
    """All ids, one after the other, without bos and eos."""
    offsets: NDArray[np.int64]
    """[number of sentences + 1]"""

    def sentence(self, index: int) -> IdArray:
        """Ids of one sentence."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True)
class PreparedSplit:
    """Pairs of one split, memory-mapped: opening it costs nothing, and the system shares it between processes."""

    source: Sentences
    target: Sentences

    def __len__(self) -> int:
        return len(self.source.offsets) - 1

    def lengths(self, side: Side) -> NDArray[np.int64]:
        """Subwords of each sentence of a side, without bos and eos: [number of pairs] int64."""
        offsets = self.source.offsets if side == "source" else self.target.offsets
        return np.diff(offsets)

    def pair(self, index: int) -> tuple[IdArray, IdArray]:
        """Ids of the source and the target of one pair, without bos and eos; 0 <= index < len(self)."""
        return self.source.sentence(index), self.target.sentence(index)


@contextmanager
def sentence_writer(folder: Path, name: str, vocabulary_size: int) -> Iterator[Callable[[Sequence[int]], None]]:
    """Write `NAME.ids.npy` and `NAME.offsets.npy`, a sentence at a time, holding none in memory.

    Args:
        folder: Where to write.
        name: Split and side, such as `train.source`.
        vocabulary_size: V, which decides whether an id takes two bytes or four.

    Yields:
        A function that appends the ids of one sentence, each below `vocabulary_size`.
    """
    dtype = np.dtype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32)
    end = sentences = 0
    with atomic_write(folder / f"{name}.ids.npy") as file, atomic_write(folder / f"{name}.offsets.npy") as offsets:
        file.write(bytes(_HEADER_BYTES))
        offsets.write(bytes(_HEADER_BYTES + _OFFSET.itemsize))  # the first offset is 0

        def append(ids: Sequence[int]) -> None:
            nonlocal end, sentences
            file.write(np.asarray(ids, dtype=dtype).tobytes())
            end += len(ids)
            sentences += 1
            offsets.write(end.to_bytes(_OFFSET.itemsize, sys.byteorder))

        yield append
        _write_header(file, dtype, end)
        _write_header(offsets, _OFFSET, sentences + 1)


def read_sentences(folder: Path, name: str) -> Sentences:
    """Map what `sentence_writer` wrote into memory.

    Raises:
        PreparedError: A file is missing, or does not hold what its name says.
    """
    try:
        ids = np.load(folder / f"{name}.ids.npy", mmap_mode="r", allow_pickle=False)
        offsets = np.load(folder / f"{name}.offsets.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PreparedError(
            f"{folder}: prepared data of {name} cannot be read ({error}); run `nmt prepare` again"
        ) from None
    if offsets.ndim != 1 or offsets.size == 0 or ids.shape != (int(offsets[-1]),):
        raise PreparedError(
            f"{folder}: {name}: expected offsets that end at the number of ids, {ids.size}; run `nmt prepare` again"
        )
    return Sentences(ids, offsets)


def open_split(folder: Path, split: str) -> PreparedSplit:
    """Map the ids of a split into memory.

    Args:
        folder: Of the ids.
        split: "train" or "valid".

    Raises:
        PreparedError: They are missing or damaged.
    """
    source, target = (read_sentences(folder, f"{split}.{side}") for side in ("source", "target"))
    if len(source.offsets) != len(target.offsets):
        raise PreparedError(
            f"{folder}: {split}: expected as many source as target sentences, got {len(source.offsets) - 1} "
            f"and {len(target.offsets) - 1}; delete the folder and run `nmt prepare` again"
        )
    return PreparedSplit(source, target)


def _write_header(file: BinaryIO, dtype: np.dtype[np.generic], size: int) -> None:
    """Write a NumPy header of a fixed length over the start of a file: the size is known only when all is written."""
    content = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({size},), }}"
    magic = np.lib.format.magic(1, 0)
    length = _HEADER_BYTES - len(magic) - 2
    file.seek(0)
    file.write(magic + length.to_bytes(2, "little") + content.ljust(length - 1).encode("ascii") + b"\n")
