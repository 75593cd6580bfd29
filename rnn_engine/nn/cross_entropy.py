"""Output layer and cross-entropy in one: the logits of all tokens never exist at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.nn.autograd import new_tensor, plain

_DTYPES = (torch.float32, torch.float64)


class CrossEntropy(NamedTuple):
    """What `linear_cross_entropy` returns.

    Attributes:
        loss: Smoothed loss, a scalar of the inputs' type; differentiable in hidden, weight and bias.
        nll: Negative log-likelihood of the targets, reduced as the loss; carries no gradient.
        right: int64 scalar: tokens whose target is the (first) class with the highest logit.
        tokens: Number of tokens that are not ignored.
    """

    loss: Tensor
    nll: Tensor
    right: Tensor
    tokens: int


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Literal["sum", "mean"] = "mean",
) -> CrossEntropy:
    """Scores a vocabulary and compares with targets; the same numbers as torch's `linear` and `cross_entropy`.

    The gradients are formed together with the loss, some tokens at a time; beside them only a block of scratch is
    taken (docs/engine.md says how large). A second backward (retain_graph=True) computes them again.

    Args:
        hidden: Vectors, float32 or float64 [..., E].
        weight: Output layer, [V, E]; may be tied to an embedding.
        targets: Classes, int64 [...], each 0 to V-1 or `ignore_index`.
        bias: Output layer, [V].
        label_smoothing: Share of a target that is spread evenly over the vocabulary, 0 to 1.
        ignore_index: Tokens with this target are left out; their vectors are not looked at and their gradient is 0.
        reduction: "sum" over the tokens, or their "mean" (nan if there are none).

    Raises:
        ValueError: A shape, dtype, device or value is not what is expected.

    Source: Szegedy et al. 2016, section 7 (label smoothing).
    """
    _check(hidden, weight, targets, bias)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction: expected "sum" or "mean", got {reduction!r}')
    ignored = targets == ignore_index
    wrong = ((targets < 0) | (targets >= len(weight))) & ~ignored
    if wrong.any():
        where = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"targets[{', '.join(map(str, where))}]: expected 0 to V - 1 = {len(weight) - 1} or "
            f"ignore_index = {ignore_index}, got {targets[where].item()}"
        )
    tokens = targets.numel() - int(ignored.sum())
    scale = 1.0 / tokens if reduction == "mean" and tokens else 1.0
    call = _Call(label_smoothing, ignore_index, scale, torch.get_num_threads())
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, weight, bias)):
        loss, nll, right = _LinearCrossEntropy.apply(call, hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    else:
        (loss, nll, right), _ = _run(call, hidden, weight, bias, targets, (False, False, False))
    if reduction == "mean" and not tokens:
        loss, nll = loss + math.nan, nll + math.nan  # a sum, so that gradients stay 0
    return CrossEntropy(loss, nll, right, tokens)


def _check(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None) -> None:
    if weight.dim() != 2 or 0 in weight.shape:
        raise ValueError(f"weight: expected [V, E] of at least [1, 1], got {list(weight.shape)}")
    vocabulary, features = weight.shape
    if hidden.dim() < 1 or hidden.shape[-1] != features:
        raise ValueError(f"hidden: expected [..., E] with E = {features} as weight, got {list(hidden.shape)}")
    if targets.dtype != torch.int64:
        raise ValueError(f"targets: expected torch.int64, got {targets.dtype}")
    if targets.shape != hidden.shape[:-1]:
        raise ValueError(f"targets: expected {list(hidden.shape[:-1])} as hidden, got {list(targets.shape)}")
    if bias is not None and list(bias.shape) != [vocabulary]:
        raise ValueError(f"bias: expected [V] = [{vocabulary}], got {list(bias.shape)}")
    if weight.dtype not in _DTYPES:
        raise ValueError(f"weight: expected torch.float32 or torch.float64, got {weight.dtype}")
    for name, tensor in (("hidden", hidden), ("bias", bias)):
        if tensor is not None and tensor.dtype != weight.dtype:
            raise ValueError(f"{name}: expected {weight.dtype} as weight, got {tensor.dtype}")
    for name, tensor in (("hidden", hidden), ("weight", weight), ("targets", targets), ("bias", bias)):
        if tensor is not None and tensor.device.type != "cpu":
            raise ValueError(f"{name}: expected a tensor on the CPU, got {tensor.device}")


@dataclass(frozen=True)
class _Call:
    """What one call computes, beside its tensors; `scale` is what turns the sum into the loss."""

    smoothing: float
    ignore_index: int
    scale: float
    threads: int


def _zeros_like(parameter: Tensor) -> Tensor:
    zeros = new_tensor(parameter.shape, parameter.dtype)
    zeros.numpy().fill(0)  # torch's own fill would wake its threads
    return zeros


_Outputs = tuple[Tensor, Tensor, Tensor]
_Gradients = list[Tensor | None]


def _run(
    call: _Call, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, wanted: tuple[bool, ...]
) -> tuple[_Outputs, _Gradients]:
    """Loss, nll and right; and the wanted gradients of hidden, weight and bias."""
    context = native.context(call.threads)
    problem = native.LossProblem(
        dtype=native.DTYPES[str(weight.dtype).removeprefix("torch.")],
        gradients=sum(1 << i for i, each in enumerate(wanted) if each),
        tokens=targets.numel(),
        features=weight.shape[1],
        vocabulary=weight.shape[0],
        ignore_index=call.ignore_index,
        smoothing=call.smoothing,
    )
    scratch = pool.take(context.loss_scratch(problem), brief=True)
    gradients = (
        new_tensor(hidden.shape, hidden.dtype) if wanted[0] else None,
        _zeros_like(weight) if wanted[1] else None,
        _zeros_like(bias) if wanted[2] and bias is not None else None,
    )
    inputs = (plain(hidden), plain(weight), plain(bias), targets.contiguous())
    loss, nll, right = context.linear_cross_entropy(problem, inputs, call.scale, gradients, scratch.array)
    outputs = weight.new_tensor(loss * call.scale), weight.new_tensor(nll * call.scale), torch.tensor(right)
    return outputs, list(gradients)


class _LinearCrossEntropy(torch.autograd.Function):
    """One node of the graph. Backward hands over what forward formed; a second one forms it again."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> _Outputs:
        outputs, ctx.gradients = _run(call, hidden, weight, bias, targets, ctx.needs_input_grad[1:4])
        ctx.call = call
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        hidden, weight, bias, targets = ctx.saved_tensors  # raises if an input was changed since
        gradients: _Gradients | None
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            _, gradients = _run(ctx.call, hidden, weight, bias, targets, ctx.needs_input_grad[1:4])
        factor = upstream[0].item()
        if factor != 1.0:
            for gradient in gradients:
                if gradient is not None:
                    gradient.mul_(factor)
        return None, *gradients, None


__all__ = ["CrossEntropy", "linear_cross_entropy"]
