"""The optimiser, gradient scaling and clipping, and the moving average of the parameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nmt.config import TrainingConfig
from nmt.model_folder.weights import parameters_of
from nmt.training import TrainingError
from nmt.training.state import TrainingState

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_GROW_AFTER = 2000  # steps without an overflow
_LARGEST = 2.0**24


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Build the optimiser that a config names, over all parameters of a network; only matrices decay.

    Args:
        model: The network.
        config: Its `optimizer`, `adam_betas` and `weight_decay` are used; the learning rate is set at every step.

    Returns:
        The optimiser.

    Source: Kingma & Ba 2015; Loshchilov & Hutter 2019 (adamw).
    """
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    parameters = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [each for each in parameters if each.dim() > 1]},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return _without_compiler(kind)(
        groups,
        lr=config.learning_rate,
        betas=config.adam_betas,
        eps=1e-9,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _without_compiler(kind: type[torch.optim.Adam]) -> type[torch.optim.Adam]:
    """Make the same of methods that do not load torch's compiler, 70 MiB and a second, only to keep it out of them."""
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad")}
    bare["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), bare)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Name the optimiser's state: `exp_avg.PARAMETER` and so on; empty before the first step."""
    return {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in parameters_of(model).items()
        if parameter in optimizer.state
        for moment in MOMENTS
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` named.

    Args:
        optimizer: Over the parameters of `model`; changed in place.
        model: The network.
        tensors: The state by name; other names are ignored.

    Raises:
        TrainingError: If a tensor is missing or has another shape.
    """
    for name, parameter in parameters_of(model).items():
        state = {}
        for moment in MOMENTS:
            tensor = tensors.get(f"{moment}.{name}")
            expected = list(parameter.shape) if moment != "step" else []
            if tensor is None or list(tensor.shape) != expected:
                got = "nothing" if tensor is None else list(tensor.shape)
                raise TrainingError(f"optimiser state {moment}.{name}: expected {expected}, got {got}")
            state[moment] = tensor.to(parameter.device, copy=True)  # wherever it was trained before
        optimizer.state[parameter] = state


def no_moments(model: nn.Module) -> dict[str, Tensor]:
    """Make the state that an optimiser has before its first step, as `optimizer_tensors` names it."""
    return {
        f"{moment}.{name}": parameter.new_zeros(() if moment == "step" else parameter.shape)
        for name, parameter in parameters_of(model).items()
        for moment in MOMENTS
    }


class GradientClipper:
    """Clips gradients by their global norm, and refuses steps whose norm is not finite.

    Args:
        model: The network whose gradients are clipped.
        max_norm: The largest norm let through.
        patience: Refused steps in a row after which training fails.

    Source: Pascanu et al. 2013.
    """

    def __init__(self, model: nn.Module, max_norm: float, patience: int = 5) -> None:
        self.parameters = list(model.parameters())
        self.max_norm = max_norm
        self.patience = patience
        self.skipped = 0
        """Steps refused so far."""
        self.in_a_row = 0
        """Those among the latest steps."""

    def clip(self, *, forgive: bool = False) -> float | None:
        """Clip the gradients in place.

        Args:
            forgive: Do not count a refused step among those in a row: its cause is known, and will be gone.

        Returns:
            Their norm before clipping; None if it is not finite and the step must be left out.

        Raises:
            TrainingError: If that happens too often in a row.
        """
        norm = nn.utils.clip_grad_norm_(self.parameters, self.max_norm).item()
        if math.isfinite(norm):
            self.in_a_row = 0
            return norm
        self.skipped += 1
        if forgive:
            return None
        self.in_a_row += 1
        if self.in_a_row >= self.patience:
            raise TrainingError(
                f"gradients were not finite {self.patience} steps in a row; lower training.learning_rate or clip_norm "
                "to go on from the last checkpoint"
            )
        return None


class LossScale:
    """What the loss is multiplied by before backward, and the gradients divided by: float16 has no small numbers.

    The factor, kept in the training's state, falls when gradients overflow, and the step is left out; it rises when
    none did for long. It stays 1 for other types than float16.

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


class ParameterAverage:
    """Exponential moving average of a network's parameters.

    The decay starts small, min(decay, (1 + n) / (10 + n)) at update n, so that the average forgets the initial weights.

    Args:
        model: The network that is trained.
        decay: Share of the old average kept at an update; 0 makes the average the parameters themselves.

    Source: Polyak & Juditsky 1992; the early decay is TensorFlow's ExponentialMovingAverage(num_updates).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.averages = {name: p.detach().clone() for name, p in parameters_of(model).items()} if decay else {}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take the parameters in, after an optimiser's step; `updates` is the number of steps before it."""
        weight = 1.0 - min(self.decay, (1 + updates) / (10 + updates))
        if self.averages:
            parameters = parameters_of(self.model)
            torch._foreach_lerp_([*self.averages.values()], [parameters[name] for name in self.averages], weight)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the network hold the averages for as long as the context lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        if self.averages:
            for name, parameter in parameters_of(self.model).items():
                parameter.data, self.averages[name] = self.averages[name], parameter.data
