"""Checkpoints: everything needed to go on as if training had never stopped.

    checkpoints/step_N/model.safetensors      the parameters to translate with (the moving average, if there is one)
                       optimizer.safetensors  the optimiser's moments, the random state, the trained parameters
                       process_R.safetensors  parameters and moments of another process (`training.outer_every`)
                       state.json             where training stands, its settings, and the checksums of all these and
                                              of the subword models
    checkpoints/best -> step_N

A checkpoint appears under its name only when all of it is on the disk, and loses its name before any of it goes. Names
that begin with a dot do not count: a process that was killed left them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from nmt.files import write_text
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.files import MODEL_FILE, ModelError
from nmt.model_folder.header import check_size, sizes_as_metadata
from nmt.model_folder.weights import assign_parameters, parameters_of, read_tensors, write_tensors
from nmt.reading import read_regular, sha256
from nmt.training import TrainingError
from nmt.training.optimizer import ParameterAverage, optimizer_tensors, restore_optimizer
from nmt.training.state import TrainingState

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"
PROCESS_FILE = "process_{}.safetensors"
RANDOM_STATE = "random_state"
CUDA_RANDOM_STATE = "cuda_random_state"
BEST = "best"


class Checkpoints:
    """The checkpoints of one model folder. Only one process may write them at a time.

    Args:
        folder: The model folder.
        keep: How many of the latest to keep, beside the best.
        subwords: The subword models that are trained with, by file name; of those that are saved.
    """

    def __init__(self, folder: Path, keep: int = 1, subwords: Mapping[str, bytes] | None = None) -> None:
        self.folder = folder / "checkpoints"
        self.keep = keep
        self.subwords = {name: hashlib.sha256(content).hexdigest() for name, content in (subwords or {}).items()}

    def path(self, step: int) -> Path:
        """Name the checkpoint of a step."""
        return self.folder / f"step_{step}"

    def steps(self) -> list[int]:
        """List the steps that have a checkpoint, ascending."""
        names = (path.name.removeprefix("step_") for path in self.folder.glob("step_*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())

    def save(
        self,
        model: Seq2Seq,
        optimizer: torch.optim.Optimizer,
        average: ParameterAverage,
        state: TrainingState,
        more: Mapping[str, Tensor] = MappingProxyType({}),
        others: Iterable[Mapping[str, Tensor]] = (),
    ) -> None:
        """Write the checkpoint of `state.step`, point `best` to the best one, and remove those no longer kept.

        Args:
            model: The network, holding the trained parameters.
            optimizer: Its optimiser.
            average: The moving average of its parameters.
            state: Where training stands.
            more: Other tensors to keep.
            others: What other processes have for themselves, by rank from 1 on.

        Raises:
            OSError: If the folder cannot be written; the other checkpoints are as they were.
        """
        self.remove_leftovers()
        final = self.path(state.step)
        if final.exists() and self._outer_step_of(state.step) == state.outer_step:
            # A run stopped here: the tensors are the same, but the state may say more.
            _write_state(final, state, self.subwords)
        else:
            temporary = self._temporary(final)
            try:
                self._write(temporary, model, optimizer, average, state, more, others)
                if final.exists():
                    self._remove(state.step)
                temporary.rename(final)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)  # a full disk needs the room
                raise
            _flush(self.folder)
        self.point_to_best(state)
        latest = self.steps()[-self.keep :]
        # If the latest is damaged and removed, training goes on from the one before, and needs its best checkpoint.
        kept = {*latest, *(self._best_of(step) for step in latest), state.best_step}
        for step in self.steps():
            if step not in kept:
                self._remove(step)

    def _remove(self, step: int) -> None:
        doomed = self._temporary(self.path(step)).with_suffix(".removed.tmp")
        self.path(step).rename(doomed)
        shutil.rmtree(doomed)

    def _outer_step_of(self, step: int) -> int | None:
        try:
            return self.read_state(step)[0].outer_step
        except (TrainingError, OSError):
            return None

    def point_to_best(self, state: TrainingState) -> None:
        """Make `best` name the best checkpoint, if there is one yet."""
        if state.best_step is not None:
            link = self._temporary(self.folder / BEST)
            link.symlink_to(self.path(state.best_step).name)
            link.replace(self.folder / BEST)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left half done."""
        for path in self.folder.glob(".*.tmp"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _best_of(self, step: int) -> int | None:
        """Which checkpoint was the best at a step; None if that is not known: nobody can go on from a damaged one."""
        try:
            return self.read_state(step)[0].best_step
        except (TrainingError, OSError):
            return None

    def is_readable(self, step: int) -> bool:
        """Whether the parameters of a checkpoint are whole."""
        try:
            path, checksums = self.path(step) / MODEL_FILE, self.read_state(step)[1]
            check_size(path)
            return sha256(path) == checksums.get(MODEL_FILE)
        except (TrainingError, ModelError, OSError):
            return False

    def latest_state(self) -> TrainingState | None:
        """Read where the latest checkpoint stands; None if there is none.

        Raises:
            TrainingError: If it is damaged.
        """
        steps = self.steps()
        return self.read_state(steps[-1])[0] if steps else None

    def read_state(self, step: int) -> tuple[TrainingState, dict[str, str]]:
        """Read where the checkpoint of a step stands.

        Returns:
            The state, and the checksums of the other files by name.

        Raises:
            TrainingError: If it is missing or damaged.
        """
        path = self.path(step) / STATE_FILE
        try:
            content = json.loads(read_regular(path))
        except OSError as error:
            raise self._damaged(step, f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError):  # JSON and UTF-8 errors alike
            raise self._damaged(step, f"{path}: damaged: not a JSON file") from None
        content = content if isinstance(content, dict) else {}
        checksums, state = content.get("checksums"), content.get("state")
        if not isinstance(checksums, dict) or checksums.get(STATE_FILE) != _checksum_of_state(state):
            raise self._damaged(step, f"{path}: damaged: its checksum is wrong")
        try:
            found = TrainingState.model_validate(state)
        except ValidationError as error:
            raise self._damaged(step, f"{path}: damaged: {error.errors()[0]['msg']}") from None
        if found.step != step:
            raise self._damaged(step, f"{path}: damaged: is of step {found.step}")
        return found, checksums

    def tensors(self, step: int, *names: str) -> list[tuple[dict[str, Tensor], dict[str, str]]]:
        """Read some of a checkpoint's files of tensors, each after a look at its checksum.

        Args:
            step: Which checkpoint.
            names: MODEL_FILE, OPTIMIZER_FILE, PROCESS_FILE of a number; none for all that there are.

        Returns:
            The tensors by name, and the metadata, of each file.

        Raises:
            TrainingError: If a file is missing or damaged; it is named.
        """
        _, checksums = self.read_state(step)
        names = names or tuple(sorted(name for name in checksums if name.endswith(".safetensors")))
        return [self._checked_tensors(step, self.path(step) / name, checksums.get(name)) for name in names]

    def _checked_tensors(self, step: int, path: Path, checksum: str | None) -> tuple[dict[str, Tensor], dict[str, str]]:
        try:
            check_size(path)
            if sha256(path) != checksum:
                raise self._damaged(step, f"{path}: damaged: its checksum is wrong")
            return read_tensors(path)
        except OSError as error:
            raise self._damaged(step, f"{path}: {error.strerror}") from None
        except ModelError as error:
            raise self._damaged(step, str(error)) from None

    def _damaged(self, step: int, problem: str) -> TrainingError:
        """Say what is wrong with a checkpoint, and what to do."""
        before = [other for other in self.steps() if other < step]
        advice = "this checkpoint to go on from the one before" if before else f"{self.folder} to begin anew"
        return TrainingError(f"{problem}; remove {advice}")

    def restore(self, step: int, model: Seq2Seq, optimizer: torch.optim.Optimizer, average: ParameterAverage) -> None:
        """Put network, optimiser, average and torch's random state back to a checkpoint.

        Args:
            step: Its step.
            model: The network; changed in place, like the two that follow.
            optimizer: Its optimiser.
            average: The moving average of its parameters.

        Raises:
            TrainingError: If the checkpoint is damaged or does not fit, or was trained with other subword models.
        """
        _, checksums = self.read_state(step)
        for name, digest in self.subwords.items():
            if checksums.get(name, digest) != digest:  # one of an earlier version knows none
                raise TrainingError(
                    f"{self.folder.parent / name}: damaged, or another than {self.path(step)} was trained with; "
                    "set another `folder`"
                )
        (averaged, _), (rest, _) = self.tensors(step, MODEL_FILE, OPTIMIZER_FILE)
        path = self.path(step) / OPTIMIZER_FILE
        trained = {name.removeprefix("parameter."): rest[name] for name in rest if name.startswith("parameter.")}
        try:
            assign_parameters(model, trained or averaged, path)
        except ModelError as error:
            raise TrainingError(str(error)) from None
        if step:  # before the first, the optimiser has no state
            restore_optimizer(optimizer, model, rest)
        if RANDOM_STATE not in rest:
            raise TrainingError(f"{path}: {RANDOM_STATE} is missing")
        if average.averages:
            _copy_all(average.averages, averaged)
        torch.set_rng_state(rest[RANDOM_STATE])
        if model.device.type == "cuda" and CUDA_RANDOM_STATE in rest:  # else it was trained on the CPU so far
            torch.cuda.set_rng_state(rest[CUDA_RANDOM_STATE], model.device)

    def load_parameters(self, step: int, model: Seq2Seq) -> None:
        """Put the parameters of a checkpoint, those to translate with, into a network.

        Raises:
            TrainingError: If it is missing or damaged.
        """
        [(tensors, _)] = self.tensors(step, MODEL_FILE)
        try:
            assign_parameters(model, tensors, self.path(step) / MODEL_FILE)
        except ModelError as error:
            raise TrainingError(str(error)) from None

    def _write(
        self,
        folder: Path,
        model: Seq2Seq,
        optimizer: torch.optim.Optimizer,
        average: ParameterAverage,
        state: TrainingState,
        more: Mapping[str, Tensor],
        others: Iterable[Mapping[str, Tensor]],
    ) -> None:
        folder.mkdir(parents=True)
        trained = parameters_of(model)
        rest = {**optimizer_tensors(optimizer, model), **more}
        rest[RANDOM_STATE] = torch.get_rng_state()
        if model.device.type == "cuda":
            rest[CUDA_RANDOM_STATE] = torch.cuda.get_rng_state(model.device)
        rest |= {f"parameter.{name}": tensor for name, tensor in trained.items() if average.averages}
        write_tensors(folder / MODEL_FILE, average.averages or trained, sizes_as_metadata(model.vocabulary_sizes))
        write_tensors(folder / OPTIMIZER_FILE, rest)
        for rank, tensors in enumerate(others, 1):
            write_tensors(folder / PROCESS_FILE.format(rank), tensors)
        _write_state(folder, state, self.subwords)
        _flush(folder)

    @staticmethod
    def _temporary(path: Path) -> Path:
        return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _write_state(folder: Path, state: TrainingState, subwords: Mapping[str, str]) -> None:
    """Write state.json, whole, beside the files of tensors; `subwords` are checksums by file name."""
    content = state.model_dump(mode="json")
    checksums = {**subwords, **{path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))}}
    checksums[STATE_FILE] = _checksum_of_state(content)
    write_text(folder / STATE_FILE, json.dumps({"checksums": checksums, "state": content}, indent=2) + "\n")


def _checksum_of_state(content: Any) -> str:
    """Sum up the state as it stands in the file, however it is laid out there."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
