"""Gradient scaling: float16 has no small numbers, so the loss is multiplied before backward, and the gradients divided.

The factor falls when gradients overflow, and the step is left out; it rises again when none did for long.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.training.state import TrainingState

_GROW_AFTER = 2000  # steps without an overflow
_LARGEST = 2.0**24


class LossScale:
    """The factor of a training run, kept in its state; a factor that stays 1 for other types than float16.

    Args:
        enabled: Whether there is one.

    Source: Micikevicius et al. 2018, section 3.2.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def scaled(self, loss: Tensor, state: TrainingState) -> Tensor:
        """Multiply a loss."""
        return loss * state.loss_scale if self.enabled else loss

    @torch.no_grad()
    def unscale(self, parameters: Iterable[nn.Parameter], state: TrainingState) -> None:
        """Divide the gradients."""
        if self.enabled:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            torch._foreach_mul_(gradients, 1.0 / state.loss_scale)

    def can_fall(self, state: TrainingState) -> bool:
        """Whether an overflow may be the factor's fault, so that it says nothing about the training."""
        return self.enabled and state.loss_scale > 1.0

    def update(self, state: TrainingState, *, finite: bool) -> None:
        """Take in whether the gradients of a step were finite."""
        if not self.enabled:
            return
        if not finite:
            state.loss_scale, state.loss_scale_steps = max(1.0, state.loss_scale / 2), 0
            return
        state.loss_scale_steps += 1
        if state.loss_scale_steps >= _GROW_AFTER:
            state.loss_scale, state.loss_scale_steps = min(_LARGEST, 2 * state.loss_scale), 0
