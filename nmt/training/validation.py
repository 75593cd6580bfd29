"""Validation: the numbers, and what follows from them for early stopping and the learning rate."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import torch

from nmt.config import TrainingConfig
from nmt.data.batching import Batch
from nmt.model.device import release_memory
from nmt.model.seq2seq import Seq2Seq
from nmt.training import TrainingError
from nmt.training.loss import batch_loss
from nmt.training.optimizer import ParameterAverage
from nmt.training.progress import perplexity
from nmt.training.samples import Sample, Translated
from nmt.training.state import TrainingState

_CHANCE: Final = 16.0
"""BLEU by which the luckiest of a training's checkpoints is ahead on one line; on `n` lines it is a root of n less.

Between two late checkpoints the standard deviation was 7 to 8 on captions and 13 to 14 on short sentences.
"""
Validate = Callable[[Seq2Seq], float | Translated]
"""Translates the validation set with a network, and returns BLEU, 0..100, or more than that."""


@dataclass(frozen=True)
class Validation:
    """What a validation found."""

    scores: dict[str, float]
    """By name."""
    samples: Sequence[Sample] = ()

    def as_json(self) -> str:
        """Write it as text, to the bit."""
        return json.dumps([self.scores, self.samples])

    @classmethod
    def from_json(cls, text: str) -> Validation:
        """Read what `as_json` wrote."""
        scores, samples = json.loads(text)
        return cls(scores, [Sample(*each) for each in samples])


def run_validation(
    model: Seq2Seq, average: ParameterAverage, batches: Sequence[Batch], validate: Validate | None
) -> Validation:
    """Score the averaged parameters of a network; leaves it in evaluation mode.

    What a step, the loss and the translations take is each given back before the next begins: the largest of the three
    is the most that training needs.

    Args:
        model: The network.
        average: The average of its parameters.
        batches: The validation set.
        validate: Computes BLEU; None leaves it out.

    Returns:
        "loss", the negative log-likelihood per target token in nats, and "bleu"; of several pairs of languages their
        means, and those of each, as in "bleu_en-de".

    Raises:
        TrainingError: The loss is not finite.
    """
    release_memory()
    model.eval()
    samples: Sequence[Sample] = ()
    with average.swapped_in():
        scores = _with_mean("loss", _losses(model, batches))
        if not math.isfinite(scores["loss"]):
            raise TrainingError(
                f"the loss on the validation set is {scores['loss']}: training has diverged; "
                "lower training.learning_rate to go on from the last checkpoint"
            )
        if validate is not None:
            release_memory()
            found = validate(model)
            translated = found if isinstance(found, Translated) else Translated({"": found})
            scores |= _with_mean("bleu", translated.bleu)
            samples = translated.samples
    release_memory()
    return Validation(scores, samples)


def _with_mean(name: str, each: Mapping[str, float]) -> dict[str, float]:
    """Name a score of several pairs of languages, and their mean; of one there is nothing more to tell."""
    mean = {name: fmean(each.values())}
    return mean | {f"{name}_{direction}": score for direction, score in each.items()} if len(each) > 1 else mean


def update_early_stopping(
    state: TrainingState, scores: Mapping[str, float], settings: TrainingConfig, lines: int
) -> None:
    """Note what a validation at `state.step` says: whether it is the best, and what that means for the learning rate.

    The highest BLEU of many is that of a checkpoint with luck on these lines: the best is the latest of those whose
    BLEU is not below it by more than chance. What the learning rate and the end wait for is a higher one.

    Args:
        state: Where training stands; changed in place.
        scores: The numbers.
        settings: Its metric, and the patience of the schedule.
        lines: Pairs of the validation set.
    """
    score = scores[settings.early_stopping_metric]
    of_bleu = settings.early_stopping_metric == "bleu"
    top = state.best_score
    higher = top is None or (score > top if of_bleu else score < top)
    best = higher or (of_bleu and top is not None and score > top - _CHANCE / math.sqrt(lines))
    state.validated_step = state.step
    state.recent_nll, state.recent_tokens = 0.0, 0
    if best:
        state.best_step, state.best_scores = state.step, dict(scores)
    if higher:
        state.best_score = score
        state.since_best = state.since_reduction = 0
        return
    state.since_best += 1
    state.since_reduction += 1
    if settings.schedule == "plateau" and state.since_reduction >= settings.plateau_patience:
        state.reductions += 1
        state.since_reduction = 0


def describe_verdict(state: TrainingState) -> str:
    """Tell whether the last validation was the best one."""
    if state.best_step != state.validated_step:
        return f"best is step {state.best_step}"
    return f"as good as the best, {state.best_score:.2f}" if state.since_best else "best so far"


def describe(scores: Mapping[str, float]) -> str:
    """Write validation scores in words."""
    parts = [f"ppl {perplexity(scores['loss']):.2f}"] if "loss" in scores else []
    if "bleu" in scores:
        each = [f"{name[5:]} {score:.2f}" for name, score in scores.items() if name.startswith("bleu_")]
        parts.append(f"BLEU {scores['bleu']:.2f}" + (f" ({', '.join(each)})" if each else ""))
    return ", ".join(parts)


@torch.inference_mode()
def _losses(model: Seq2Seq, batches: Sequence[Batch]) -> dict[str, float]:
    """Loss of each pair of languages."""
    totals: dict[str, float] = {}
    tokens: dict[str, int] = {}
    for batch in batches:
        _, nll, count = batch_loss(model, batch, smoothing=0.0)
        totals[batch.direction] = totals.get(batch.direction, 0.0) + nll.item()
        tokens[batch.direction] = tokens.get(batch.direction, 0) + count
    return {direction: total / tokens[direction] for direction, total in totals.items()}
