"""`nmt average`: several checkpoints to one model."""

from __future__ import annotations

from pathlib import Path

from nmt.lock import locked
from nmt.terminal import tell
from nmt.training import TrainingError
from nmt.training.averaging import average_checkpoints, choose_steps


def run(folder: Path, output: Path, last: int | None, steps: str | None) -> None:
    """Average checkpoints of a model folder into a new one.

    Args:
        folder: The model folder.
        output: The new one.
        last: How many of the latest checkpoints to take; None takes `steps`.
        steps: Their steps, separated by commas.

    Raises:
        TrainingError: The checkpoints are not there or damaged, or `output` holds a model.
        OSError: A file cannot be read or written.
    """
    chosen = choose_steps(folder, last, _numbers(steps) if steps is not None else None)
    with locked(output):
        average_checkpoints(folder, chosen, output)
    tell("nmt average", f"averaged steps {', '.join(map(str, chosen))} into {output}")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise TrainingError(f"--steps {text}: expected numbers separated by commas, such as 2000,2500") from None
