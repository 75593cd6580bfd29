"""The training loop: steps, validation, checkpoints, and the finished model."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Literal, Protocol

import torch

from nmt.config import Config
from nmt.data.batching import ALL, Batch, Share
from nmt.model.device import settled_objects, use_device, use_threads
from nmt.model.recurrent import precisions
from nmt.model.seq2seq import Seq2Seq
from nmt.training import TrainingError
from nmt.training.device_memory import memory_of
from nmt.training.events import check_installed
from nmt.training.finish import check_no_model
from nmt.training.folder import TrainingFolder
from nmt.training.footprint import Footprint
from nmt.training.interrupts import interrupts
from nmt.training.microbatching import MicroBatching, memory_limit
from nmt.training.optimizer import ParameterAverage, make_optimizer
from nmt.training.outer import OuterSteps
from nmt.training.precision import LOWER, with_precision
from nmt.training.processes import Processes
from nmt.training.progress import Pace, StepReport
from nmt.training.randomness import own_randomness
from nmt.training.record import Record, SilentRecord
from nmt.training.result import Status, TrainingResult
from nmt.training.schedule import Schedule
from nmt.training.sharing import share_beginning
from nmt.training.state import TrainingState
from nmt.training.step import OptimizerStep, StepResult
from nmt.training.validation import (
    Validate,
    Validation,
    describe,
    describe_verdict,
    run_validation,
    update_early_stopping,
)
from nmt.values import duration


class BatchSource(Protocol):
    """The training set, in batches that are a function of seed and epoch alone."""

    def number_of_batches(self, epoch: int) -> int:
        """Count the batches of an epoch, from 0."""

    def batches(self, epoch: int, start: int = 0, share: Share = ALL) -> Iterator[Batch]:
        """Yield the batches of an epoch, or a share of them, from the one numbered `start` on."""


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
    processes: Processes | None = None,
) -> TrainingResult:
    """Train a network, or go on from the last checkpoint in the folder, until the config says that it is enough.

    The same config, data and number of threads give the same model, bit for bit, stopped and continued or not (unless
    `training.max_minutes` ties the schedule to the clock). Ctrl-C finishes the step, saves and returns. Two trainings
    must not run in one folder at a time; `nmt.lock` sees to that.

    Args:
        config: The settings; everything is written into its folder.
        model: The network; holds the best parameters when training has finished.
        data: The training set.
        valid: Batches of the validation set, for its loss.
        validate: Computes BLEU on the validation set; gets the averaged parameters, in evaluation mode.
        counts: What the card tells about the training data.
        subwords: The subword models that the data is of, by file name, as the model folder will have them; None takes
            those that it has now.
        processes: Those that train this network together; all call this with the same arguments. None: this one alone.

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
    return Trainer(config, model, data, valid, validate, counts or {}, subwords, processes).run()


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
        processes: Those that train the network.
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
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes()
        config = with_precision(config, model.device, self.processes)
        self.config, self.settings = config, config.training
        self.model, self.data, self.valid, self.validate = model, data, valid, validate
        self.optimizer = make_optimizer(model, self.settings)
        self.outer = OuterSteps(model, self.optimizer, self.settings, self.processes)
        self.average = ParameterAverage(model, self.settings.ema_decay ** max(1, self.outer.every))
        together = Processes() if self.outer.every else self.processes
        self.updates = OptimizerStep(self.settings, model, self.optimizer, together, self._randomness)
        self.clipper = self.updates.clipper
        self.folder = TrainingFolder(config, model, self.optimizer, self.average, self.clipper, counts, subwords)
        self.checkpoints = self.folder.checkpoints
        self.group = self.processes.size * self.settings.accumulate
        """Batches of a step, of all processes."""
        self.schedule = Schedule.from_config(self.settings, data.number_of_batches(0), self.group)
        self.pace = Pace()
        self.footprint = Footprint(model, config.model, config.training.precision, rdrop=bool(config.training.rdrop))
        self.microbatching = MicroBatching(self.footprint, None, lambda _: None)
        self.state = TrainingState(config=config)
        self.started = time.monotonic()
        self._told: Future[list[tuple[float, ...]]] | None = None

    def run(self) -> TrainingResult:
        """Train until the end or an interruption; see `train`."""
        notes, resumed, told = self._begin() if self.processes.first else ([], False, "")
        self.state, told = share_beginning(self.processes, self.model, self.optimizer, self.average, self.state, told)
        if told:
            return self._result("already finished", told)
        self.outer.begin(self.state, lambda rank: self.folder.kept_for(self.state.step, rank))
        self.started = time.monotonic() - self.state.seconds
        record = Record(self.config, self.state) if self.processes.first else SilentRecord(self.processes.rank)
        with record, interrupts(tells=self.processes.first) as interrupted, settled_objects():
            for note in (self._introduction(resumed=resumed), *notes):
                record.note(note)
            self.state.batch_memory = self._batch_memory()
            self.microbatching = MicroBatching(self.footprint, self.state.batch_memory, record.warn)
            self.pace.go_on()
            if not resumed and self.config.start_from is not None:
                self._validate(record)  # what it starts from is a candidate, too
                self._save(record)
            stopping = self._stops(interrupted)
            while self._end() is None and not stopping:
                stopping = self._run_epoch(record, interrupted)
            end = self._end()
            if end is None:
                self._save(record)
                return self._result("interrupted", "everything is saved")
            self._outer_step()
            if self.state.validated_step != self.state.step or self.state.best_step is None:
                self._validate(record)
                self._save(record)
            record.check_place()
            if self.processes.first:
                self.folder.finish(self.state)
            result = self._result(end, f"the model is in {self.config.folder}")
            record.note(result.message)
            return result

    def _begin(self) -> tuple[list[str], bool, str]:
        """Begin anew or go on, from what is in the folder.

        Returns:
            What there is to tell, whether a checkpoint goes on, and, if training is over already, what to do then.
        """
        before = self.checkpoints.latest_state()
        if before is None:
            check_no_model(self.config)
            self.outer.check(None)
            torch.manual_seed(self.settings.seed)  # so that dropout does not depend on what was drawn since the weights
            return [], False, ""
        self.state, notes = self.folder.go_on(before)
        if self.state.batch >= self.data.number_of_batches(self.state.epoch):  # saved with the last step of an epoch
            self._next_epoch()
        if self._end() is not None and self.folder.has_model(self.state):
            return notes, True, self.folder.update_settings(self.state)
        self.outer.check(before)
        return notes, True, ""

    def _batch_memory(self) -> int | None:
        """What a batch may need, in whichever process it runs."""
        memory, processes = memory_of(self.model.device), self.processes
        here = processes.on_this_machine if self.model.device.type == "cpu" else 1
        limit = memory_limit(self.settings, memory, self.state.batch_memory, here)
        least = min(row[0] for row in processes.gather(math.inf if limit is None else limit).result())
        return None if math.isinf(least) else int(least)

    def _stops(self, interrupted: threading.Event) -> bool:
        """Whether one of the processes is to stop; they agree on that, and on the time.

        Between outer steps nobody waits for the others: it is what they told a step ago.
        """
        self.state.seconds = time.monotonic() - self.started
        now = self.processes.gather(interrupted.is_set(), self.state.seconds)
        before, self._told = self._told, now if self.outer.every else None
        everyone = (before or now).result()
        self.state.seconds = everyone[0][1]
        return any(row[0] for row in everyone)

    def _run_epoch(self, record: Record, interrupted: threading.Event) -> bool:
        """Run the rest of the present epoch, unless training ends before; returns whether it is to stop."""
        settings, state, each = self.settings, self.state, self.settings.accumulate
        share = Share(self.processes.rank * each, each, self.group)
        batches, count = self.data.batches(state.epoch, state.batch, share), self.data.number_of_batches(state.epoch)
        while state.batch < count:
            record.step(self.step(*islice(batches, min(each, max(0, count - state.batch - share.first)))))
            if self.outer.is_due(state):
                self._outer_step()
            if state.step % settings.validate_every == 0:
                self._validate(record)
                self._save(record)
            elif settings.checkpoint_every is not None and state.step % settings.checkpoint_every == 0:
                self._save(record)
            stopping = self._stops(interrupted)
            if stopping or self._end():
                return stopping
        self._next_epoch()
        return False

    def _next_epoch(self) -> None:
        self.state.epoch += 1
        self.state.batch = 0

    def step(self, *batches: Batch) -> StepReport:
        """Do one optimiser step.

        Args:
            batches: At least one; several have the gradient of the one batch that they would be together. Those that
                need more memory than there is are cut, with the same gradient but for a sampled softmax.

        Returns:
            Its numbers.

        Raises:
            TrainingError: If gradients were not finite too often in a row.
        """
        state = self.state
        learning_rate = self._learning_rate(state.step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = learning_rate
        taken = self.updates.take([self.microbatching.pieces(batch) for batch in batches], state)
        self._count(taken)
        state.seconds = time.monotonic() - self.started
        return StepReport(
            step=state.step,
            epoch=state.epoch + 1,
            epochs=self.settings.epochs,
            loss=taken.loss,
            nll=taken.nll,
            tokens=taken.tokens,
            learning_rate=learning_rate,
            progress=self.schedule.progress(state.step, state.seconds),
            seconds=state.seconds,
            best=describe(state.best_scores),
            skipped=taken.norm is None,
            gradient_norm=taken.norm or 0.0,
        )

    def _count(self, taken: StepResult) -> None:
        """Note what a step has done."""
        state, batches = self.state, taken.batches
        if self.outer.every:
            self.outer.count(taken.tokens, taken.nll, finite=taken.norm is not None)
            self.pace.add(0)
            batches = min(self.group, self.data.number_of_batches(state.epoch) - state.batch)  # those of all
        else:
            if taken.norm is not None:
                self.average.update(state.step)
                state.recent_nll, state.recent_tokens = state.recent_nll + taken.nll, state.recent_tokens + taken.tokens
            state.target_tokens += taken.tokens
            self.pace.add(taken.tokens)
        state.step += 1
        state.batch += batches

    def _outer_step(self) -> None:
        """End a round, if one has begun."""
        if self.outer.every and self.state.outer_step != self.state.step:
            self.pace.add(self.outer.step(self.state))
            self.average.update(self.state.step // self.outer.every)

    def _randomness(self, number: int) -> AbstractContextManager[None]:
        """What is random in a batch of this step of this process.

        Where a step has several batches, it depends on the batch alone, so that any process may run it.
        """
        if self.group == 1:
            return nullcontext()
        number += self.state.batch + self.processes.rank * self.settings.accumulate
        return own_randomness(self.model.device, self.settings.seed, self.state.epoch, number)

    def _learning_rate(self, step: int) -> float:
        return self.schedule.learning_rate(step, self.state.seconds, self.state.reductions)

    def _validate(self, record: Record) -> None:
        """Score the averaged parameters, and note whether they are the best."""
        state = self.state
        record.check_place()
        numbers = {"learning_rate": self._learning_rate(max(state.step - 1, 0)), "tokens_per_second": self.pace.take()}
        if state.recent_tokens:
            numbers["training_loss"] = state.recent_nll / state.recent_tokens
        found = self._validation()
        scores = found.scores
        reductions = state.reductions
        update_early_stopping(state, scores, self.settings, sum(len(batch.indices) for batch in self.valid))
        state.seconds = time.monotonic() - self.started
        epoch = min(state.epoch + 1, self.settings.epochs)
        row = {"step": state.step, "epoch": epoch, "seconds": round(state.seconds, 3)}
        skipped = f", {state.skipped} steps skipped" if state.skipped else ""
        lowered = f", learning rate to {self._learning_rate(state.step):.2e}" if state.reductions > reductions else ""
        when = f"step {state.step} (epoch {epoch}, {duration(state.seconds)})"
        text = f"validation at {when}: {describe(scores)}, {describe_verdict(state)}{lowered}{skipped}"
        record.validation(row, found, numbers, text)
        self.pace.go_on()

    def _validation(self) -> Validation:
        """Score the averaged parameters; the first process does, for all."""
        text = self.processes.from_first(
            lambda: run_validation(self.model, self.average, self.valid, self.validate).as_json()
        )
        return Validation.from_json(text)

    def _end(self) -> Literal["finished", "stopped early"] | None:
        """Tell whether training is over, and why."""
        state, settings, limit = self.state, self.settings, self.schedule.max_seconds
        out_of_steps = settings.max_steps is not None and state.step >= settings.max_steps
        if state.epoch >= settings.epochs or out_of_steps or (limit is not None and state.seconds >= limit):
            return "finished"
        return "stopped early" if state.since_best >= settings.patience else None

    def _save(self, record: Record) -> None:
        self.processes.check_same([*self.outer.shared.values()] or self.clipper.parameters)
        others = self.outer.of_the_others()
        if self.processes.first:
            record.check_place()
            self.folder.save(self.state, self.outer.kept, others)
        for _ in others:  # those that another one saves
            pass
        self.pace.go_on()

    def _introduction(self, *, resumed: bool) -> str:
        what = f"continuing at step {self.state.step}" if resumed else "starting"
        batches, device = self.data.number_of_batches(0), self.model.device
        where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else f"on {device}"
        if self.settings.precision != "float32":
            where += f", {self.settings.precision}"
        if self.processes.size > 1:
            where += f" in each of {self.processes.size} processes"
        return (
            f"{what}: {self.model.number_of_parameters:,} parameters, {self.settings.epochs} epochs "
            f"of {batches:,} batches, {where}"
        )

    def _result(self, status: Status, advice: str) -> TrainingResult:
        state = self.state
        best = f", best at step {state.best_step}: {describe(state.best_scores)}" if state.best_scores else ""
        message = f"{status} after {state.step} steps in {duration(state.seconds)}{best}; {advice}"
        score = state.best_scores.get(self.settings.early_stopping_metric)
        return TrainingResult(status, message, state.step, state.epoch, state.best_step, score, state.seconds)
