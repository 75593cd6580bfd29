"""The average of several checkpoints of one training: a model that is often better than each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.config import Config
from nmt.files import atomic_write
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.weights import MODEL_FILE, ModelCard, assign_parameters, save_model
from nmt.training.checkpoint import Checkpoints
from nmt.training.errors import TrainingError
from nmt.training.state import TrainingState

_SUBWORDS = "*.spm"


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
        OSError: A file cannot be read or written.
    """
    for name in (MODEL_FILE, "checkpoints"):
        if (output / name).exists():
            raise TrainingError(f"{output}: holds a model already; choose another folder")
    subwords = sorted(folder.glob(_SUBWORDS))
    if not subwords:
        raise TrainingError(f"{folder}: expected subword models ({_SUBWORDS}), found none")
    checkpoints = Checkpoints(folder)
    state, _ = checkpoints.read_state(steps[-1])
    mean, sizes = _mean(checkpoints, steps)
    config = state.config.model_copy(update={"folder": output})
    model = _build(config, sizes, checkpoints.path(steps[-1]) / MODEL_FILE)
    assign_parameters(model, mean, checkpoints.path(steps[-1]) / MODEL_FILE)
    for path in subwords:
        with atomic_write(output / path.name) as file:
            file.write(path.read_bytes())
    save_model(output, config, model.eval(), _card(state, steps, folder))


def _mean(checkpoints: Checkpoints, steps: Sequence[int]) -> tuple[dict[str, Tensor], str]:
    """Average the checkpoints one after the other; also returns the vocabulary sizes that they are for."""
    sums: dict[str, Tensor] = {}
    types: dict[str, torch.dtype] = {}
    sizes = ""
    for step in steps:
        tensors, metadata = checkpoints.tensors(step, MODEL_FILE)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if sums and shapes != {name: tensor.shape for name, tensor in sums.items()}:
            path = checkpoints.path(step) / MODEL_FILE
            raise TrainingError(f"{path}: expected the tensors of step {steps[0]}, got others; not of one training")
        for name, tensor in tensors.items():
            sums[name] = sums[name] + tensor.double() if name in sums else tensor.double()
            types[name] = tensor.dtype
        sizes = metadata.get("vocabulary_sizes", "")
    return {name: (total / len(steps)).to(types[name]) for name, total in sums.items()}, sizes


def _build(config: Config, sizes: str, path: Path) -> Seq2Seq:
    try:
        source_size, target_size = (int(size) for size in sizes.split())
    except ValueError:
        raise TrainingError(f"{path}: holds no vocabulary sizes; not a file of this toolkit") from None
    with torch.random.fork_rng(devices=[]):  # these weights are replaced, and should not cost the caller's seed
        return Seq2Seq.from_config(config, source_size, target_size)


def _card(state: TrainingState, steps: Sequence[int], folder: Path) -> ModelCard:
    which = ", ".join(map(str, steps))
    counts = {"steps": state.step, "target tokens seen": state.target_tokens, "checkpoints averaged": len(steps)}
    notes = f"The average of the parameters of {len(steps)} checkpoint(s) of `{folder.name}`: steps {which}."
    return ModelCard(counts=counts, notes=notes)
