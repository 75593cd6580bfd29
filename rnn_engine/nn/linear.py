"""A linear layer of several inputs side by side, with its activation and dropout in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.autograd import plain, value_dtype
from rnn_engine.nn.devices import NAMES, Device, called_dtype, called_dtype_name, device_of, either
from rnn_engine.nn.masks import check_probability, drawn_seed, rows_apart, sentences_of
from rnn_engine.nn.observed import check_backward, observed
from rnn_engine.nn.operators import Operator

Activation = Literal["tanh"] | None

_ACTIVATIONS = {None: 0, "tanh": 1}
_MOST_INPUTS = 8


def linear(
    inputs: Tensor | Sequence[Tensor],
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    activation: Activation = None,
    dropout: float = 0.0,
    per_sentence: bool = False,
) -> Tensor:
    """dropout(activation(concat(inputs) weight^T + bias)), without the concatenation.

    Bias, activation and mask are applied while the product is in the cache. For backward the inputs and the result are
    kept and nothing else: tanh' comes from the result, the mask from the counters that it was made from.

    Under torch.autocast float32 inputs and weights are rounded for the call if the device has kernels for that type;
    the gradients of weight and bias are not.

    Args:
        inputs: One to eight tensors [..., I_1], [..., I_2], ..., all with the same leading dimensions, float32, float64
            or bfloat16, on CUDA also float16. Rows of equal distance are read where they lie, as of a slice of the last
            dimension; others are copied first, as those of a transposed batch.
        weight: [O, I_1 + I_2 + ...].
        bias: [O].
        activation: "tanh", or None.
        dropout: Probability that a value of the result is zero; the others are divided by 1 - dropout. Masks are drawn
            by torch's generator.
        per_sentence: One mask for all steps of a sentence. The last leading dimension counts sentences: of [T, B, O]
            the mask is [B, O].

    Returns:
        [..., O].

    Raises:
        ValueError: A shape, dtype, device or value is not what is expected.

    Source: Gal & Ghahramani 2016 (one mask a sentence).
    """
    given = [inputs] if isinstance(inputs, Tensor) else [*inputs]
    if activation not in _ACTIVATIONS:
        raise ValueError(f'activation: expected "tanh" or None, got {activation!r}')
    check_probability("dropout", dropout)
    if not 1 <= len(given) <= _MOST_INPUTS:
        raise ValueError(f"inputs: expected 1 to {_MOST_INPUTS} tensors, got {len(given)}")
    _check_devices(given, weight, bias)
    if observed(given, weight, bias):
        tensors = [weight, *([] if bias is None else [bias]), *given]
        if dropout:
            tensors.append(drawn_seed())
        call = f"{called_dtype_name(weight)} {activation or '-'} {int(bias is not None)} {int(per_sentence)}"
        result: Tensor = _LINEAR(tensors, [dropout], call)[0]
        return result
    device = device_of(weight)
    dtype = called_dtype(weight, device.dtypes)
    _check(given, weight, bias, dtype)
    seed = int(drawn_seed().item()) if dropout else 0
    made = _Call(device, dtype, activation, dropout, per_sentence, seed, torch.get_num_threads())
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (weight, bias, *given)):
        y: Tensor = _Linear.apply(made, weight, bias, *given)  # type: ignore[no-untyped-call]
        return y
    return _run(made, weight, bias, given)


def _check_devices(inputs: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> None:
    """Torch would run an operator of tensors on several devices on one of them."""
    named = [("bias", bias), *((f"inputs[{index}]", each) for index, each in enumerate(inputs))]
    for name, tensor in named:
        if isinstance(tensor, Tensor) and tensor.device != weight.device:
            raise ValueError(f"{name}: expected a tensor on {weight.device} as weight, got one on {tensor.device}")


def _check(inputs: Sequence[Tensor], weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
    if weight.dim() != 2 or 0 in weight.shape:
        raise ValueError(f"weight: expected [O, I] of at least [1, 1], got {list(weight.shape)}")
    first = inputs[0].shape
    for index, each in enumerate(inputs):
        if each.dim() < 1 or each.shape[-1] < 1:
            raise ValueError(f"inputs[{index}]: expected [..., I] with I at least 1, got {list(each.shape)}")
        if each.shape[:-1] != first[:-1]:
            raise ValueError(f"inputs[{index}]: expected {[*first[:-1]]} and I as inputs[0], got {list(each.shape)}")
    widths = [each.shape[-1] for each in inputs]
    if sum(widths) != weight.shape[1]:
        raise ValueError(
            f"inputs: expected {weight.shape[1]} columns in all as weight {list(weight.shape)}, got "
            f"{' + '.join(map(str, widths))}"
        )
    if bias is not None and list(bias.shape) != [len(weight)]:
        raise ValueError(f"bias: expected [O] = [{len(weight)}], got {list(bias.shape)}")
    dtypes = device_of(weight).dtypes
    if weight.dtype not in dtypes:
        raise ValueError(f"weight: expected {either(dtypes)} on {weight.device}, got {weight.dtype}")
    for name, tensor in (("bias", bias), *((f"inputs[{index}]", each) for index, each in enumerate(inputs))):
        if tensor is not None and tensor.dtype not in (dtype, weight.dtype):
            raise ValueError(f"{name}: expected {weight.dtype} as weight, got {tensor.dtype}")


@dataclass(frozen=True)
class _Call:
    """What one call computes, beside its tensors."""

    device: Device
    dtype: torch.dtype
    activation: Activation
    dropout: float
    per_sentence: bool
    seed: int
    threads: int

    def problem(self, inputs: Sequence[Tensor], outputs: int) -> native.LinearProblem:
        """Its shapes, for the native part."""
        steps, batch = sentences_of(inputs[0])
        return native.LinearProblem(
            dtype=native.DTYPES[NAMES[self.dtype]],
            activation=_ACTIVATIONS[self.activation],
            steps=steps,
            batch=batch,
            outputs=outputs,
            input_sizes=[each.shape[-1] for each in inputs],
            dropout=self.dropout,
            per_sentence=self.per_sentence,
            tf32=self.device.matmul_tf32,
        )


def _run(call: _Call, weight: Tensor, bias: Tensor | None, inputs: Sequence[Tensor]) -> Tensor:
    device = call.device
    context = device.context(call.threads)
    problem = call.problem(inputs, len(weight))
    workspace = device.workspace(context.linear_workspace(problem)[0])
    y = device.new((*inputs[0].shape[:-1], len(weight)), call.dtype)
    context.linear(
        problem,
        [rows_apart(device, each, call.dtype) for each in inputs],
        plain(device, weight, call.dtype),
        plain(device, bias, value_dtype(call.dtype)),
        y,
        call.seed,
        workspace,
        device.stream(),
    )
    return y


def _run_backward(
    call: _Call,
    needed: Sequence[bool],
    y: Tensor,
    dy: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    inputs: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients of weight, bias and inputs, where they are needed."""
    device, dtype, values = call.device, call.dtype, value_dtype(call.dtype)
    context = device.context(call.threads)
    problem = call.problem(inputs, len(weight))
    workspace = device.workspace(context.linear_workspace(problem)[1])
    d_weight = device.new(weight.shape, values) if needed[0] else None
    d_bias = device.new(bias.shape, values) if bias is not None and needed[1] else None
    d_inputs = [device.new(x.shape, dtype) if n else None for x, n in zip(inputs, needed[2:], strict=True)]
    context.linear_backward(
        problem,
        [rows_apart(device, each, dtype) for each in inputs],
        plain(device, weight, dtype),
        plain(device, y, dtype) if call.activation else None,
        plain(device, dy, dtype),
        call.seed,
        d_inputs,
        d_weight,
        d_bias,
        workspace,
        True,
        device.stream(),
    )
    formed = (d_weight, d_bias, *d_inputs)
    return [
        None if g is None or t is None else device.cast(g, t.dtype)
        for g, t in zip(formed, (weight, bias, *inputs), strict=True)
    ]


