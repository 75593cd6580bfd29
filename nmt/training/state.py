"""Where training stands: all that a checkpoint keeps beside tensors."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from nmt.config import Config
from nmt.config_file import with_present_names
from nmt.training import TrainingError


class TrainingState(BaseModel):
    """Where training stands."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, use_attribute_docstrings=True)

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
    recent_nll: float = 0.0
    """Negative log-likelihood of the target tokens trained on since the last validation, summed, in nats."""
    recent_tokens: int = 0
    """Their number."""
    skipped: int = 0
    """Steps left out because gradients were not finite."""
    skipped_in_a_row: int = 0
    """Those among the latest steps."""
    best_step: int | None = None
    """Step of the best checkpoint."""
    best_score: float | None = None
    """The highest BLEU so far, or the lowest loss: the best checkpoint's, or another's by chance."""
    since_best: int = 0
    """Validations since that score."""
    best_scores: dict[str, float] = {}
    """All numbers of the best checkpoint's validation by name."""
    reductions: int = 0
    """How often the schedule `plateau` has lowered the learning rate."""
    since_reduction: int = 0
    """Validations without improvement since then."""
    validated_step: int = -1
    """Step of the last validation."""
    loss_scale: float = 65536.0
    """What the loss is multiplied by with `training.precision` float16."""
    loss_scale_steps: int = 0
    """Steps since gradients last overflowed with it."""
    outer_processes: int = 0
    """Processes that have parameters and moments of their own (`training.outer_every`)."""
    outer_step: int = 0
    """Step of the last outer step."""
    batch_memory: int | None = None
    """Bytes that a batch may need (`training.batch_memory`)."""
    config: Annotated[Config, BeforeValidator(with_present_names)]
    """The settings."""


FREE_DATA = {"source_language", "target_language", "train", "valid", "test", "corpora"}
"""Names and places of the text may change; that its content is still the same is for the prepared data to say."""


def check_same_training(before: Config, now: Config, what: str = "checkpoint") -> None:
    """Make sure that a checkpoint may be continued under these settings.

    Network, data and what gives the data cursor its meaning must be the same; the rest, such as the number of epochs,
    may change.

    Args:
        before: The checkpoint's settings.
        now: The present ones.
        what: Of what the earlier ones are, for messages.

    Raises:
        TrainingError: If they differ; names the key, both values and what to do.
    """
    fixed = {f"model.{key}" for key in type(now.model).model_fields if key != "memory"}  # the bits are the same
    fixed |= {f"data.{key}" for key in type(now.data).model_fields if key not in FREE_DATA}
    fixed |= {"training.batch_tokens", "training.seed", "training.optimizer", "training.early_stopping_metric"}
    for key in sorted(fixed):
        section, name = key.split(".")
        old, new = getattr(getattr(before, section), name), getattr(getattr(now, section), name)
        if old != new:
            raise TrainingError(
                f"{key}: the {what} in {now.folder} was trained with {old}, the config says {new}; "
                "set it back, or choose another folder"
            )
    weights = [[(each.direction, each.weight) for each in config.data.corpora] for config in (before, now)]
    if weights[0] != weights[1]:
        old, new = ("; ".join(f"{name} {weight:g}" for name, weight in each) or "none" for each in weights)
        raise TrainingError(
            f"data.corpora: the {what} in {now.folder} was trained with (languages and weights) {old}, the config says "
            f"{new}; set it back, or choose another folder"
        )
    if before.start_from != now.start_from:
        raise TrainingError(
            f"start_from: the {what} in {now.folder} was trained from {before.start_from or 'random parameters'}, the "
            f"settings say {now.start_from or 'nothing'}; set it back, or choose another folder"
        )
    if bool(before.training.ema_decay) != bool(now.training.ema_decay):
        raise TrainingError(
            f"training.ema_decay: the {what} in {now.folder} was trained with {before.training.ema_decay}, the "
            f"config says {now.training.ema_decay}; it cannot be turned on or off on the way"
        )
