"""`shortlist.safetensors`: what each source subword is most often translated by, for searches among these words alone.

Three tensors: of source subword s the target ids `candidates[first[s]:first[s + 1]]`, the most probable first; and
`frequent`, the target ids that are most frequent, the most frequent first. Imports neither torch nor NumPy to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nmt.files import atomic_write
from nmt.model_folder.digests import add_digest, lists_file
from nmt.model_folder.files import ModelError, require_file
from nmt.model_folder.header import read_header, sizes_as_metadata
from nmt.reading import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTLIST_FILE: Final = "shortlist.safetensors"

_TYPES: Final = {"first": "I64", "candidates": "I32", "frequent": "I32"}
_ADVICE: Final = "`nmt shortlist` makes it"


@dataclass(frozen=True)
class Shortlist:
    """What the file holds, as it lies there: little-endian numbers, 64 bits in `first`, else 32."""

    path: Path
    first: bytes
    candidates: bytes
    frequent: bytes


def write_shortlist(folder: Path, lists: Mapping[str, NDArray[Any]], sizes: tuple[int, int]) -> int:
    """Write the file, and list it among those of the model.

    Args:
        folder: The model folder.
        lists: `first` int64, `candidates` and `frequent` int32.
        sizes: Of the source's and the target's vocabulary.

    Returns:
        Its size, in bytes.

    Raises:
        ModelError: The digests of the folder are damaged.
        OSError: A file cannot be written.
    """
    from safetensors.numpy import save  # noqa: PLC0415  (reading does without)

    content = save({name: lists[name] for name in _TYPES}, sizes_as_metadata(sizes))
    with atomic_write(folder / SHORTLIST_FILE) as file:
        file.write(content)
    add_digest(folder, SHORTLIST_FILE, content)
    return len(content)


def has_shortlist(folder: Path) -> bool:
    """Whether a model folder has such a file, and lists it where it lists its files."""
    return (folder / SHORTLIST_FILE).is_file() and lists_file(folder, SHORTLIST_FILE)


def read_shortlist(folder: Path, sizes: tuple[int, int]) -> Shortlist:
    """Read the file; whether its ids are those of subwords is for the network to say.

    Args:
        folder: The model folder, whose digests have been checked.
        sizes: Of the source's and the target's vocabulary.

    Raises:
        ModelError: It is missing, damaged, of another model, or not among the files that the model lists.
        OSError: It cannot be read.
    """
    path = folder / SHORTLIST_FILE
    require_file(path, f"; {_ADVICE}")
    if not lists_file(folder, SHORTLIST_FILE):
        raise ModelError(f"{path}: not among the files that the model lists, so of another one; {_ADVICE}")
    header = read_header(path)
    if header.vocabulary_sizes != sizes:
        expected, got = (f"{source} and {target}" for source, target in (sizes, header.vocabulary_sizes))
        raise ModelError(f"{path}: expected lists for vocabularies of {expected}, got {got}; {_ADVICE}")
    found = {name: (tensor.dtype, len(tensor.shape)) for name, tensor in header.tensors.items()}
    if found != {name: (dtype, 1) for name, dtype in _TYPES.items()}:
        raise ModelError(f"{path}: damaged: expected the lists {', '.join(_TYPES)}; {_ADVICE}")
    content = read_regular(path)
    parts = {name: content[each.begin : each.begin + each.bytes] for name, each in header.tensors.items()}
    return Shortlist(path, parts["first"], parts["candidates"], parts["frequent"])
