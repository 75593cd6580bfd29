"""Pairs as ids on disk: for each side one flat array and its offsets, memory-mapped when read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.files import atomic_write
from nmt.reading import open_regular

Side = Literal["source", "target"]
IdArray = NDArray[np.uint16] | NDArray[np.uint32]

_OFFSET: Final = np.dtype(np.int64)
_ADVICE: Final = "run `nmt prepare` again"
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


class Part(NamedTuple):
    """One of the corpora of a split."""

    direction: str
    """Its languages, as in `en-de`."""
    pairs: int


@dataclass(frozen=True)
class PreparedSplit:
    """Pairs of one split, memory-mapped: opening it costs nothing, and the system shares it between processes."""

    source: Sentences
    target: Sentences
    parts: tuple[Part, ...] = ()
    """The corpora, one behind the other; none where there is only one."""

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
    dtype = _dtype_of_ids(vocabulary_size)
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
        for opened, header in ((file, _header(dtype, end)), (offsets, _header(_OFFSET, sentences + 1))):
            opened.seek(0)
            opened.write(header)


def read_sentences(folder: Path, name: str, vocabulary_size: int) -> Sentences:
    """Map what `sentence_writer` wrote into memory, and look once at every number.

    Args:
        folder: Where it lies.
        name: Split and side, such as `train.source`.
        vocabulary_size: V, as it was written with.

    Raises:
        PreparedError: A file is missing, or does not hold what its name says.
    """
    ids = _map(folder / f"{name}.ids.npy", _dtype_of_ids(vocabulary_size))
    offsets = _map(folder / f"{name}.offsets.npy", _OFFSET)
    if offsets.size == 0 or offsets[0] != 0 or offsets[-1] != ids.size or (np.diff(offsets) < 0).any():
        raise PreparedError(
            f"{folder}: {name}: expected offsets that ascend from 0 to the number of ids, {ids.size}; {_ADVICE}"
        )
    if ids.size and ids.max() >= vocabulary_size:
        raise PreparedError(f"{folder}: {name}: expected ids below {vocabulary_size}, got {ids.max()}; {_ADVICE}")
    return Sentences(ids, offsets)


def open_split(
    folder: Path, split: str, vocabulary_sizes: tuple[int, int], parts: tuple[Part, ...] = ()
) -> PreparedSplit:
    """Map the ids of a split into memory.

    Args:
        folder: Of the ids.
        split: "train" or "valid".
        vocabulary_sizes: V of the source and of the target.
        parts: See `PreparedSplit.parts`.

    Raises:
        PreparedError: They are missing or damaged.
    """
    source, target = (
        read_sentences(folder, f"{split}.{side}", size)
        for side, size in zip(("source", "target"), vocabulary_sizes, strict=True)
    )
    if len(source.offsets) != len(target.offsets):
        raise PreparedError(
            f"{folder}: {split}: expected as many source as target sentences, got {len(source.offsets) - 1} "
            f"and {len(target.offsets) - 1}; {_ADVICE}"
        )
    made = PreparedSplit(source, target, parts)
    if parts and sum(part.pairs for part in parts) != len(made):
        raise PreparedError(
            f"{folder}: {split}: expected the pairs of {len(parts)} corpora, got {len(made)}; {_ADVICE}"
        )
    return made


def holds_array(path: Path) -> bool:
    """Whether a file is as long as its header says, be it of ids or offsets; reads the header alone.

    Raises:
        OSError: It is no regular file, or cannot be read.
    """
    with open_regular(path) as file:
        size, head = os.fstat(file.fileno()).st_size - _HEADER_BYTES, file.read(_HEADER_BYTES)
    dtypes = np.dtype(np.uint16), np.dtype(np.uint32), _OFFSET
    return any(head == _header(dtype, size // dtype.itemsize) for dtype in dtypes if size % dtype.itemsize == 0)


def _dtype_of_ids(vocabulary_size: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32)


def _header(dtype: np.dtype[Any], size: int) -> bytes:
    """NumPy's header of a one-dimensional array, of a fixed length: it is written over the start of a file when the
    size is known, and whatever else a file begins with is none of ours."""
    content = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({size},), }}"
    magic = np.lib.format.magic(1, 0)
    length = _HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, "little") + content.ljust(length - 1).encode("ascii") + b"\n"


def _map(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Map an array into memory.

    Raises:
        PreparedError: The file holds something else.
    """
    try:
        with open_regular(path) as file:
            size, rest = divmod(os.fstat(file.fileno()).st_size - _HEADER_BYTES, dtype.itemsize)
            if size < 0 or rest or file.read(_HEADER_BYTES) != _header(dtype, size):
                raise PreparedError(f"{path}: damaged: expected an array of {dtype}; {_ADVICE}")
            if size == 0:
                return np.empty(0, dtype)  # nothing cannot be mapped
            return np.memmap(file, dtype, mode="r", offset=_HEADER_BYTES, shape=(size,))
    except OSError as error:
        raise PreparedError(f"{path}: {error.strerror}; {_ADVICE}") from None
