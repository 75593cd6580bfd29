"""Validation: the numbers, and what follows from them for early stopping and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from nmt.config import TrainingConfig
from nmt.data.batching import Batch
from nmt.model.seq2seq import Seq2Seq
from nmt.training import TrainingError
from nmt.training.loss import batch_loss
from nmt.training.optimizer import ParameterAverage
from nmt.training.progress import perplexity
from nmt.training.state import TrainingState

Validate = Callable[[Seq2Seq], float]
"""Translates the validation set with a network and returns BLEU, 0..100."""


def run_validation(
    model: Seq2Seq, average: ParameterAverage, batches: Sequence[Batch], validate: Validate | None
) -> dict[str, float]:
    """Score the averaged parameters of a network; leaves it in evaluation mode.

    Args:
        model: The network.
        average: The average of its parameters.
        batches: The validation set.
        validate: Computes BLEU; None leaves it out.

    Returns:
        "loss", the negative log-likelihood per target token in nats, and "bleu".

    Raises:
        TrainingError: The loss is not finite.
    """
    model.eval()
    with average.swapped_in():
        scores = {"loss": _loss(model, batches)}
        if not math.isfinite(scores["loss"]):
            raise TrainingError(
                f"the loss on the validation set is {scores['loss']}: training has diverged; "
                "lower training.learning_rate to go on from the last checkpoint"
            )
        if validate is not None:
            scores["bleu"] = validate(model)
    return scores


def update_early_stopping(state: TrainingState, scores: Mapping[str, float], settings: TrainingConfig) -> bool:
    """Note what a validation at `state.step` says: whether it is the best, and what that means for the learning rate.

    Args:
        state: Where training stands; changed in place.
        scores: The numbers.
        settings: Its metric, and the patience of the schedule.

    Returns:
        Whether it is the best so far.
    """
    score = scores[settings.early_stopping_metric]
    higher_is_better = settings.early_stopping_metric == "bleu"
    best = state.best_score
    better = best is None or (score > best if higher_is_better else score < best)
    state.validated_step = state.step
    state.recent_nll, state.recent_tokens = 0.0, 0
    if better:
        state.best_step, state.best_score, state.best_scores = state.step, score, dict(scores)
        state.since_best = state.since_reduction = 0
        return True
    state.since_best += 1
    state.since_reduction += 1
    if settings.schedule == "plateau" and state.since_reduction >= settings.plateau_patience:
        state.reductions += 1
        state.since_reduction = 0
    return False


def describe(scores: Mapping[str, float]) -> str:
    """Write validation scores in words."""
    parts = [f"ppl {perplexity(scores['loss']):.2f}"] if "loss" in scores else []
    return ", ".join(parts + ([f"BLEU {scores['bleu']:.2f}"] if "bleu" in scores else []))


@torch.inference_mode()
def _loss(model: Seq2Seq, batches: Sequence[Batch]) -> float:
    total, tokens = 0.0, 0
    for batch in batches:
        _, nll, count = batch_loss(model, batch, smoothing=0.0)
        total += nll.item()
        tokens += count
    return total / tokens
