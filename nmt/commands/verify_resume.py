"""`nmt train --verify-resume`: the proof, on the user's own settings and machine, that stopping changes nothing.

A short training runs twice: straight through, and killed on the way and continued, by processes of their own. Then all
that they wrote is compared bit for bit.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

from nmt.commands.trials import run_trial
from nmt.config import Config
from nmt.config_file import load_config, read_config, save_config
from nmt.data.batching import ALL, Batch, Share, validation_batches
from nmt.data.preparation.prepare import PreparedData
from nmt.experiment import prepared_data, training_batches, validation_bleu
from nmt.lock import locked
from nmt.model.device import use_device
from nmt.model_folder.files import MODEL_FILE
from nmt.model_folder.scores import ScoresFile
from nmt.model_folder.weights import read_tensors
from nmt.terminal import tell
from nmt.training import TrainingError
from nmt.training.checkpoint import Checkpoints
from nmt.training.device_memory import memory_of
from nmt.training.microbatching import memory_limit
from nmt.training.trainer import BatchSource, build_model, train

STEPS, CHECKPOINT_EVERY, VALIDATE_EVERY, KILL_AFTER = 12, 4, 6, 10
"""The trial: it is killed in its 11th step, and goes on from the checkpoint of the 8th."""
_VALIDATION_BATCHES, _VALIDATION_LINES = 4, 20
_SHOWN = 12
"""Differences that are told one by one."""
_FREE = {"seconds", "config", "batch_memory"}
"""Parts of the state that may differ: the time taken, the settings with the name of the folder, what was available."""
_TIMES = {"time", "seconds", "tokens_per_second"}
"""Parts of a row of scores that may differ."""


def run(path: Path, overrides: Sequence[str]) -> None:
    """Compare a training that was killed and continued with one that was not; prints what was compared and the verdict.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        TrainingError: The two differ, or cannot be trained.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    with locked(config.folder):
        prepared_data(config)
    if config.training.max_minutes is not None:
        _say("training.max_minutes is left out: it ties the learning rate to the clock, which no two runs share")
    trials = Path(tempfile.mkdtemp(prefix=".verify_resume.", dir=config.folder))
    try:
        original = trials / "config.json"
        # One limit for all trials, whatever memory other processes take meanwhile.
        limit = memory_limit(config.training, memory_of(use_device(config.training.device))) or "auto"
        training = config.training.model_copy(update={"batch_memory": limit})
        save_config(config.model_copy(update={"training": training}), original)
        straight, stopped = trials / "straight", trials / "stopped"
        _say(f"training {STEPS} steps without a stop")
        _run_trial(original, straight)
        _say(f"training again, killed after step {KILL_AFTER}")
        _run_trial(original, stopped, kill_after=KILL_AFTER)
        _say("going on from the last checkpoint")
        _run_trial(original, stopped)
        compared, differences = compare(straight, stopped)
    finally:
        shutil.rmtree(trials)
    for line in compared:
        typer.echo(line)
    if differences:
        shown = differences[:_SHOWN] + [f"and {len(differences) - _SHOWN} more"] * (len(differences) > _SHOWN)
        raise TrainingError("\n".join(["stopping and going on changes the result:", *shown]))
    typer.echo("bit-equal")


def _say(message: str) -> None:
    tell("nmt train --verify-resume", message)


def _run_trial(original: Path, folder: Path, kill_after: int = 0) -> None:
    """Run a trial in a process of its own; with `kill_after`, it must end by being killed."""
    expected = -signal.SIGKILL if kill_after else 0
    run_trial("nmt.commands.verify_resume", str(original), str(folder), str(kill_after), expected=expected)


def trial_config(config: Config, folder: Path) -> Config:
    """Make the settings of a trial: those of the user, only shorter."""
    changes = {"epochs": 1_000_000, "max_steps": STEPS, "max_minutes": None, "patience": 1000, "tensorboard": False}
    changes |= {"validate_every": VALIDATE_EVERY, "checkpoint_every": CHECKPOINT_EVERY, "keep_checkpoints": STEPS}
    training = config.training.model_copy(update=changes)
    return config.model_copy(update={"folder": folder, "training": training})


