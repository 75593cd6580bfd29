"""The training loop: steps, validation, checkpoints, and the finished model."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from nmt.config import Config
from nmt.data.batching import Batch
from nmt.data.subwords import PAD
from nmt.model.folder import MODEL_FILE, ModelCard, save_model
from nmt.model.seq2seq import Seq2Seq
from nmt.model.threads import use_threads
from nmt.training.checkpoint import Checkpoints, TrainingState, check_same_training
from nmt.training.errors import TrainingError
from nmt.training.interrupts import interrupts
from nmt.training.loss import output_loss
from nmt.training.optimizer import GradientClipper, ParameterAverage, make_optimizer
from nmt.training.progress import Reporter, StepReport, duration, perplexity
from nmt.training.schedule import Schedule

Validate = Callable[[Seq2Seq], float]
"""Translates the validation set with a network and returns BLEU, 0..100."""
Status = Literal["finished", "stopped early", "interrupted", "already finished"]


class BatchSource(Protocol):
    """The training set, in batches whose order is a function of seed and epoch alone."""

    def number_of_batches(self, epoch: int) -> int:
        """Count the batches of an epoch, from 0."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from the one numbered `start` on."""


@dataclass(frozen=True)
class TrainingResult:
    """How training ended."""

    status: Status
    """Why."""
    message: str
    """The same in a line for the user."""
    steps: int
    """Steps done, over all runs."""
    epochs: int
    """Epochs finished."""
    best_step: int | None
    """Step of the best checkpoint."""
    best_score: float | None
    """Its score by `training.early_stopping_metric`."""
    seconds: float
    """Training time over all runs."""


def build_model(config: Config, source_vocab_size: int, target_vocab_size: int) -> Seq2Seq:
    """Build the network of a config with the initial weights of its seed.

    Args:
        config: The settings.
        source_vocab_size: Subwords of the source.
        target_vocab_size: Subwords of the target.

    Returns:
        The network, in training mode.
    """
    torch.manual_seed(config.training.seed)
    return Seq2Seq.from_config(config, source_vocab_size, target_vocab_size)


def train(
    config: Config,
    model: Seq2Seq,
    data: BatchSource,
    valid: Sequence[Batch],
    *,
    validate: Validate | None = None,
    counts: Mapping[str, int] | None = None,
) -> TrainingResult:
    """Train a network, or go on from the last checkpoint in the folder, until the config says that it is enough.

    The same config, data and number of threads give the same model, bit for bit, stopped and continued or not (unless
    `training.max_minutes` ties the schedule to the clock). Ctrl-C finishes the step, saves and returns.

    Args:
        config: The settings; everything is written into its folder.
        model: The network; holds the best parameters when training has finished.
        data: The training set.
        valid: Batches of the validation set, for its loss.
        validate: Computes BLEU on the validation set; gets the averaged parameters, in evaluation mode.
        counts: What the card tells about the training data.

    Returns:
        How training ended.

    Raises:
        TrainingError: If there is nothing to train on, the checkpoint belongs to other settings or is damaged, or the
            gradients stay non-finite.
        OSError: If the folder cannot be written.
    """
    if config.training.early_stopping_metric == "bleu" and validate is None:
        raise TrainingError("training.early_stopping_metric = 'bleu' needs a validation set to translate")
    if data.number_of_batches(0) == 0 or not valid:
        raise TrainingError(f"{'training' if valid else 'validation'} set: expected at least one pair, got none")
    use_threads(config.training.threads)
    return Trainer(config, model, data, valid, validate, counts or {}).run()


