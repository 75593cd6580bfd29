"""Checkpoints: everything needed to go on as if training had never stopped.

    checkpoints/step_N/model.safetensors      the parameters to translate with (the moving average, if there is one)
                       optimizer.safetensors  the optimiser's moments, the random state, the trained parameters
                       state.json             where training stands, and the settings it runs under
    checkpoints/best -> step_N

A checkpoint appears under its name only when all of it is on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from nmt.config import Config
from nmt.files import write_text
from nmt.model.folder import (
    MODEL_FILE,
    ModelError,
    assign_parameters,
    parameters_of,
    read_tensors,
    vocabulary_sizes,
    write_tensors,
)
from nmt.model.seq2seq import Seq2Seq
from nmt.training.errors import TrainingError
from nmt.training.optimizer import ParameterAverage, optimizer_tensors, restore_optimizer

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"
RANDOM_STATE = "random_state"
BEST = "best"


class TrainingState(BaseModel):
    """Where training stands."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    step: int = 0
    """Optimiser steps done, skipped ones included."""
    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done of the current epoch."""
    seconds: float = 0.0
    """Training time so far, validation included."""
    target_tokens: int = 0
    """Target tokens trained on so far."""
    best_step: int | None = None
    """Step of the best checkpoint."""
    best_score: float | None = None
    """Its score: BLEU (higher is better) or loss (lower is better)."""
    since_best: int = 0
    """Validations since then."""
    best_scores: dict[str, float] = {}
    """All numbers of that validation by name."""
    validated_step: int = -1
    """Step of the last validation."""
    config: Config
    """The settings."""


class Checkpoints:
    """The checkpoints of one model folder.

    Args:
        folder: The model folder.
        keep: How many of the latest to keep, beside the best.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder / "checkpoints"
        self.keep = keep

    def path(self, step: int) -> Path:
        """Name the checkpoint of a step."""
        return self.folder / f"step_{step}"

    def steps(self) -> list[int]:
        """List the steps that have a checkpoint, ascending."""
        names = (path.name.removeprefix("step_") for path in self.folder.glob("step_*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def save(
        self, model: Seq2Seq, optimizer: torch.optim.Optimizer, average: ParameterAverage, state: TrainingState
    ) -> None:
        """Write the checkpoint of `state.step`, point `best` to the best one, and remove those no longer kept.

        Args:
            model: The network, holding the trained parameters.
            optimizer: Its optimiser.
            average: The moving average of its parameters.
            state: Where training stands.

        Raises:
            OSError: If the folder cannot be written.
        """
        final = self.path(state.step)
        self._remove_leftovers()
        temporary = self.folder / f".{final.name}.{os.getpid()}.tmp"
        temporary.mkdir(parents=True)
        trained = parameters_of(model)
        rest = optimizer_tensors(optimizer, model)
        rest[RANDOM_STATE] = torch.get_rng_state()
        rest |= {f"parameter.{name}": tensor for name, tensor in trained.items() if average.averages}
        write_tensors(temporary / MODEL_FILE, average.averages or trained, vocabulary_sizes(model))
        write_tensors(temporary / OPTIMIZER_FILE, rest)
        write_text(temporary / STATE_FILE, state.model_dump_json(indent=2) + "\n")
        _flush(temporary)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _flush(self.folder)
        if state.best_step is not None:
            self._point_best_to(state.best_step)
        kept = {*self.steps()[-self.keep :], state.best_step}
        for step in self.steps():
            if step not in kept:
                shutil.rmtree(self.path(step))

    def latest_state(self) -> TrainingState | None:
        """Read where the latest checkpoint stands; None if there is none.

        Raises:
            TrainingError: If it is damaged.
        """
        steps = self.steps()
        if not steps:
            return None
        path = self.path(steps[-1]) / STATE_FILE
        try:
            return TrainingState.model_validate_json(path.read_bytes())
        except OSError as error:
            raise TrainingError(
                f"{path}: {error.strerror}; remove this checkpoint to go on from the one before"
            ) from None
        except ValidationError as error:
            wrong = error.errors()[0]["msg"]
            raise TrainingError(f"{path}: {wrong}; remove this checkpoint to go on from the one before") from None

    def restore(self, step: int, model: Seq2Seq, optimizer: torch.optim.Optimizer, average: ParameterAverage) -> None:
        """Put network, optimiser, average and torch's random state back to a checkpoint.

        Args:
            step: Its step.
            model: The network; changed in place, like the two that follow.
            optimizer: Its optimiser.
            average: The moving average of its parameters.

        Raises:
            TrainingError: If the checkpoint is damaged or does not fit.
        """
        try:
            averaged, _ = read_tensors(self.path(step) / MODEL_FILE)
            path = self.path(step) / OPTIMIZER_FILE
            rest, _ = read_tensors(path)
            trained = {name.removeprefix("parameter."): rest[name] for name in rest if name.startswith("parameter.")}
            assign_parameters(model, trained or averaged, path)
            restore_optimizer(optimizer, model, rest)
        except ModelError as error:
            raise TrainingError(str(error)) from None
        if RANDOM_STATE not in rest:
            raise TrainingError(f"{path}: {RANDOM_STATE} is missing")
        if average.averages:
            _copy_all(average.averages, averaged)
        torch.set_rng_state(rest[RANDOM_STATE])

    def load_best(self, model: Seq2Seq) -> None:
        """Put the parameters of the best checkpoint into a network.

        Raises:
            TrainingError: If it is missing or damaged.
        """
        path = self.folder / BEST / MODEL_FILE
        try:
            tensors, _ = read_tensors(path)
            assign_parameters(model, tensors, path)
        except ModelError as error:
            raise TrainingError(str(error)) from None

    def _point_best_to(self, step: int) -> None:
        link = self.folder / f".{BEST}.{os.getpid()}.tmp"
        link.symlink_to(self.path(step).name)
        link.replace(self.folder / BEST)

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob(".*.tmp"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def check_same_training(before: Config, now: Config) -> None:
    """Make sure that a checkpoint may be continued under these settings.

    Network, data and what gives the data cursor its meaning must be the same; the rest, such as the number of epochs,
    may change.

    Args:
        before: The checkpoint's settings.
        now: The present ones.

    Raises:
        TrainingError: If they differ; names the key, both values and what to do.
    """
    fixed = {f"model.{key}" for key in type(now.model).model_fields}
    # Names and places of the text may change; that its content is still the same is for the prepared data to say.
    free = {"source_language", "target_language", "train", "valid", "test"}
    fixed |= {f"data.{key}" for key in type(now.data).model_fields if key not in free}
    fixed |= {"training.batch_tokens", "training.seed", "training.optimizer", "training.early_stopping_metric"}
    for key in sorted(fixed):
        section, name = key.split(".")
        old, new = getattr(getattr(before, section), name), getattr(getattr(now, section), name)
        if old != new:
            raise TrainingError(
                f"{key}: the checkpoint in {now.folder} was trained with {old}, the config says {new}; "
                "set it back, or choose another folder"
            )
    if bool(before.training.ema_decay) != bool(now.training.ema_decay):
        raise TrainingError("training.ema_decay: cannot be turned on or off between a checkpoint and its continuation")


def _flush(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@torch.no_grad()
def _copy_all(into: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(source[name])
