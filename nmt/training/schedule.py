"""Learning-rate schedules: a linear warm-up, and then one of several ways down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from nmt.config import TrainingConfig

SCALINGS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}
"""Power of the batches of a step that the learning rate is multiplied by.

Source: Goyal et al. 2017 (linear, for SGD); Krizhevsky 2014, Malladi et al. 2022 (sqrt, for Adam).
"""


@dataclass(frozen=True)
class Schedule:
    """A pure function of how far training has come."""

    kind: str
    """A key of `SHAPES`."""
    peak: float
    """The highest learning rate."""
    warmup_steps: int
    """Steps until the warm-up is over."""
    total_steps: int
    """Steps after which training ends."""
    max_seconds: float | None = None
    """Seconds after which training ends, if that comes first."""
    decay_fraction: float = 0.4
    """Last share of training over which the rate falls; linear only."""
    factor: float = 0.5
    """What a reduction multiplies the rate by; plateau only."""

    @classmethod
    def from_config(cls, config: TrainingConfig, batches: int, group: int) -> Self:
        """Build the schedule of a config.

        Args:
            config: The settings.
            batches: Those of an epoch.
            group: Batches of an optimiser's step, over all processes.

        Returns:
            The schedule, which ends with the last epoch, `max_steps` or `max_minutes`.
        """
        steps = config.epochs * math.ceil(batches / group)
        added = config.accumulate if config.outer_every else group
        return cls(
            kind=config.schedule,
            peak=config.learning_rate * added ** SCALINGS[config.learning_rate_scaling],
            warmup_steps=config.warmup_steps,
            total_steps=steps if config.max_steps is None else min(steps, config.max_steps),
            max_seconds=None if config.max_minutes is None else 60.0 * config.max_minutes,
            decay_fraction=config.decay_fraction,
            factor=config.plateau_factor,
        )

    def progress(self, step: int, seconds: float) -> float:
        """Tell how much of training is done, 0..1, by steps or by time, whichever is further."""
        done = step / max(self.total_steps, 1)
        if self.max_seconds is not None:
            done = max(done, seconds / self.max_seconds)
        return min(done, 1.0)

    def learning_rate(self, step: int, seconds: float, reductions: int = 0) -> float:
        """Compute the learning rate of a step.

        Args:
            step: Steps done before it, from 0.
            seconds: Training time so far; matters only with `max_seconds`.
            reductions: How often validations have stopped improving; matters only for plateau.

        Returns:
            The learning rate, 0..peak.
        """
        warmup = min((step + 1) / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        return self.peak * min(warmup, SHAPES[self.kind](self, Moment(step, self.progress(step, seconds), reductions)))


@dataclass(frozen=True)
class Moment:
    """Where training stands."""

    step: int
    """Steps done."""
    progress: float
    """Share of training done, 0..1."""
    reductions: int
    """See `Schedule.learning_rate`."""


def _linear(schedule: Schedule, now: Moment) -> float:
    """One, then a line down to zero over the last `decay_fraction`."""
    left = 1.0 - now.progress
    return min(left / schedule.decay_fraction, 1.0) if schedule.decay_fraction else 1.0


def _cosine(schedule: Schedule, now: Moment) -> float:
    """Half a cosine from the end of the warm-up to the end of training (Loshchilov & Hutter 2017, without restarts)."""
    begin = min(schedule.warmup_steps / max(schedule.total_steps, 1), 1.0)
    if now.progress <= begin:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (now.progress - begin) / (1.0 - begin)))


def _inverse_sqrt(schedule: Schedule, now: Moment) -> float:
    """One over the square root of the steps, counted in warm-ups (Vaswani et al. 2017, section 5.3)."""
    warmup = max(schedule.warmup_steps, 1)
    return math.sqrt(warmup / max(now.step + 1, warmup))


def _plateau(schedule: Schedule, now: Moment) -> float:
    """One, times `factor` for each time that validations stopped improving."""
    return schedule.factor**now.reductions


SHAPES: dict[str, Callable[[Schedule, Moment], float]] = {
    "linear": _linear,
    "cosine": _cosine,
    "inverse_sqrt": _inverse_sqrt,
    "plateau": _plateau,
}
"""Share of the peak, 0..1, by the name in `training.schedule`. A new one is a row here and a choice in the config."""
