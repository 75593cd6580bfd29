"""The training loop: steps, validation, checkpoints, and the finished model."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Literal, Protocol

import torch
from torch import Tensor

from nmt.config import Config
from nmt.data.batching import Batch
from nmt.model.device import use_device, use_threads
from nmt.model.recurrent import precisions
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.files import read_settings
from nmt.model_folder.scores import ScoresFile
from nmt.training import TrainingError
from nmt.training.checkpoint import Checkpoints
from nmt.training.device_memory import memory_of
from nmt.training.events import Events, check_installed
from nmt.training.finish import (
    check_model_before,
    check_no_model,
    found_subwords,
    is_written,
    settings_after,
    write_model,
)
from nmt.training.footprint import Footprint
from nmt.training.interrupts import interrupts
from nmt.training.loss import LOWER, batch_loss
from nmt.training.microbatching import MicroBatching, memory_limit
from nmt.training.optimizer import GradientClipper, LossScale, ParameterAverage, make_optimizer
from nmt.training.place import Place
from nmt.training.progress import Pace, Reporter, StepReport
from nmt.training.result import Status, TrainingResult
from nmt.training.schedule import Schedule
from nmt.training.state import TrainingState, check_same_training
from nmt.training.validation import Validate, describe, run_validation, update_early_stopping
from nmt.values import duration


class BatchSource(Protocol):
    """The training set, in batches that are a function of seed and epoch alone."""

    def number_of_batches(self, epoch: int) -> int:
        """Count the batches of an epoch, from 0."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from the one numbered `start` on."""


def build_model(config: Config, source_vocab_size: int, target_vocab_size: int) -> Seq2Seq:
    """Build the network of a config, on its device, with the initial weights of its seed, whatever the threads.

    Args:
        config: The settings.
        source_vocab_size: Subwords of the source.
        target_vocab_size: Subwords of the target.

    Returns:
        The network, in training mode.

    Raises:
        DeviceError: The device cannot be used.
        TrainingError: The device has no kernels of `training.precision`.
    """
    device = use_device(config.training.device, tf32=config.training.tf32)
    threads = torch.get_num_threads()
    use_threads(1)  # the last bits of orthogonal weights depend on the number of threads
    try:
        torch.manual_seed(config.training.seed)
        model = Seq2Seq.from_config(config, source_vocab_size, target_vocab_size).to(device)
    finally:
        use_threads(threads)
    lower = LOWER.get(config.training.precision)
    if lower is not None and lower not in precisions(model.output_bias):
        raise TrainingError(
            f"training.precision: {config.training.precision} needs training.device = 'cuda', got {device}; the CPU "
            "has bfloat16"
        )
    return model


def train(
    config: Config,
    model: Seq2Seq,
    data: BatchSource,
    valid: Sequence[Batch],
    *,
    validate: Validate | None = None,
    counts: Mapping[str, int] | None = None,
    subwords: Mapping[str, bytes] | None = None,
) -> TrainingResult:
    """Train a network, or go on from the last checkpoint in the folder, until the config says that it is enough.

    The same config, data and number of threads give the same model, bit for bit, stopped and continued or not (unless
    `training.max_minutes` ties the schedule to the clock). Ctrl-C finishes the step, saves and returns. Two processes
    must not train in one folder at a time; `nmt.lock` sees to that.

    Args:
        config: The settings; everything is written into its folder.
        model: The network; holds the best parameters when training has finished.
        data: The training set.
        valid: Batches of the validation set, for its loss.
        validate: Computes BLEU on the validation set; gets the averaged parameters, in evaluation mode.
        counts: What the card tells about the training data.
        subwords: The subword models that the data is of, by file name, as the model folder will have them; None takes
            those that it has now.

    Returns:
        How training ended.

    Raises:
        TrainingError: If there is nothing to train on, the checkpoint belongs to other settings or is damaged, the
            folder holds a finished model that is not of it, is removed meanwhile, or a checkpoint cannot be saved,
            TensorBoard is wanted and missing, or training diverges.
        OSError: If the folder cannot be written.
    """
    if config.training.early_stopping_metric == "bleu" and validate is None:
        raise TrainingError("training.early_stopping_metric = 'bleu' needs a validation set to translate")
    if data.number_of_batches(0) == 0 or not valid:
        raise TrainingError(f"{'training' if valid else 'validation'} set: expected at least one pair, got none")
    if config.training.tensorboard:
        check_installed()
    use_threads(config.training.threads)
    return Trainer(config, model, data, valid, validate, counts or {}, subwords).run()


