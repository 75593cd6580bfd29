"""Output layer and cross-entropy in one: the logits of all tokens never exist at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.autograd import plain, value_dtype
from rnn_engine.nn.devices import NAMES, Device, called_dtype, called_dtype_name, device_of, either
from rnn_engine.nn.observed import check_backward, observed
from rnn_engine.nn.operators import Operator


class CrossEntropy(NamedTuple):
    """What `linear_cross_entropy` returns.

    Attributes:
        loss: Smoothed loss, a scalar of the inputs' type (float32 for halves); differentiable in hidden, weight and
            bias.
        nll: Negative log-likelihood of the targets, reduced as the loss; carries no gradient.
        target_is_argmax: int64 scalar: tokens whose target is the (first) class with the highest logit.
        tokens: Number of tokens that are not ignored; on CUDA an int64 scalar on the device, as nothing waits for it,
            and a scalar wherever the call is recorded or transformed.
        divergence: KL(p || q) + KL(q || p) of what two passes predict, reduced as the loss, unweighted; 0 if none was
            asked for. Carries no gradient.
    """

    loss: Tensor
    nll: Tensor
    target_is_argmax: Tensor
    tokens: int | Tensor
    divergence: Tensor


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Literal["sum", "mean"] = "mean",
    divergence: float = 0.0,
) -> CrossEntropy:
    """Scores a vocabulary and compares with targets; the same numbers as torch's `linear` and `cross_entropy`.

    The gradients are formed together with the loss, some tokens at a time; beside them only a block of workspace is
    taken (docs/engine.md says how large). A second backward (retain_graph=True) computes them again.

    Of bfloat16 and float16 inputs the logits, the loss and the sums are float32; products take the logits' gradients
    rounded. Under torch.autocast float32 vectors and weights are rounded for the call if the device has kernels for
    that type; the gradients of weight and bias are not.

    On CUDA float32 products may round to TF32 where torch's `linear` may (docs/gpu.md), and all of it stays on the
    device. A target out of bounds cannot be told of there without waiting: loss and gradients are then nan.

    Args:
        hidden: Vectors, float32, float64 or bfloat16, on CUDA also float16 [..., E].
        weight: Output layer, [V, E]; may be tied to an embedding.
        targets: Classes, int64 [...], each 0 to V-1 or `ignore_index`.
        bias: Output layer, [V].
        label_smoothing: Share of a target that is spread evenly over the vocabulary, 0 to 1.
        ignore_index: Tokens with this target are left out; their vectors are not looked at and their gradient is 0.
        reduction: "sum" over the tokens, or their "mean" (nan if there are none).
        divergence: Unless 0, neighbours along the last dimension of targets, 2i and 2i + 1, are two passes over one
            token with one target, and the loss of both also gets this times KL(p || q) + KL(q || p), p and q being
            what they predict. CPU only. A logit below -2^64 counts as that in the divergence, so that -inf in both is
            no difference.

    Raises:
        ValueError: A shape, dtype, device or value is not what is expected.

    Source: Szegedy et al. 2016, section 7 (label smoothing); Liang et al. 2021, equation 2 (divergence).
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction: expected "sum" or "mean", got {reduction!r}')
    if not 0.0 <= divergence < math.inf:
        raise ValueError(f"divergence: expected a finite weight of at least 0, got {divergence}")
    _check_devices(hidden, weight, targets, bias)
    if observed(hidden, weight, targets, bias):
        tensors, call = [hidden, weight, targets], f"{called_dtype_name(weight)} {ignore_index} {reduction}"
        results = _LOSS(tensors if bias is None else [*tensors, bias], [label_smoothing, divergence], call)
        return CrossEntropy(results[0], results[1].detach(), results[2], results[3], results[4].detach())
    device = device_of(weight)
    dtype = called_dtype(weight, device.dtypes)
    _check(hidden, weight, targets, bias, dtype, divergence)
    sums = (_look_at if device.waits else _do_not_look_at)(targets, len(weight), ignore_index, mean=reduction == "mean")
    threads = torch.get_num_threads()
    made = _Call(device, dtype, label_smoothing, divergence, ignore_index, sums.scale, threads, device.matmul_tf32)
    inputs = hidden, weight, bias, sums.targets
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, weight, bias)):
        outputs = _LinearCrossEntropy.apply(made, *inputs)  # type: ignore[no-untyped-call]
    else:
        outputs, _ = _run(made, *inputs, (False, False, False))
    loss, nll, target_is_argmax, tokens, apart = outputs
    return CrossEntropy(
        sums.reduced(loss),
        sums.reduced(nll),
        target_is_argmax,
        int(tokens) if device.waits else tokens,
        sums.reduced(apart),
    )