class _Linear(torch.autograd.Function):
    """One node of the graph, which keeps the inputs and the result."""

    @staticmethod
    def forward(ctx: Any, call: _Call, weight: Tensor, bias: Tensor | None, *inputs: Tensor) -> Tensor:
        y = _run(call, weight, bias, inputs)
        ctx.call = call
        ctx.save_for_backward(y, weight, bias, *inputs)
        return y

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        check_backward(*upstream)
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        y, weight, bias, *inputs = ctx.saved_tensors  # raises if one was changed since
        return None, *_run_backward(ctx.call, ctx.needs_input_grad[1:], y, upstream[0], weight, bias, inputs)


def _given(tensors: list[Tensor], numbers: list[float], call: str) -> tuple[_Call, Tensor, Tensor | None, list[Tensor]]:
    """A call of the operator."""
    dtype, activation, biased, per_sentence = call.split(" ")
    weight, *rest = tensors
    seed = int(rest.pop().item()) if numbers[0] else 0
    bias = rest.pop(0) if biased == "1" else None
    kind = getattr(torch, dtype)
    _check(rest, weight, bias, kind)
    chosen: Activation = "tanh" if activation == "tanh" else None
    made = _Call(device_of(weight), kind, chosen, numbers[0], per_sentence == "1", seed, torch.get_num_threads())
    return made, weight, bias, rest


def _run_operator(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    return [_run(*_given(tensors, numbers, call))]


def _shapes(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    dtype, _, biased, _ = call.split(" ")
    first = tensors[1 + int(biased)]
    return [first.new_empty((*first.shape[:-1], len(tensors[0])), dtype=getattr(torch, dtype))]


def _gradients(
    upstream: list[Tensor], needed: list[bool], last: Tensor, tensors: list[Tensor], numbers: list[float], call: str
) -> list[Tensor | None]:
    made, weight, bias, inputs = _given(tensors, numbers, call)
    wanted = needed if bias is not None else [needed[0], False, *needed[1:]]
    d_weight, d_bias, *d_inputs = _run_backward(
        made, wanted[: 2 + len(inputs)], last, upstream[0], weight, bias, inputs
    )
    found = [d_weight, *([] if bias is None else [d_bias]), *d_inputs]
    return [*found, *([None] if numbers[0] else [])]  # the seed has none


_LINEAR = Operator("linear", _run_operator, _shapes, _gradients)

__all__ = ["linear"]