class Trainer:
    """The state of a training run and its parts; `train` makes one and runs it.

    Args:
        config: As for `train`, like the rest.
        model: The network.
        data: The training set.
        valid: Batches of the validation set.
        validate: Computes BLEU on the validation set.
        counts: What the card tells about the training data.
    """

    def __init__(
        self,
        config: Config,
        model: Seq2Seq,
        data: BatchSource,
        valid: Sequence[Batch],
        validate: Validate | None,
        counts: Mapping[str, int],
    ) -> None:
        self.config, self.settings = config, config.training
        self.model, self.data, self.valid, self.validate, self.counts = model, data, valid, validate, counts
        self.optimizer = make_optimizer(model, self.settings)
        self.average = ParameterAverage(model, self.settings.ema_decay)
        self.clipper = GradientClipper(model, self.settings.clip_norm)
        self.checkpoints = Checkpoints(config.folder, self.settings.keep_checkpoints)
        self.schedule = Schedule(
            peak=self.settings.learning_rate,
            warmup_steps=self.settings.warmup_steps,
            decay_fraction=self.settings.decay_fraction,
            total_steps=self.settings.epochs * data.number_of_batches(0),
            max_seconds=60.0 * self.settings.max_minutes if self.settings.max_minutes else None,
        )
        self.state = TrainingState(config=config)
        self.started = time.monotonic()

    def run(self) -> TrainingResult:
        """Train until the end or an interruption; see `train`."""
        before = self.checkpoints.latest_state()
        if before is not None:
            self._resume(before)
            if self._end() and (self.config.folder / MODEL_FILE).is_file():
                return self._result("already finished", "raise training.epochs or max_minutes to train on")
        else:
            torch.manual_seed(self.settings.seed)  # the same dropout, whatever was drawn since the weights
        self.started = time.monotonic() - self.state.seconds
        with Reporter(self.config.folder / "training.log") as reporter, interrupts() as interrupted:
            reporter.note(self._introduction(resumed=before is not None))
            while self._end() is None and not interrupted.is_set():
                self._run_epoch(reporter, interrupted)
            end = self._end()
            if end is None:
                self._save()
                return self._result("interrupted", "run the same command again to go on")
            if self.state.validated_step != self.state.step:
                self._validate(reporter)
                self._save()
            self._write_model()
            result = self._result(end, f"the model is in {self.config.folder}")
            reporter.note(result.message)
            return result

    def _run_epoch(self, reporter: Reporter, interrupted: threading.Event) -> None:
        """Run the rest of the present epoch, unless training ends before."""
        for batch in self.data.batches(self.state.epoch, start=self.state.batch):
            reporter.step(self.step(batch))
            if self.state.step % self.settings.validate_every == 0:
                self._validate(reporter)
                self._save()
            if interrupted.is_set() or self._end():
                return
        self.state.epoch += 1
        self.state.batch = 0

    def step(self, batch: Batch) -> StepReport:
        """Do one optimiser step.

        Args:
            batch: The pairs.

        Returns:
            Its numbers.

        Raises:
            TrainingError: If gradients were not finite too often in a row.
        """
        state = self.state
        learning_rate = self.schedule.learning_rate(state.step, state.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, nll, tokens = self._losses(batch)
        (loss / tokens).backward()  # type: ignore[no-untyped-call]
        if self.clipper.clip() is not None:
            self.optimizer.step()
            self.average.update(state.step)
        state.step += 1
        state.batch += 1
        state.target_tokens += tokens
        state.seconds = time.monotonic() - self.started
        return StepReport(
            step=state.step,
            epoch=state.epoch + 1,
            epochs=self.settings.epochs,
            loss=loss.item(),
            nll=nll.item(),
            tokens=tokens,
            learning_rate=learning_rate,
            progress=self.schedule.progress(state.step, state.seconds),
            seconds=state.seconds,
            best=_describe(state.best_scores),
        )

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor, int]:
        """Run a batch; returns the sums of smoothed loss and negative log-likelihood, and the number of tokens."""
        device = self.model.device
        source = torch.from_numpy(batch.source).to(device)  # [S, B]
        target = torch.from_numpy(batch.target_output).to(device)  # [T, B]
        encoded = self.model.encode(source, torch.from_numpy(batch.source_lengths))
        hidden = self.model.decode(encoded, torch.from_numpy(batch.target_input).to(device))  # [T, B, E]
        real = target != PAD  # the output layer is the dearest product: padding stays out of it
        targets = target[real]  # [M]
        layer = self.model.output_layer
        loss, nll = output_loss(hidden[real], *layer, targets, self.settings.label_smoothing)
        return loss, nll, len(targets)

    def _validate(self, reporter: Reporter) -> None:
        """Score the averaged parameters, and note whether they are the best."""
        state = self.state
        self.model.eval()
        with self.average.swapped_in():
            scores = {"loss": self._validation_loss()}
            if self.validate is not None:
                scores["bleu"] = self.validate(self.model)
        metric = self.settings.early_stopping_metric
        score = scores[metric]
        best = -math.inf if state.best_score is None else state.best_score * (1 if metric == "bleu" else -1)
        better = state.best_step is None or (score if metric == "bleu" else -score) > best
        if better:
            state.best_step, state.best_score, state.since_best, state.best_scores = state.step, score, 0, scores
        else:
            state.since_best += 1
        state.seconds = time.monotonic() - self.started
        state.validated_step = state.step
        verdict = "best so far" if better else f"best is step {state.best_step}"
        skipped = f", {self.clipper.skipped} steps skipped" if self.clipper.skipped else ""
        when = f"step {state.step} (epoch {min(state.epoch + 1, self.settings.epochs)}, {duration(state.seconds)})"
        reporter.note(f"validation at {when}: {_describe(scores)}, {verdict}{skipped}")

    @torch.inference_mode()
    def _validation_loss(self) -> float:
        """Negative log-likelihood per target token of the validation set, in nats."""
        total, tokens = 0.0, 0
        for batch in self.valid:
            _, nll, count = self._losses(batch)
            total += nll.item()
            tokens += count
        return total / tokens

    def _end(self) -> Literal["finished", "stopped early"] | None:
        """Tell whether training is over, and why."""
        state, limit = self.state, self.schedule.max_seconds
        if state.epoch >= self.settings.epochs or (limit is not None and state.seconds >= limit):
            return "finished"
        return "stopped early" if state.since_best >= self.settings.patience else None

    def _resume(self, before: TrainingState) -> None:
        check_same_training(before.config, self.config)
        self.checkpoints.restore(before.step, self.model, self.optimizer, self.average)
        self.state = before.model_copy(update={"config": self.config})

    def _save(self) -> None:
        self.checkpoints.save(self.model, self.optimizer, self.average, self.state)

    def _write_model(self) -> None:
        self.checkpoints.load_best(self.model)
        state = self.state
        scores = {f"validation {name}": f"{value:.4f}" for name, value in state.best_scores.items()}
        counts = {**self.counts, "steps": state.step, "target tokens seen": state.target_tokens}
        notes = f"Trained in {duration(state.seconds)}; these are the parameters of step {state.best_step}."
        save_model(self.config.folder, self.config, self.model.eval(), ModelCard(counts, scores, notes))

    def _introduction(self, *, resumed: bool) -> str:
        what = f"continuing at step {self.state.step}" if resumed else "starting"
        batches, threads = self.data.number_of_batches(0), torch.get_num_threads()
        return (
            f"{what}: {self.model.number_of_parameters:,} parameters, {self.settings.epochs} epochs "
            f"of {batches:,} batches, {threads} threads"
        )

    def _result(self, status: Status, advice: str) -> TrainingResult:
        state = self.state
        best = f", best at step {state.best_step}: {_describe(state.best_scores)}" if state.best_scores else ""
        message = f"{status} after {state.step} steps in {duration(state.seconds)}{best}; {advice}"
        return TrainingResult(
            status, message, state.step, state.epoch, state.best_step, state.best_score, state.seconds
        )


def _describe(scores: Mapping[str, float]) -> str:
    """Write validation scores in words."""
    parts = [f"ppl {perplexity(scores['loss']):.2f}"] if "loss" in scores else []
    return ", ".join(parts + ([f"BLEU {scores['bleu']:.2f}"] if "bleu" in scores else []))