@dataclass(frozen=True)
class _Sums:
    """Targets that the kernels may rely on, and what becomes of the sums over them.

    Attributes:
        targets: Each 0 to V-1, or ignored.
        scale: What the kernels multiply by.
        factor: What is multiplied by afterwards.
        offset: What is added then: nan for the mean of nothing, whose gradients so stay 0.
    """

    targets: Tensor
    scale: float = 1.0
    factor: Tensor | None = None
    offset: Tensor | float | None = None

    def reduced(self, value: Tensor) -> Tensor:
        if self.factor is not None:
            value = value * self.factor.to(value.dtype)
        if isinstance(self.offset, Tensor):
            return value + self.offset.to(value.dtype)
        return value if self.offset is None else value + self.offset


def _wrong(targets: Tensor, vocabulary: int, ignored: Tensor) -> Tensor:
    return ((targets < 0) | (targets >= vocabulary)) & ~ignored


def _look_at(targets: Tensor, vocabulary: int, ignore_index: int, *, mean: bool) -> _Sums:
    """Where numbers are at hand: wrong targets are told, and tokens counted before the call."""
    ignored = targets == ignore_index
    wrong = _wrong(targets, vocabulary, ignored)
    if wrong.any():
        where = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"targets[{', '.join(map(str, where))}]: expected 0 to V - 1 = {vocabulary - 1} or "
            f"ignore_index = {ignore_index}, got {targets[where].item()}"
        )
    tokens = targets.numel() - int(ignored.sum())
    if not mean:
        return _Sums(targets)
    return _Sums(targets, scale=1.0 / tokens) if tokens else _Sums(targets, offset=math.nan)


def _do_not_look_at(targets: Tensor, vocabulary: int, ignore_index: int, *, mean: bool) -> _Sums:
    """Where a look at a number would wait for the device: the same, as far as it can be done there."""
    ignored = targets == ignore_index
    wrong = _wrong(targets, vocabulary, ignored)
    factor = torch.where(wrong.any(), math.nan, 1.0).double()
    offset = None
    if mean:
        tokens = (~ignored).sum()
        factor = factor / tokens.clamp(min=1)
        offset = torch.where(tokens == 0, math.nan, 0.0)
    return _Sums(targets.masked_fill(wrong, ignore_index), factor=factor, offset=offset)


def _check_devices(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None) -> None:
    """Torch would run an operator of tensors on several devices on one of them."""
    for name, tensor in (("hidden", hidden), ("targets", targets), ("bias", bias)):
        if isinstance(tensor, Tensor) and tensor.device != weight.device:
            raise ValueError(f"{name}: expected a tensor on {weight.device} as weight, got one on {tensor.device}")


def _check(
    hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None, dtype: torch.dtype, divergence: float
) -> None:
    if weight.dim() != 2 or 0 in weight.shape:
        raise ValueError(f"weight: expected [V, E] of at least [1, 1], got {list(weight.shape)}")
    vocabulary, features = weight.shape
    if hidden.dim() < 1 or hidden.shape[-1] != features:
        raise ValueError(f"hidden: expected [..., E] with E = {features} as weight, got {list(hidden.shape)}")
    if targets.dtype != torch.int64:
        raise ValueError(f"targets: expected torch.int64, got {targets.dtype}")
    if targets.shape != hidden.shape[:-1]:
        raise ValueError(f"targets: expected {list(hidden.shape[:-1])} as hidden, got {list(targets.shape)}")
    if divergence and (targets.dim() < 1 or targets.shape[-1] % 2):
        raise ValueError(
            f"targets: expected an even last dimension, as two passes are neighbours, got {list(targets.shape)}"
        )
    if bias is not None and list(bias.shape) != [vocabulary]:
        raise ValueError(f"bias: expected [V] = [{vocabulary}], got {list(bias.shape)}")
    dtypes = device_of(weight).dtypes
    if weight.dtype not in dtypes:
        raise ValueError(f"weight: expected {either(dtypes)} on {weight.device}, got {weight.dtype}")
    for name, tensor in (("hidden", hidden), ("bias", bias)):
        if tensor is not None and tensor.dtype not in (dtype, weight.dtype):
            raise ValueError(f"{name}: expected {weight.dtype} as weight, got {tensor.dtype}")


@dataclass(frozen=True)
class _Call:
    """What one call computes, beside its tensors; `scale` is what turns the sum into the loss."""

    device: Device
    dtype: torch.dtype
    smoothing: float
    divergence: float
    ignore_index: int
    scale: float
    threads: int
    tf32: bool


_Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
_Gradients = list[Tensor | None]


