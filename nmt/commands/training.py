"""Training the model of settings, for the commands that do."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from contextlib import nullcontext

from nmt.config import Config
from nmt.data.batching import validation_batches
from nmt.data.preparation.manifest import data_folder, read_manifest
from nmt.data.preparation.prepare import PreparedData
from nmt.experiment import add_shortlist, prepared_data, training_batches, validation_bleu
from nmt.lock import locked
from nmt.model.device import release_memory
from nmt.model_folder.shortlist import has_shortlist
from nmt.process import map_large_blocks
from nmt.terminal import tell
from nmt.training import TrainingError
from nmt.training.checkpoint import Checkpoints
from nmt.training.finish import check_model_before, check_no_model
from nmt.training.processes import Processes
from nmt.training.result import TrainingResult
from nmt.training.start import copy_parameters
from nmt.training.state import check_same_training
from nmt.training.trainer import build_model, train


def train_model(config: Config, command: Sequence[str], processes: Processes | None = None) -> TrainingResult:
    """Prepare the data if need be, and train, or go on where training stopped.

    Args:
        config: The settings.
        command: The words by which a user goes on after an interruption.
        processes: Those that train together; all call this with the same arguments. None: this one alone.

    Returns:
        How it ended.

    Raises:
        CorpusError, ModelError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        TrainingError: Training cannot start or go on.
        OSError: A file cannot be read or written.
    """
    processes = processes or Processes()
    map_large_blocks()
    with locked(config.folder) if processes.first else nullcontext():
        data = _data(config, processes)
        model = build_model(config, data.source_subwords.size, data.target_subwords.size)
        if processes.first and config.start_from is not None and not Checkpoints(config.folder).steps():
            copy_parameters(config.start_from, model)
        result = train(
            config,
            model,
            training_batches(config, data),
            validation_batches(data.valid, config.training.batch_tokens),
            validate=validation_bleu(config, data),
            counts=data.counts,
            subwords=data.subword_contents(config),
            processes=processes,
        )
        if not processes.first:
            return result
        if result.status != "interrupted" and not has_shortlist(config.folder):
            del model
            release_memory()  # what training took serves this now
            sizes = data.source_subwords.size, data.target_subwords.size
            add_shortlist(config.folder, data.train, sizes)
    who = " ".join(command[:2])
    if result.status in ("interrupted", "already finished"):  # otherwise the trainer has said it
        tell(who, result.message)
    if result.status == "interrupted":
        tell(who, f"to go on: {shlex.join(command)}")
    return result


def check_trainable(config: Config) -> None:
    """Make sure that training may begin, or go on, before its text is made.

    Raises:
        TrainingError: The folder holds a training of other settings, or a model that would be overwritten.
    """
    before = Checkpoints(config.folder).latest_state()
    if before is None:
        check_no_model(config)
    else:
        check_same_training(before.config, config)
        check_model_before(config)


def _data(config: Config, processes: Processes) -> PreparedData:
    """Open the prepared data, which the first process prepares; the others may have it in a folder of their own."""
    if processes.first:
        if not Checkpoints(config.folder).steps():
            check_no_model(config)  # before the data is prepared
        data = prepared_data(config)
    processes.from_first(str)  # all wait until it is there
    if not processes.first:
        data = PreparedData.open(config)
    manifest = read_manifest(data_folder(config))
    written = json.dumps({} if manifest is None else manifest.outputs, sort_keys=True)
    digest = int.from_bytes(hashlib.sha256(written.encode()).digest()[:6], "little")
    for rank, (other, *_) in enumerate(processes.gather(digest).result()):
        if other != digest:
            raise TrainingError(
                f"{data_folder(config)}: process {processes.rank} has other prepared data here than process {rank}; "
                "share the folder between machines, or copy it after `nmt prepare`"
            )
    return data


def as_options(overrides: Sequence[str]) -> list[str]:
    """Write overrides as on the command line."""
    return [part for override in overrides for part in ("--set", override)]
