"""The learning-rate schedule: linear warm-up, a plateau, linear decay to zero."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A pure function of how far training has come."""

    peak: float
    """Learning rate of the plateau."""
    warmup_steps: int
    """Steps until the peak is reached."""
    decay_fraction: float
    """Last share of training over which the rate falls."""
    total_steps: int
    """Steps after which training ends."""
    max_seconds: float | None = None
    """Seconds after which training ends, if that comes first."""

    def progress(self, step: int, seconds: float) -> float:
        """Tell how much of training is done, 0..1, by steps or by time, whichever is further."""
        done = step / max(self.total_steps, 1)
        if self.max_seconds is not None:
            done = max(done, seconds / self.max_seconds)
        return min(done, 1.0)

    def learning_rate(self, step: int, seconds: float) -> float:
        """Compute the learning rate of a step.

        Args:
            step: Steps done before it, from 0.
            seconds: Training time so far; matters only with `max_seconds`.

        Returns:
            The learning rate, 0..peak.
        """
        warmup = min((step + 1) / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        left = 1.0 - self.progress(step, seconds)
        decay = min(left / self.decay_fraction, 1.0) if self.decay_fraction else 1.0
        return self.peak * min(warmup, decay)
