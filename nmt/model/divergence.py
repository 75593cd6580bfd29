"""How far two predictions of the same words lie apart, without the scores of all words at once.

For devices whose `rnn_engine.linear_cross_entropy` does not tell it.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

_BLOCK: Final = 4 << 20
"""Scores of one pass that are held at once, at most: 16 MiB."""
_HELD: Final = 7
"""Arrays as large as these scores that live at once: scores, logarithms and probabilities of both, and a product."""
_FLOAT: Final = 4


def output_divergence(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compare what two vectors of the decoder predict, in float32 whatever autocast says.

    The gradients are made together with the value, block by block.

    Args:
        one: Vectors of one pass, [N, E].
        other: Vectors of another pass over the same text, [N, E].
        weight: Output layer, [V, E].
        bias: Output layer, [V].

    Returns:
        KL(one || other) + KL(other || one), summed over the N tokens, in nats; carries gradients to all four.

    Source: Liang et al. 2021 (R-Drop), equation 2, without the factor.
    """
    with torch.autocast(one.device.type, enabled=False):
        result: Tensor = _Divergence.apply(one.float(), other.float(), weight, bias)  # type: ignore[no-untyped-call]
    return result


def divergence_workspace(weight: Tensor, tokens: int) -> int:
    """Tell the bytes that `output_divergence` takes for so many tokens, gradients of the vectors included."""
    vocabulary, width = weight.shape
    return _FLOAT * (_HELD * _rows(vocabulary) * vocabulary + 4 * tokens * width + 2 * weight.numel())


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        sides = one, other
        by_vector = [torch.empty_like(side) for side in sides]
        by_weight, by_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        total = one.new_zeros(())
        rows = _rows(len(weight))
        for start in range(0, len(one), rows):
            vectors = [side[start : start + rows] for side in sides]
            logs = [torch.addmm(bias, vector, weight.t()).log_softmax(-1) for vector in vectors]
            chances = [log.exp() for log in logs]
            apart = logs[0].sub_(logs[1])
            forth = (chances[0] * apart).sum(-1, keepdim=True)  # KL(one || other) of each token
            back = -(chances[1] * apart).sum(-1, keepdim=True)
            total += forth.sum() + back.sum()
            # By the scores of `one`: p (log p - log q - KL(p || q)) of the first divergence, p - q of the second.
            difference = chances[0] - chances[1]
            changes = (
                (apart - forth).mul_(chances[0]).add_(difference),
                (apart + back).mul_(chances[1]).add_(difference).neg_(),
            )
            for vector, change, result in zip(vectors, changes, by_vector, strict=True):
                torch.mm(change, weight, out=result[start : start + rows])
                by_weight.addmm_(change.t(), vector)
                by_bias += change.sum(0)
        ctx.save_for_backward(*by_vector, by_weight, by_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(gradient * gradients[0] for gradient in ctx.saved_tensors)


def _rows(vocabulary: int) -> int:
    return max(1, _BLOCK // vocabulary)
