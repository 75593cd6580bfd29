"""What a training has in its folder: checkpoints to go on from, and the finished model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nmt.config import Config
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.files import read_settings
from nmt.training import TrainingError
from nmt.training.checkpoint import OPTIMIZER_FILE, PROCESS_FILE, Checkpoints
from nmt.training.finish import check_model_before, found_subwords, is_written, settings_after, write_model
from nmt.training.optimizer import GradientClipper, ParameterAverage
from nmt.training.state import TrainingState, check_same_training


class TrainingFolder:
    """Reads and writes the folder for a training.

    Args:
        config: The settings.
        model: The network.
        optimizer: Its optimiser.
        average: The average of its parameters.
        clipper: Counts the steps that were skipped.
        counts: What the card tells about the training data.
        subwords: The subword models by file name; None takes those in the folder.
    """

    def __init__(
        self,
        config: Config,
        model: Seq2Seq,
        optimizer: torch.optim.Optimizer,
        average: ParameterAverage,
        clipper: GradientClipper,
        counts: Mapping[str, int],
        subwords: Mapping[str, bytes] | None,
    ) -> None:
        self._config, self._model, self._optimizer, self._average = config, model, optimizer, average
        self._clipper, self._counts = clipper, counts
        self._subwords = found_subwords(config) if subwords is None else subwords
        self.checkpoints = Checkpoints(config.folder, config.training.keep_checkpoints, self._subwords)

    def go_on(self, before: TrainingState) -> tuple[TrainingState, list[str]]:
        """Go on from the checkpoint of a state.

        Args:
            before: The state.

        Returns:
            Where training stands, and what there is to tell.

        Raises:
            TrainingError: The checkpoint belongs to other settings or is damaged, or the finished model is not of it.
        """
        check_same_training(before.config, self._config)
        check_model_before(self._config)
        self.checkpoints.restore(before.step, self._model, self._optimizer, self._average)
        state = before.model_copy(update={"config": self._config})
        self._clipper.skipped, self._clipper.in_a_row = before.skipped, before.skipped_in_a_row
        self.checkpoints.remove_leftovers()
        best = state.best_step
        if best is not None and not self.checkpoints.is_readable(best):
            state = state.model_copy(update={"best_step": None, "best_score": None, "best_scores": {}})
            return state, [f"the best checkpoint, of step {best}, is missing or damaged: the best from here on counts"]
        self.checkpoints.point_to_best(state)
        return state, []

    def kept_for(self, step: int, rank: int) -> Mapping[str, Tensor]:
        """Return what the checkpoint of a step keeps for a process."""
        [(tensors, _)] = self.checkpoints.tensors(step, PROCESS_FILE.format(rank) if rank else OPTIMIZER_FILE)
        return tensors

    def save(self, state: TrainingState, kept: Mapping[str, Tensor], others: Iterator[Mapping[str, Tensor]]) -> None:
        """Save a checkpoint.

        Args:
            state: Where training stands.
            kept: What this process keeps beside what every training does.
            others: What each other one has for itself.

        Raises:
            TrainingError: It cannot be saved; those before are as they were.
        """
        try:
            self.checkpoints.save(self._model, self._optimizer, self._average, state, kept, others)
        except OSError as error:
            steps = self.checkpoints.steps()
            last = f"the last one is of step {steps[-1]}" if steps else "there is none before"
            raise TrainingError(
                f"{self.checkpoints.path(state.step)}: the checkpoint cannot be saved: "
                f"{error.strerror or error}; {last}, and the same command goes on from there"
            ) from None

    def has_model(self, state: TrainingState) -> bool:
        """Tell whether the finished model is there, and that of the best checkpoint."""
        return is_written(self._config, self.checkpoints, state)

    def finish(self, state: TrainingState) -> None:
        """Write the finished model; see `nmt.training.finish.write_model`."""
        self._write(self._config, state)

    def _write(self, config: Config, state: TrainingState) -> None:
        write_model(config, self._model, self.checkpoints, state, self._counts, self._subwords)

    def update_settings(self, state: TrainingState) -> str:
        """Bring the settings of a finished model up to date where that needs no training; returns what to tell."""
        config, updated, ignored = settings_after(read_settings(self._config.folder), self._config)
        told = ["raise training.epochs, max_steps or max_minutes to train on"]
        if ignored:
            told.insert(0, f"{', '.join(ignored)}: changed too late to matter")
        if updated:
            self._write(config, state)
            told.insert(0, f"the model has the new {', '.join(updated)} now")
        return "; ".join(told)