def trial(original: Path, folder: Path, kill_after: int) -> None:
    """Train for a few steps, or go on; the process kills itself after step `kill_after`, unless that is 0."""
    config = read_config(original)
    data = PreparedData.open(config)
    batches: BatchSource = training_batches(config, data)
    if kill_after:
        batches = _Killing(batches, kill_after * config.training.accumulate)
    train(
        trial_config(config, folder),
        build_model(config, data.source_subwords.size, data.target_subwords.size),
        batches,
        validation_batches(data.valid, config.training.batch_tokens)[:_VALIDATION_BATCHES],
        validate=validation_bleu(config, data, _VALIDATION_LINES),
        subwords=data.subword_contents(config),
    )


class _Killing:
    """Batches that end the process, as a power cut would, when it asks for one too many."""

    def __init__(self, batches: BatchSource, count: int) -> None:
        self._batches, self._left = batches, count

    def number_of_batches(self, epoch: int) -> int:
        return self._batches.number_of_batches(epoch)

    def batches(self, epoch: int, start: int = 0, share: Share = ALL) -> Iterator[Batch]:
        for batch in self._batches.batches(epoch, start, share):
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            yield batch


def compare(straight: Path, stopped: Path) -> tuple[list[str], list[str]]:
    """Compare what two trainings wrote.

    Args:
        straight: The folder of the one.
        stopped: The folder of the other.

    Returns:
        What was compared, and what differs: a line each.

    Raises:
        TrainingError: A checkpoint is damaged.
    """
    one, other = Checkpoints(straight), Checkpoints(stopped)
    compared, differences = [], []
    if one.steps() != other.steps():
        differences.append(f"checkpoints: {one.steps()} and {other.steps()}")
    for step in sorted({*one.steps()} & {*other.steps()}):
        files = [c.tensors(step) for c in (one, other)]
        tensors = [
            {f"{number} {name}": each for number, (part, _) in enumerate(parts) for name, each in part.items()}
            for parts in files
        ]
        compared.append(f"checkpoint of step {step}: {len(tensors[0])} tensors of parameters, optimiser and randomness")
        differences += [f"step {step}: {line}" for line in different_tensors(*tensors)]
        states = [c.read_state(step)[0].model_dump(exclude=_FREE) for c in (one, other)]
        differences += [f"step {step}: state: {line}" for line in _different_values(*states)]
    models = [read_tensors(folder / MODEL_FILE)[0] for folder in (straight, stopped)]
    compared.append(f"{MODEL_FILE}: {len(models[0])} tensors")
    differences += [f"{MODEL_FILE}: {line}" for line in different_tensors(*models)]
    rows = [ScoresFile(folder).validations() for folder in (straight, stopped)]
    compared.append(f"scores.jsonl: {len(rows[0])} validations, without their times")
    if len(rows[0]) != len(rows[1]):
        differences.append(f"scores.jsonl: {len(rows[0])} and {len(rows[1])} validations")
    for first, second in zip(*rows, strict=False):
        plain = [{key: value for key, value in row.items() if key not in _TIMES} for row in (first, second)]
        differences += [f"scores.jsonl: step {first['step']}: {line}" for line in _different_values(*plain)]
    return compared, differences


def different_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Describe the tensors, by name, that are not the same bit for bit."""
    lines = [f"{name}: only in one of the two" for name in sorted(one.keys() ^ other.keys())]
    for name in sorted(one.keys() & other.keys()):
        first, second = one[name], other[name]
        if first.shape != second.shape or first.dtype != second.dtype:
            lines.append(f"{name}: {list(first.shape)} {first.dtype} and {list(second.shape)} {second.dtype}")
            continue
        different = _bits(first) != _bits(second)  # [number of values, bytes of a value]
        count = int(different.any(1).sum())
        if count:
            largest = (first.double() - second.double()).abs().max().item()
            lines.append(f"{name}: {count} of {first.numel()} values differ, by up to {largest:.3g}")
    return lines


def _bits(tensor: Tensor) -> Tensor:
    """Take a tensor as bytes: equal numbers may differ in the sign of zero, and what is no number equals nothing."""
    return tensor.contiguous().reshape(-1, 1).view(torch.uint8)


def _different_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {json.dumps(one.get(key), default=str)} and {json.dumps(other.get(key), default=str)}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    ]


if __name__ == "__main__":
    trial(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
