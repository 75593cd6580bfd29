"""The end of training: the model folder."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping

from nmt.config import Config
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.card import ModelCard
from nmt.model_folder.files import MODEL_FILE
from nmt.model_folder.scores import ScoresFile
from nmt.model_folder.weights import save_model
from nmt.training.checkpoint import Checkpoints
from nmt.training.curves import CURVES_FILE, draw_curves
from nmt.training.state import TrainingState
from nmt.values import duration


def is_written(config: Config, checkpoints: Checkpoints, state: TrainingState) -> bool:
    """Tell whether the model in the folder is the best one, and not missing or that of a shorter training."""
    if state.best_step is None:
        return False
    best, model = checkpoints.path(state.best_step) / MODEL_FILE, config.folder / MODEL_FILE
    return best.is_file() and model.is_file() and filecmp.cmp(best, model, shallow=False)


def write_model(
    config: Config, model: Seq2Seq, checkpoints: Checkpoints, state: TrainingState, counts: Mapping[str, int]
) -> None:
    """Write all that a finished model has; its parameters come last, as a sign that nothing is missing.

    Args:
        config: The settings.
        model: The network; its parameters become those of the best checkpoint.
        checkpoints: Where that is.
        state: Where training stands; it has a best step.
        counts: What the card tells about the training data.

    Raises:
        TrainingError: The best checkpoint is missing or damaged.
        OSError: The folder cannot be written.
    """
    draw_curves(ScoresFile(config.folder).validations(), config.folder / CURVES_FILE)
    checkpoints.load_parameters(state.best_step or state.step, model)
    scores = {f"validation {name}": f"{value:.4f}" for name, value in state.best_scores.items()}
    told = {**counts, "steps": state.step, "target tokens seen": state.target_tokens}
    notes = f"Trained in {duration(state.seconds)}; these are the parameters of step {state.best_step}."
    save_model(config.folder, config, model.eval(), model.vocabulary_sizes, ModelCard(told, scores, notes))
