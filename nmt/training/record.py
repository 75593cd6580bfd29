"""What a training tells and writes into its folder while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from nmt.config import Config
from nmt.model_folder.scores import ScoresFile
from nmt.terminal import tell
from nmt.training.events import Events
from nmt.training.place import Place
from nmt.training.progress import Reporter, StepReport
from nmt.training.samples import describe_sample
from nmt.training.state import TrainingState
from nmt.training.validation import Validation


class Record:
    """Log, scores and curves of a training; a context manager.

    Args:
        config: The settings.
        state: Where training stands; what was written of later steps, by a run that is repeated now, is removed.
    """

    def __init__(self, config: Config, state: TrainingState) -> None:
        self._config, self._state = config, state
        self._scores = ScoresFile(config.folder)
        self._events: Events | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Record:
        self._scores.forget_after(self._state.validated_step)
        with ExitStack() as stack:
            self._reporter = stack.enter_context(Reporter(self._config.folder / "training.log"))
            if self._config.training.tensorboard:
                self._events = Events(self._config.folder, self._state.step)
                stack.callback(self._events.close)
            self._place = Place(self._config.folder)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def note(self, text: str) -> None:
        """Tell something that stays."""
        self._reporter.note(text)

    def warn(self, text: str) -> None:
        """Tell what this process has found, and perhaps no other."""
        self.note(text)

    def step(self, report: StepReport) -> None:
        """Take the numbers of a step in."""
        if report.skipped:
            self.note(f"step {report.step} left out: gradients are not finite, the loss is {report.loss}")
            return
        self._reporter.step(report)
        if self._events and report.tokens:
            self._events.add_step(report.step, report.nll / report.tokens, report.learning_rate, report.gradient_norm)

    def validation(self, row: Mapping[str, object], found: Validation, numbers: Mapping[str, float], text: str) -> None:
        """Take a validation in.

        Args:
            row: Where training stands, by name.
            found: What was measured, and some translations.
            numbers: Of the training before it.
            text: All that in words.
        """
        self._scores.add("validation", {**row, **found.scores, **numbers})
        if self._events:
            self._events.add_validation(self._state.step, found.scores, numbers, found.samples)
        self.note(text)
        for sample in found.samples:
            self._reporter.log(*describe_sample(sample))

    def check_place(self) -> None:
        """Make sure that the folder is still the one that training began in.

        Raises:
            TrainingError: It is not.
        """
        self._place.check()


class SilentRecord(Record):
    """That of a process that writes nothing, because another one does."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def note(self, text: str) -> None:
        """See `Record`, as for the rest; what all processes would say, the first one says."""

    def warn(self, text: str) -> None:
        """What only this one knows, it says by itself."""
        tell("nmt train", f"process {self._rank}: {text}")

    def step(self, report: StepReport) -> None:
        """Say nothing."""

    def validation(self, row: Mapping[str, object], found: Validation, numbers: Mapping[str, float], text: str) -> None:
        """Say nothing."""

    def check_place(self) -> None:
        """Need no place."""
