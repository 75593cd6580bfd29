"""`nmt train`: prepared data to a model folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nmt.config_file import load_config
from nmt.data.batching import validation_batches
from nmt.data.preparation.manifest import input_files, require_files
from nmt.experiment import add_shortlist, prepared_data, training_batches, validation_bleu
from nmt.lock import locked
from nmt.model_folder.shortlist import has_shortlist
from nmt.terminal import tell
from nmt.training.checkpoint import Checkpoints
from nmt.training.finish import check_no_model
from nmt.training.start import copy_parameters
from nmt.training.trainer import build_model, train


def run(path: Path, overrides: Sequence[str]) -> bool:
    """Train the model of a config file.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.

    Returns:
        False if the user interrupted it.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError, ModelError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        TrainingError: Training cannot start or go on.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    require_files(input_files(config))  # text that is missing is found before anything is written
    with locked(config.folder):
        if not Checkpoints(config.folder).steps():
            check_no_model(config)  # before the data is prepared
        data = prepared_data(config)
        model = build_model(config, data.source_subwords.size, data.target_subwords.size)
        if config.start_from is not None and not Checkpoints(config.folder).steps():
            copy_parameters(config.start_from, model)
        result = train(
            config,
            model,
            training_batches(config, data),
            validation_batches(data.valid, config.training.batch_tokens),
            validate=validation_bleu(config, data),
            counts=data.counts,
            subwords=data.subword_contents(config),
        )
        if result.status != "interrupted" and not has_shortlist(config.folder):
            sizes = data.source_subwords.size, data.target_subwords.size
            add_shortlist(config.folder, data.train, sizes)
    if result.status in ("interrupted", "already finished"):  # otherwise the trainer has said it
        tell("nmt train", result.message)
    if result.status == "interrupted":
        options = [part for override in overrides for part in ("--set", override)]
        tell("nmt train", f"to go on: {shlex.join(['nmt', 'train', str(path), *options])}")
    return result.status != "interrupted"
