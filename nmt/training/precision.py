"""`training.precision`: what a network computes in while it is trained."""

from __future__ import annotations

from typing import Final

import torch

from nmt.config import Config, Precision
from nmt.model.recurrent import fastest
from nmt.training.checkpoint import Checkpoints
from nmt.training.processes import Processes

LOWER: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types of mixed precision by the name in `training.precision`."""


def mixed(device: torch.device, precision: Precision) -> torch.autocast:
    """Make the context in which a network computes in a precision.

    Args:
        device: Where the network is.
        precision: As `training.precision`; "auto" is chosen anew at every call.
    """
    lower = LOWER.get(_pinned(device, precision))
    return torch.autocast(device.type, lower, enabled=lower is not None)


def with_precision(config: Config, device: torch.device, processes: Processes) -> Config:
    """Choose what `training.precision` leaves open: what it was when training in this folder began, for all processes.

    Args:
        config: The settings.
        device: Where the network is.
        processes: Those that train together; all call this, with the same settings.

    Returns:
        The settings, with a precision that is not "auto".

    Raises:
        TrainingError: The checkpoint to go on from is damaged.
    """
    if config.training.precision != "auto":
        return config

    def choose() -> str:
        before = Checkpoints(config.folder).latest_state()
        return _pinned(device, "auto" if before is None else before.config.training.precision)

    training = config.training.model_copy(update={"precision": processes.from_first(choose)})
    return config.model_copy(update={"training": training})


def _pinned(device: torch.device, precision: Precision) -> Precision:
    if precision != "auto":
        return precision
    return "bfloat16" if fastest(device) == torch.bfloat16 else "float32"
