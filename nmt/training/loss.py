"""Label-smoothed cross-entropy, together with the output layer that it ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nmt.data.batching import Batch
from nmt.data.subwords import PAD
from nmt.model.seq2seq import Seq2Seq

ROWS = 512
"""Tokens scored at once: enough for matrix products at full speed, few enough to need little memory."""


class _OutputLoss(torch.autograd.Function):
    """Output layer and loss as one node, some rows at a time.

    The loss is a sum over tokens, so that its gradient is known, up to a factor, as soon as the logits are: it is
    formed there and then, in their place. No [M, V] tensor is stored and the vocabulary is passed over fewer times.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        differentiate = any(ctx.needs_input_grad)
        d_hidden, d_weight, d_bias = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(bias)
        loss, nll = hidden.new_zeros(()), hidden.new_zeros(())
        for start in range(0, len(hidden), ROWS):
            rows, ids = hidden[start : start + ROWS], targets[start : start + ROWS, None]  # [R, E], [R, 1]
            logits = torch.addmm(bias, rows, weight.T)  # [R, V]
            chosen, mean, highest = logits.gather(1, ids), logits.mean(1, keepdim=True), logits.amax(1, keepdim=True)
            powers = logits.sub_(highest).exp_()  # [R, V]
            total = powers.sum(1, keepdim=True)  # [R, 1]
            normaliser = total.log() + highest  # [R, 1]
            nll += (normaliser - chosen).sum()
            loss += (normaliser - (1.0 - smoothing) * chosen - smoothing * mean).sum()
            if differentiate:
                slope = powers.div_(total).sub_(smoothing / len(weight))  # [R, V], softmax minus the smoothed target
                slope.scatter_add_(1, ids, torch.full_like(chosen, smoothing - 1.0))
                torch.mm(slope, weight, out=d_hidden[start : start + ROWS])
                d_weight.addmm_(slope.T, rows)
                d_bias += slope.sum(0)
        if differentiate:
            ctx.save_for_backward(d_hidden, d_weight, d_bias)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        factor = gradients[0]
        return d_hidden * factor, d_weight * factor, d_bias * factor, None, None


def output_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Score the vocabulary, and compare with targets of which a share is spread evenly over it.

    Args:
        hidden: Vectors from the decoder, [M, E]; leave padding out beforehand.
        weight: Output layer, [V, E].
        bias: Output layer, [V].
        targets: Ids, [M] int64.
        smoothing: The share, in [0, 1).

    Returns:
        The loss and the plain negative log-likelihood, both summed over the M tokens, in nats; only the loss carries
        gradients, to the first three.

    Source: Szegedy et al. 2016, section 7; the same numbers as torch's cross_entropy(label_smoothing=...).
    """
    result: tuple[Tensor, Tensor] = _OutputLoss.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, smoothing
    )
    return result


def batch_loss(model: Seq2Seq, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor, int]:
    """Run a batch through a network.

    Args:
        model: The network.
        batch: The pairs.
        smoothing: See `output_loss`.

    Returns:
        The smoothed loss and the negative log-likelihood, both summed over the target tokens, in nats, and the number
        of target tokens.
    """
    device = model.device
    source = torch.from_numpy(batch.source).to(device)  # [S, B]
    target = torch.from_numpy(batch.target_output).to(device)  # [T, B]
    encoded = model.encode(source, torch.from_numpy(batch.source_lengths))
    hidden = model.decode(encoded, torch.from_numpy(batch.target_input).to(device))  # [T, B, E]
    real = target != PAD  # the output layer is the dearest product: padding stays out of it
    targets = target[real]  # [M]
    loss, nll = output_loss(hidden[real], *model.output_layer, targets, smoothing)
    return loss, nll, len(targets)
