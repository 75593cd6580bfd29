"""Training that starts from a trained model instead of random parameters."""

from __future__ import annotations

from pathlib import Path

from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.weights import assign_parameters, load_model, parameters_of


def copy_parameters(folder: Path, model: Seq2Seq) -> None:
    """Copy the parameters of a model folder into a network.

    Args:
        folder: The folder.
        model: A network of the same shape; changed in place.

    Raises:
        ModelError: A file of the folder is missing or damaged, or the network is of another shape.
        OSError: A file cannot be read.
    """
    _, before = load_model(folder, Seq2Seq.from_config, parameter_shapes)
    assign_parameters(model, parameters_of(before), folder)
