"""`nmt shortlist`: which words are translated by which, for a model folder that does not say."""

from __future__ import annotations

from pathlib import Path

from nmt.data.dataset import open_split
from nmt.data.preparation.manifest import data_folder
from nmt.experiment import add_shortlist
from nmt.lock import locked
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.files import ModelError, read_settings
from nmt.model_folder.parameters import open_model
from nmt.model_folder.shortlist import SHORTLIST_FILE
from nmt.reading import sha256
from nmt.terminal import tell


def run(folder: Path, origin: Path) -> None:
    """Add a shortlist to a model folder, in the place of one that is there.

    Args:
        folder: The model folder.
        origin: The one that holds the prepared data; of the same subwords.

    Raises:
        ModelError: The model cannot be read, or its subwords are others than those of the data.
        PreparedError: The data is missing or damaged.
        OSError: A file cannot be read or written.
    """
    with locked(folder):
        model = open_model(folder, parameter_shapes, but=SHORTLIST_FILE)
        settings = read_settings(folder)
        for name in settings.data.subword_files:
            if origin != folder and sha256(folder / name) != sha256(origin / name):
                raise ModelError(f"{origin / name}: expected the subword model of {folder}, got another one")
        sizes = model.header.vocabulary_sizes
        place = data_folder(settings.model_copy(update={"folder": origin}))
        written = add_shortlist(folder, open_split(place, "train", sizes), sizes)
    tell("nmt shortlist", f"wrote {folder / SHORTLIST_FILE}: {written:,} bytes")
