"""`nmt export`: a model folder to one file."""

from __future__ import annotations

import os
from pathlib import Path

from nmt.decoding.exporting import contents_of
from nmt.files import atomic_write
from nmt.model_folder.files import ModelError
from nmt.reading import kind_of
from nmt.terminal import tell


def run(folder: Path, output: Path, precision: str, shortlist: bool = False) -> None:
    """Write a model file.

    Args:
        folder: The model folder.
        output: The file; one that is there is replaced, and programs that have it open keep the old one.
        precision: What to round weights to, a key of `nmt.model.native.PRECISIONS`.
        shortlist: Whether to put the folder's shortlist in.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        OSError: A file cannot be read or written, or `output` is something else than a file.
    """
    place = Path(os.path.realpath(output))  # what a link leads to is replaced
    if place.exists() and (kind := kind_of(place)) is not None:
        raise ModelError(f"{output}: expected the name of a file to write, got {kind}")
    content = contents_of(folder, precision, shortlist)
    with atomic_write(place) as file:
        file.write(content)
    tell("nmt export", f"wrote {output}: {precision}, {len(content):,} bytes")