def _run(
    call: _Call, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, wanted: tuple[bool, ...]
) -> tuple[_Outputs, _Gradients]:
    """Loss, nll, target_is_argmax, tokens and divergence; and the wanted gradients of hidden, weight and bias."""
    device, values = call.device, value_dtype(call.dtype)
    context = device.context(call.threads)
    problem = native.LossProblem(
        dtype=native.DTYPES[NAMES[call.dtype]],
        gradients=sum(1 << i for i, each in enumerate(wanted) if each),
        tokens=targets.numel(),
        features=weight.shape[1],
        vocabulary=weight.shape[0],
        ignore_index=call.ignore_index,
        smoothing=call.smoothing,
        tf32=call.tf32,
        divergence=call.divergence,
    )
    workspace = device.workspace(context.loss_workspace(problem))
    gradients = (
        device.new(hidden.shape, call.dtype) if wanted[0] else None,
        device.zeros(weight.shape, values) if wanted[1] else None,
        device.zeros(bias.shape, values) if wanted[2] and bias is not None else None,
    )
    inputs = (
        plain(device, hidden, call.dtype),
        plain(device, weight, call.dtype),
        plain(device, bias, values),
        plain(device, targets, torch.int64),
    )
    result = device.new((5,), torch.int64)  # rnn_engine_loss_result
    context.linear_cross_entropy(problem, inputs, call.scale, gradients, workspace, result, device.stream())
    loss, nll, *_, apart = result.view(torch.float64)
    types = hidden.dtype, weight.dtype, weight.dtype if bias is None else bias.dtype
    formed = [None if g is None else device.cast(g, each) for g, each in zip(gradients, types, strict=True)]
    loss, nll, apart = ((each * call.scale).to(values) for each in (loss, nll, apart))
    return (loss, nll, result[2].clone(), result[3].clone(), apart), formed  # of their own, no views


class _LinearCrossEntropy(torch.autograd.Function):
    """One node of the graph. Backward hands over what forward formed; a second one forms it again."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> _Outputs:
        outputs, gradients = _run(call, hidden, weight, bias, targets, ctx.needs_input_grad[1:4])
        ctx.call, ctx.fresh = call, True
        ctx.save_for_backward(hidden, weight, bias, targets, *gradients)
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        check_backward(*upstream)
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        hidden, weight, bias, targets, *gradients = ctx.saved_tensors  # raises if an input was changed since
        if not ctx.fresh:
            _, gradients = _run(ctx.call, hidden, weight, bias, targets, ctx.needs_input_grad[1:4])
        ctx.fresh = False
        factor = upstream[0].item() if ctx.call.device.waits else upstream[0]
        if isinstance(factor, Tensor) or factor != 1.0:
            for gradient in gradients:
                if gradient is not None:
                    gradient.data.mul_(factor)  # no change to be noticed: a second backward does not look at it
        return None, *gradients, None


def _given(
    tensors: list[Tensor], numbers: list[float], call: str, wanted: tuple[bool, ...]
) -> tuple[_Sums, _Outputs, _Gradients]:
    """A call of the operator: what becomes of the sums, the sums, and the wanted gradients of them."""
    hidden, weight, targets, bias = [*tensors, None][:4]
    assert hidden is not None
    assert weight is not None
    assert targets is not None
    dtype, ignore_index, reduction = call.split(" ")
    device, kind, ignored = device_of(weight), getattr(torch, dtype), int(ignore_index)
    _check(hidden, weight, targets, bias, kind, numbers[1])
    sums = (_look_at if device.waits else _do_not_look_at)(targets, len(weight), ignored, mean=reduction == "mean")
    threads = torch.get_num_threads()
    made = _Call(device, kind, numbers[0], numbers[1], ignored, sums.scale, threads, device.matmul_tf32)
    return sums, *_run(made, hidden, weight, bias, sums.targets, wanted)


def _run_operator(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    sums, (loss, nll, target_is_argmax, tokens, apart), _ = _given(tensors, numbers, call, (False, False, False))
    return [sums.reduced(loss), sums.reduced(nll), target_is_argmax, tokens, sums.reduced(apart)]


def _shapes(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    weight, values = tensors[1], value_dtype(getattr(torch, call.split(" ", 1)[0]))
    return [weight.new_empty((), dtype=dtype) for dtype in (values, values, torch.int64, torch.int64, values)]


def _gradients(
    upstream: list[Tensor], needed: list[bool], last: Tensor, tensors: list[Tensor], numbers: list[float], call: str
) -> list[Tensor | None]:
    wanted = (*needed[:2], needed[3:] == [True])
    sums, _, (d_hidden, d_weight, d_bias) = _given(tensors, numbers, call, wanted)
    for gradient in (d_hidden, d_weight, d_bias):
        if gradient is not None:
            gradient.mul_(upstream[0] if sums.factor is None else upstream[0] * sums.factor)
    return [d_hidden, d_weight, None, d_bias][: len(tensors)]


_LOSS = Operator("linear_cross_entropy", _run_operator, _shapes, _gradients)

__all__ = ["CrossEntropy", "linear_cross_entropy"]
