"""The end of training: the model folder."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping

from nmt.config import Config
from nmt.config_data import Section
from nmt.data.preparation.report import lines_are
from nmt.data.subwords import Subwords
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.card import ModelCard
from nmt.model_folder.digests import check_digests
from nmt.model_folder.files import MODEL_FILE, ModelError, read_settings, require_file
from nmt.model_folder.scores import ScoresFile
from nmt.model_folder.weights import save_model
from nmt.training import TrainingError
from nmt.training.checkpoint import Checkpoints
from nmt.training.curves import CURVES_FILE, draw_curves
from nmt.training.state import FREE_DATA, TrainingState, check_same_training
from nmt.values import duration

_WITHOUT_EFFECT_ON_THE_MODEL = {"threads", "device", "keep_checkpoints", "tensorboard", "batch_memory", "samples"}
_ENDS = {"epochs", "max_steps", "max_minutes", "patience"}


def found_subwords(config: Config) -> dict[str, bytes]:
    """Read the subword models that are in the folder, by file name."""
    names = [name for name in config.data.subword_files if (config.folder / name).exists()]
    return {name: Subwords.load(config.folder / name).serialized for name in names}


_DOUBT = 0.5
"""Nats per subword by which the model must be less sure of a translation than of the validation text to doubt it."""


def check_no_model(config: Config) -> None:
    """Make sure that a training that begins anew overwrites no model.

    Raises:
        TrainingError: The folder holds a finished model, but no checkpoint to go on from.
    """
    model = config.folder / MODEL_FILE
    if os.path.lexists(model):
        raise TrainingError(
            f"{model}: a finished model, which has no checkpoints to go on from and would be overwritten; "
            "set another `folder`, or remove the file to train anew"
        )


def check_model_before(config: Config) -> None:
    """Make sure that a training that goes on overwrites no model but its own.

    Raises:
        TrainingError: The folder holds a finished model of other settings.
    """
    try:
        settings = read_settings(config.folder)
    except ModelError:  # there is none, or nobody can use it
        return
    if os.path.lexists(config.folder / MODEL_FILE):
        check_same_training(settings, config, "finished model")


def is_written(config: Config, checkpoints: Checkpoints, state: TrainingState) -> bool:
    """Tell whether the model in the folder is the best one, and not missing, damaged or that of a shorter training."""
    if state.best_step is None:
        return False
    best, model = checkpoints.path(state.best_step) / MODEL_FILE, config.folder / MODEL_FILE
    try:
        require_file(model)
        check_digests(config.folder)
        read_settings(config.folder)
        return filecmp.cmp(best, model, shallow=False)
    except (ModelError, OSError):
        return False


def settings_after(stored: Config, now: Config) -> tuple[Config, list[str], list[str]]:
    """Tell what settings mean for a model whose training is over.

    Args:
        stored: The model's settings.
        now: Those of the command.

    Returns:
        The settings that the model should have; the keys in which they are new; and the keys that came too late, since
        they say how to train.
    """
    free = {name: getattr(now.data, name) for name in FREE_DATA}
    changes = {"folder": now.folder, "decoding": now.decoding, "data": stored.data.model_copy(update=free)}
    changes |= {"lines": now.lines or stored.lines}
    wanted = stored.model_copy(update=changes)  # the folder may have been moved since
    updated = [f"decoding.{key}" for key in _different(stored.decoding, now.decoding)]
    updated += ["lines"] if wanted.lines != stored.lines else []
    updated += [f"data.{key}" for key in _different(stored.data, wanted.data)]
    ignored = [*_WITHOUT_EFFECT_ON_THE_MODEL, *_ENDS]
    late = [f"training.{key}" for key in _different(stored.training, now.training) if key not in ignored]
    return wanted, updated, late


def _different(one: Section, other: Section) -> list[str]:
    return [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]


def write_model(
    config: Config,
    model: Seq2Seq,
    checkpoints: Checkpoints,
    state: TrainingState,
    counts: Mapping[str, int],
    subwords: Mapping[str, bytes],
) -> None:
    """Write all that a finished model has; its parameters come last, as a sign that nothing is missing.

    Args:
        config: The settings.
        model: The network; its parameters become those of the best checkpoint.
        checkpoints: Where that is.
        state: Where training stands; it has a best step.
        counts: What the card tells about the training data.
        subwords: The subword models by file name.

    Raises:
        TrainingError: The best checkpoint is missing or damaged.
        OSError: The folder cannot be written.
    """
    draw_curves(ScoresFile(config.folder).validations(), config.folder / CURVES_FILE)
    best = state.step if state.best_step is None else state.best_step
    checkpoints.load_parameters(best, model)
    scores = {f"validation {name}": f"{value:.4f}" for name, value in state.best_scores.items()}
    told = {**counts, "steps": state.step, "target tokens seen": state.target_tokens}
    notes = f"Trained in {duration(state.seconds)}; these are the parameters of step {best}."
    card = ModelCard(told, scores, notes)
    doubtful = config.doubtful
    if doubtful is None and "loss" in state.best_scores:
        doubtful = -(state.best_scores["loss"] + _DOUBT)
    resolved = config.model_copy(update={"lines": config.lines or lines_are(counts), "doubtful": doubtful})
    save_model(config.folder, resolved, model.eval(), model.vocabulary_sizes, card, subwords)
