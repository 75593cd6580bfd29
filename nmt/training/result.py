"""How a training ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["finished", "stopped early", "interrupted", "already finished"]


@dataclass(frozen=True)
class TrainingResult:
    """How training ended."""

    status: Status
    """Why."""
    message: str
    """The same in a line for the user."""
    steps: int
    """Steps done, over all runs."""
    epochs: int
    """Epochs finished."""
    best_step: int | None
    """Step of the best checkpoint."""
    best_score: float | None
    """Its score by `training.early_stopping_metric`."""
    seconds: float
    """Training time over all runs."""
