"""Event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nmt.training import TrainingError
from nmt.training.samples import Sample, describe_sample

EVENTS_FOLDER = "tensorboard"
STEP_EVERY = 20
"""Steps between two points of a training curve: enough to see, and cheap."""


class Events:
    """Writes numbers into FOLDER/tensorboard.

    Args:
        folder: The model folder.
        step: Steps done so far; what is there of later ones, from a run that is repeated now, will not be shown.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (slow to import, and rarely wanted)

        self._writer = SummaryWriter(str(folder / EVENTS_FOLDER), purge_step=step + 1)

    def add_step(self, step: int, loss: float, learning_rate: float, gradient_norm: float) -> None:
        """Take the numbers of a step in; not every one is written."""
        if step % STEP_EVERY == 0:
            numbers = {"step_loss": loss, "learning_rate": learning_rate, "gradient_norm": gradient_norm}
            self._add(step, "training", numbers)

    def add_validation(
        self,
        step: int,
        scores: Mapping[str, float],
        training: Mapping[str, float],
        samples: Sequence[Sample] = (),
    ) -> None:
        """Write the scores of a validation, the numbers of the training before it, and some translations, as text."""
        self._add(step, "validation", scores)
        self._add(step, "training", {name.removeprefix("training_"): value for name, value in training.items()})
        for number, sample in enumerate(samples, start=1):  # four spaces: as it is, not as Markdown
            text = "\n".join(f"    {line}" for line in describe_sample(sample))
            self._writer.add_text(f"samples/{number}", text, step)
        self._writer.flush()

    def _add(self, step: int, group: str, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def check_installed() -> None:
    """Make sure that TensorBoard's writer can be used.

    Raises:
        TrainingError: If not; names the extra to install.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401, PLC0415
    except ImportError:
        raise TrainingError(
            "training.tensorboard: the package tensorboard is not installed; "
            "`pip install 'nmt-rnn[tensorboard]'`, or set it to false"
        ) from None
