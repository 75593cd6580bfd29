"""A model folder that is opened: checked against itself, its parameters read where they lie. Imports no torch."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.brief import read_brief
from nmt.model_folder.digests import check_digests
from nmt.model_folder.files import CONFIG_FILE, MODEL_FILE, ModelError, read_settings, require_file
from nmt.model_folder.header import Header, read_header
from nmt.reading import open_regular

if TYPE_CHECKING:
    from nmt.brief import Settings

Shapes = Callable[["Settings", tuple[int, int]], Mapping[str, tuple[int, ...]]]
"""(settings, sizes of the source's and the target's vocabulary) -> shape of every parameter, by its name in files;
raises ValueError where these do not fit each other."""

_FLOAT: Final = 4  # bytes of a value, and where it must begin in memory


@dataclass(frozen=True)
class OpenModel:
    """A model folder whose files fit each other."""

    settings: Settings
    header: Header
    path: Path
    """Of the parameters."""


def open_model(folder: Path, shapes: Shapes, but: str = "") -> OpenModel:
    """Open a model folder that `save_model` wrote.

    Args:
        folder: The folder.
        shapes: What parameters a model must have.
        but: A file that will be written anew, however damaged.

    Returns:
        The model, of which no parameter is read yet.

    Raises:
        ModelError: If a file is missing, damaged, or does not fit the others; this includes the subword models, if
            the folder has digests.
        OSError: If a file cannot be read.
    """
    path = folder / MODEL_FILE
    if (folder / "checkpoints").is_dir() and not path.exists():
        raise ModelError(f"{path}: missing; `nmt train` writes it when training ends")
    digests_match = False
    if folder.is_dir():
        require_file(folder / CONFIG_FILE, "; a model folder is made by `nmt train`")
        digests_match = check_digests(folder, but)  # before anything is made of the contents
    # What a program wrote, and nobody changed, is right; else it is looked at closely.
    settings = (digests_match and read_brief(folder / CONFIG_FILE)) or read_settings(folder)
    header = read_header(path)
    try:
        expected = shapes(settings, header.vocabulary_sizes)
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from None
    _check(header, expected, path)
    return OpenModel(settings, header, path)


def _check(header: Header, expected: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Compare a file with what it should hold, before anything takes memory for it."""
    mismatch = f"{path}: does not fit {CONFIG_FILE}"
    for name, shape in expected.items():
        found = header.tensors.get(name)
        if found is None:
            raise ModelError(f"{mismatch}: {name} is missing")
        if found.shape != shape:
            raise ModelError(f"{mismatch}: {name}: expected {list(shape)}, got {list(found.shape)}")
        if found.dtype != "F32":
            raise ModelError(f"{path}: {name}: expected float32 (F32), got {found.dtype}")
    for name in sorted(header.tensors.keys() - expected.keys()):
        raise ModelError(f"{mismatch}: {name} is not part of the model")


@contextmanager
def mapped_parameters(model: OpenModel) -> Iterator[dict[str, memoryview[float]]]:
    """Map the parameters of a model: no copy is made of them.

    Args:
        model: What `open_model` found.

    Yields:
        Their float32 values by name, until the end of the context.

    Raises:
        ModelError: The file is another than it was when it was opened.
        OSError: It cannot be read.
    """
    with open_regular(model.path) as file:
        # The mapping goes with the last view of it. Closing it would be an error as long as there is one, and a signal
        # may come whenever one is made.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        tensors = {}
        for name, found in model.header.tensors.items():
            values = content[found.begin : found.begin + found.bytes]
            if len(values) != found.bytes:
                raise ModelError(f"{model.path}: {name}: changed while it was read")
            tensors[name] = (memoryview(bytes(values)) if found.begin % _FLOAT else values).cast("f")
        try:
            yield tensors
        finally:
            tensors.clear()