class Trainer:
    """The state of a training run and its parts; `train` makes one and runs it.

    Args:
        config: As for `train`, like the rest.
        model: The network.
        data: The training set.
        valid: Batches of the validation set.
        validate: Computes BLEU on the validation set.
        counts: What the card tells about the training data.
        subwords: The subword models by file name; None takes those in the folder.
    """

    def __init__(
        self,
        config: Config,
        model: Seq2Seq,
        data: BatchSource,
        valid: Sequence[Batch],
        validate: Validate | None,
        counts: Mapping[str, int],
        subwords: Mapping[str, bytes] | None = None,
    ) -> None:
        self.config, self.settings = config, config.training
        self.model, self.data, self.valid, self.validate, self.counts = model, data, valid, validate, counts
        self.optimizer = make_optimizer(model, self.settings)
        self.average = ParameterAverage(model, self.settings.ema_decay)
        self.clipper = GradientClipper(model, self.settings.clip_norm)
        self.scale = LossScale(enabled=self.settings.precision == "float16")
        self.subwords = found_subwords(config) if subwords is None else subwords
        self.checkpoints = Checkpoints(config.folder, self.settings.keep_checkpoints, self.subwords)
        self.schedule = Schedule.from_config(
            self.settings, math.ceil(data.number_of_batches(0) / self.settings.accumulate)
        )
        self.scores = ScoresFile(config.folder)
        self.events: Events | None = None
        self.pace = Pace()
        self.footprint = Footprint(model, config.model, config.training.precision, rdrop=bool(config.training.rdrop))
        self.microbatching = MicroBatching(self.footprint, None, lambda _: None)
        self.state = TrainingState(config=config)
        self.started = time.monotonic()

    def run(self) -> TrainingResult:
        """Train until the end or an interruption; see `train`."""
        before = self.checkpoints.latest_state()
        notes: list[str] = []
        if before is not None:
            notes = self._resume(before)
            if self._end() and is_written(self.config, self.checkpoints, self.state):
                return self._result("already finished", self._update_settings())
        else:
            check_no_model(self.config)
            torch.manual_seed(self.settings.seed)  # so that dropout does not depend on what was drawn since the weights
        self.scores.forget_after(self.state.validated_step)
        self.started = time.monotonic() - self.state.seconds
        with ExitStack() as stack:
            reporter = stack.enter_context(Reporter(self.config.folder / "training.log"))
            interrupted = stack.enter_context(interrupts())
            if self.settings.tensorboard:
                self.events = Events(self.config.folder, self.state.step)
                stack.callback(self.events.close)
            self.place = Place(self.config.folder)
            for note in (self._introduction(resumed=before is not None), *notes):
                reporter.note(note)
            memory = memory_of(self.model.device)
            self.state.batch_memory = memory_limit(self.settings, memory, self.state.batch_memory)
            self.microbatching = MicroBatching(self.footprint, self.state.batch_memory, reporter.note)
            self.pace.go_on()
            if before is None and self.config.start_from is not None:
                self._validate(reporter)  # what it starts from is a candidate, too
                self._save()
            while self._end() is None and not interrupted.is_set():
                self._run_epoch(reporter, interrupted)
            end = self._end()
            if end is None:
                self._save()
                return self._result("interrupted", "everything is saved")
            if self.state.validated_step != self.state.step or self.state.best_step is None:
                self._validate(reporter)
                self._save()
            self.place.check()
            self._write(self.config)
            result = self._result(end, f"the model is in {self.config.folder}")
            reporter.note(result.message)
            return result

    def _run_epoch(self, reporter: Reporter, interrupted: threading.Event) -> None:
        """Run the rest of the present epoch, unless training ends before."""
        settings, batches = self.settings, self.data.batches(self.state.epoch, start=self.state.batch)
        while group := tuple(islice(batches, settings.accumulate)):
            report = self.step(*group)
            if report.skipped:
                reporter.note(f"step {report.step} left out: gradients are not finite, the loss is {report.loss}")
            else:
                reporter.step(report)
            if self.state.step % settings.validate_every == 0:
                self._validate(reporter)
                self._save()
            elif settings.checkpoint_every is not None and self.state.step % settings.checkpoint_every == 0:
                self._save()
            if interrupted.is_set() or self._end():
                return
        self.state.epoch += 1
        self.state.batch = 0

    def step(self, *batches: Batch) -> StepReport:
        """Do one optimiser step.

        Args:
            batches: At least one; several have the gradient of the one batch that they would be together. Those that
                need more memory than there is are cut, with the same gradient.

        Returns:
            Its numbers.

        Raises:
            TrainingError: If gradients were not finite too often in a row.
        """
        state = self.state
        learning_rate = self._learning_rate(state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        pieces = [piece for batch in batches for piece in self.microbatching.pieces(batch)]
        tokens = sum(piece.target_tokens for piece in pieces)
        loss = nll = 0.0
        sums: list[tuple[Tensor, Tensor]] = []
        for batch in pieces:
            batch_sum, batch_nll, _ = batch_loss(
                self.model, batch, self.settings.label_smoothing, self.settings.precision, self.settings.rdrop
            )
            self.scale.scaled(batch_sum / tokens, state).backward()  # type: ignore[no-untyped-call]
            sums.append((batch_sum.detach(), batch_nll))
        self.scale.unscale(self.clipper.parameters, state)
        norm = self.clipper.clip(forgive=self.scale.can_fall(state))
        for batch_sum, batch_nll in sums:  # read only now: each reading waits until the card is done
            loss, nll = loss + batch_sum.item(), nll + batch_nll.item()
        self.scale.update(state, finite=norm is not None)
        if norm is not None:
            self.optimizer.step()
            self.average.update(state.step)
            state.recent_nll, state.recent_tokens = state.recent_nll + nll, state.recent_tokens + tokens
        state.step += 1
        state.batch += len(batches)
        state.target_tokens += tokens
        state.skipped, state.skipped_in_a_row = self.clipper.skipped, self.clipper.in_a_row
        state.seconds = time.monotonic() - self.started
        self.pace.add(tokens)
        if self.events and norm is not None and tokens:
            self.events.add_step(state.step, nll / tokens, learning_rate, norm)
        return StepReport(
            step=state.step,
            epoch=state.epoch + 1,
            epochs=self.settings.epochs,
            loss=loss,
            nll=nll,
            tokens=tokens,
            learning_rate=learning_rate,
            progress=self.schedule.progress(state.step, state.seconds),
            seconds=state.seconds,
            best=describe(state.best_scores),
            skipped=norm is None,
        )

    def _learning_rate(self, step: int) -> float:
        return self.schedule.learning_rate(step, self.state.seconds, self.state.reductions)

    def _validate(self, reporter: Reporter) -> None:
        """Score the averaged parameters, and note whether they are the best."""
        state = self.state
        self.place.check()
        numbers = {"learning_rate": self._learning_rate(max(state.step - 1, 0)), "tokens_per_second": self.pace.take()}
        if state.recent_tokens:
            numbers["training_loss"] = state.recent_nll / state.recent_tokens
        scores = run_validation(self.model, self.average, self.valid, self.validate)
        reductions = state.reductions
        better = update_early_stopping(state, scores, self.settings)
        state.seconds = time.monotonic() - self.started
        epoch = min(state.epoch + 1, self.settings.epochs)
        row = {"step": state.step, "epoch": epoch, "seconds": round(state.seconds, 3)}
        self.scores.add("validation", {**row, **scores, **numbers})
        if self.events:
            self.events.add_validation(state.step, scores, numbers)
        verdict = "best so far" if better else f"best is step {state.best_step}"
        skipped = f", {state.skipped} steps skipped" if state.skipped else ""
        lowered = f", learning rate to {self._learning_rate(state.step):.2e}" if state.reductions > reductions else ""
        when = f"step {state.step} (epoch {epoch}, {duration(state.seconds)})"
        reporter.note(f"validation at {when}: {describe(scores)}, {verdict}{lowered}{skipped}")
        self.pace.go_on()

    def _end(self) -> Literal["finished", "stopped early"] | None:
        """Tell whether training is over, and why."""
        state, settings, limit = self.state, self.settings, self.schedule.max_seconds
        out_of_steps = settings.max_steps is not None and state.step >= settings.max_steps
        if state.epoch >= settings.epochs or out_of_steps or (limit is not None and state.seconds >= limit):
            return "finished"
        return "stopped early" if state.since_best >= settings.patience else None

    def _resume(self, before: TrainingState) -> list[str]:
        """Go on from a checkpoint; returns what there is to tell."""
        check_same_training(before.config, self.config)
        check_model_before(self.config)
        self.checkpoints.restore(before.step, self.model, self.optimizer, self.average)
        self.state = before.model_copy(update={"config": self.config})
        self.clipper.skipped, self.clipper.in_a_row = before.skipped, before.skipped_in_a_row
        self.checkpoints.remove_leftovers()
        best = self.state.best_step
        if best is not None and not self.checkpoints.is_readable(best):
            self.state = self.state.model_copy(update={"best_step": None, "best_score": None, "best_scores": {}})
            return [f"the best checkpoint, of step {best}, is missing or damaged: the best from here on counts"]
        self.checkpoints.point_to_best(self.state)
        return []

    def _write(self, config: Config) -> None:
        write_model(config, self.model, self.checkpoints, self.state, self.counts, self.subwords)

    def _update_settings(self) -> str:
        """Bring the settings of a finished model up to date where that needs no training; returns what to tell."""
        config, updated, ignored = settings_after(read_settings(self.config.folder), self.config)
        told = ["raise training.epochs, max_steps or max_minutes to train on"]
        if ignored:
            told.insert(0, f"{', '.join(ignored)}: changed too late to matter")
        if updated:
            self._write(config)
            told.insert(0, f"the model has the new {', '.join(updated)} now")
        return "; ".join(told)

    def _save(self) -> None:
        self.place.check()
        try:
            self.checkpoints.save(self.model, self.optimizer, self.average, self.state)
        except OSError as error:
            steps = self.checkpoints.steps()
            last = f"the last one is of step {steps[-1]}" if steps else "there is none before"
            raise TrainingError(
                f"{self.checkpoints.path(self.state.step)}: the checkpoint cannot be saved: "
                f"{error.strerror or error}; {last}, and the same command goes on from there"
            ) from None
        self.pace.go_on()

    def _introduction(self, *, resumed: bool) -> str:
        what = f"continuing at step {self.state.step}" if resumed else "starting"
        batches, device = self.data.number_of_batches(0), self.model.device
        where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else f"on {device}"
        return (
            f"{what}: {self.model.number_of_parameters:,} parameters, {self.settings.epochs} epochs "
            f"of {batches:,} batches, {where}"
        )

    def _result(self, status: Status, advice: str) -> TrainingResult:
        state = self.state
        best = f", best at step {state.best_step}: {describe(state.best_scores)}" if state.best_scores else ""
        message = f"{status} after {state.step} steps in {duration(state.seconds)}{best}; {advice}"
        return TrainingResult(
            status, message, state.step, state.epoch, state.best_step, state.best_score, state.seconds
        )
