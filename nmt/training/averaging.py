"""The average of several checkpoints of one training: a model that is often better than each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.config import Config
from nmt.data.subwords import Subwords
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.card import ModelCard
from nmt.model_folder.files import MODEL_FILE, ModelError, read_settings
from nmt.model_folder.header import parse_sizes
from nmt.model_folder.weights import assign_parameters, build_for, save_model
from nmt.training import TrainingError
from nmt.training.checkpoint import Checkpoints
from nmt.training.state import TrainingState


def choose_steps(folder: Path, last: int | None, steps: Sequence[int] | None) -> list[int]:
    """Find the checkpoints to average.

    Args:
        folder: The model folder.
        last: How many of the latest to take; None takes `steps`.
        steps: Which to take.

    Returns:
        Their steps, ascending.

    Raises:
        TrainingError: There are none, too few, or not these.
    """
    there = Checkpoints(folder).steps()
    listed = ", ".join(map(str, there))
    if not there:
        raise TrainingError(f"{folder}: expected checkpoints of `nmt train`, found none")
    if last is not None:
        if last > len(there):
            raise TrainingError(
                f"--last {last}: {folder} holds {len(there)} checkpoints ({listed}); "
                "training.keep_checkpoints says how many are kept"
            )
        return there[-last:]
    for step in steps or ():
        if step not in there:
            raise TrainingError(f"--steps {step}: {folder} holds no checkpoint of this step; there are {listed}")
    if not steps:
        raise TrainingError(f"--steps: expected steps, got none; there are {listed}")
    return sorted(set(steps))


def average_checkpoints(folder: Path, steps: Sequence[int], output: Path) -> None:
    """Average the parameters of checkpoints, in float64, and write a whole model folder.

    Args:
        folder: The model folder that they are of.
        steps: Their steps; all of one training.
        output: Where to write; its subword models are copied.

    Raises:
        TrainingError: A checkpoint is damaged, they do not fit each other, or `output` holds a model.
        ModelError: A checkpoint does not fit its settings.
        OSError: A file cannot be read or written.
    """
    for name in (MODEL_FILE, "checkpoints"):
        if (output / name).exists():
            raise TrainingError(f"{output}: holds a model already; choose another folder")
    checkpoints = Checkpoints(folder)
    state, checksums = checkpoints.read_state(steps[-1])
    subwords = {name: _subwords(folder / name, checksums.get(name)) for name in state.config.data.subword_files}
    mean, sizes = _mean(checkpoints, steps)
    config = _settings(state.config, folder).model_copy(update={"folder": output})
    path = checkpoints.path(steps[-1]) / MODEL_FILE
    model = build_for(config, sizes, Seq2Seq.from_config, path)
    assign_parameters(model, mean, path)
    save_model(output, config, model.eval(), sizes, _card(state, steps, folder), subwords)


def _settings(config: Config, folder: Path) -> Config:
    """Settings of a training, with those that the end of it found, where the model is finished."""
    try:
        finished = read_settings(folder)
    except ModelError:
        return config
    return config.model_copy(update={"lines": finished.lines, "doubtful": finished.doubtful})


def _subwords(path: Path, checksum: str | None) -> bytes:
    """Read a subword model, which must be the one that was trained with."""
    try:
        content = Subwords.load(path).serialized
    except FileNotFoundError:
        raise TrainingError(f"{path}: missing; `nmt prepare` makes it again") from None
    if checksum not in (None, hashlib.sha256(content).hexdigest()):  # None: a checkpoint of an earlier version
        raise TrainingError(f"{path}: damaged: not the one of the checkpoint; `nmt prepare` makes it again")
    return content


def _mean(checkpoints: Checkpoints, steps: Sequence[int]) -> tuple[dict[str, Tensor], tuple[int, int]]:
    """Average the checkpoints one after the other; also returns the vocabulary sizes that they are for."""
    sums: dict[str, Tensor] = {}
    types: dict[str, torch.dtype] = {}
    for step in steps:
        path = checkpoints.path(step) / MODEL_FILE
        [(tensors, metadata)] = checkpoints.tensors(step, MODEL_FILE)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if sums and shapes != {name: tensor.shape for name, tensor in sums.items()}:
            raise TrainingError(f"{path}: expected the tensors of step {steps[0]}, got others; not of one training")
        for name, tensor in tensors.items():
            sums[name] = sums[name] + tensor.double() if name in sums else tensor.double()
            types[name] = tensor.dtype
        sizes = parse_sizes(metadata, path)
    return {name: (total / len(steps)).to(types[name]) for name, total in sums.items()}, sizes


def _card(state: TrainingState, steps: Sequence[int], folder: Path) -> ModelCard:
    which = ", ".join(map(str, steps))
    counts = {"steps": state.step, "target tokens seen": state.target_tokens, "checkpoints averaged": len(steps)}
    notes = f"The average of the parameters of {len(steps)} checkpoint(s) of `{folder.name}`: steps {which}."
    return ModelCard(counts=counts, notes=notes)
