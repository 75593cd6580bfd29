"""Label-smoothed cross-entropy, summed over tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Keeps only the logits and one number per row, where composed operations would keep several [M, V] tensors."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        normaliser = torch.logsumexp(logits, dim=1)  # [M]
        chosen = logits.gather(1, targets[:, None])[:, 0]  # [M]
        nll = (normaliser - chosen).sum()
        loss = nll
        if smoothing:
            uniform = (normaliser - logits.mean(dim=1)).sum()  # the cross-entropy to an even spread
            loss = (1.0 - smoothing) * nll + smoothing * uniform
        ctx.save_for_backward(logits, targets, normaliser)
        ctx.smoothing = smoothing
        ctx.mark_non_differentiable(nll)
        return loss.clone(), nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, normaliser = ctx.saved_tensors
        gradient = (logits - normaliser[:, None]).exp_()  # [M, V], the softmax
        gradient -= ctx.smoothing / logits.shape[1]
        rows = torch.arange(len(targets), device=targets.device)
        gradient[rows, targets] -= 1.0 - ctx.smoothing
        return gradient.mul_(gradients[0]), None, None


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy to targets of which a share is spread evenly over the vocabulary.

    Args:
        logits: Unnormalised log-probabilities, [M, V]; leave padding out beforehand.
        targets: Ids, [M] int64.
        smoothing: The share, in [0, 1).

    Returns:
        The loss and the plain negative log-likelihood, both summed over the M tokens, in nats; only the loss carries a
        gradient.

    Source: Szegedy et al. 2016, section 7; the same numbers as torch's cross_entropy(label_smoothing=...).
    """
    result: tuple[Tensor, Tensor] = _SmoothedCrossEntropy.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return result
