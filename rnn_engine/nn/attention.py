"""Attention of all target steps over all source states in one call; nothing of T x S is kept for backward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.attention_inputs import (
    FORMS,
    Form,
    Inputs,
    Lengths,
    as_lengths,
    check,
    check_devices,
    scale_of,
)
from rnn_engine.nn.autograd import Masks, plain, value_dtype
from rnn_engine.nn.devices import CPU, NAMES, Device, called_dtype, called_dtype_name, device_of
from rnn_engine.nn.observed import check_backward, observed
from rnn_engine.nn.operators import Operator


@overload
def attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    source_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    *,
    form: Form = "dot",
    vector: Tensor | None = None,
    heads: int = 1,
    scale: float | None = None,
    dropout: float = 0.0,
    return_weights: Literal[False] = False,
) -> Tensor: ...


@overload
def attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    source_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    *,
    form: Form = "dot",
    vector: Tensor | None = None,
    heads: int = 1,
    scale: float | None = None,
    dropout: float = 0.0,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    source_lengths: Lengths | None = None,
    target_lengths: Lengths | None = None,
    *,
    form: Form = "dot",
    vector: Tensor | None = None,
    heads: int = 1,
    scale: float | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Averages the values of a source, for every query, by how well their keys fit.

    Time-major, as the layers' outputs are; what lies beyond a length costs nothing. For backward one logarithm a query
    and head is kept beside the inputs: the weights are made again, and the masks of dropout, too.

    Of bfloat16 tensors scores, weights and sums are float32. Under torch.autocast
    float32 tensors are rounded for the call if the device has kernels for that type.

    On CUDA products of halves take the weights rounded, and those of float32 may round to TF32 where torch's `linear`
    may; lengths out of bounds cannot be told of without waiting: they count as the nearest within.

    Args:
        queries: [T, B, A], float32, float64 or bfloat16, on CUDA also float16.
        keys: [S, B, A].
        values: [S, B, C]; may be the same tensor as keys.
        source_lengths: [B] states of each source, 1 to S; all S if None. What lies beyond is not looked at, and gets a
            gradient of 0. On the CPU, or where the queries are, as the next.
        target_lengths: [B] queries of each target, 0 to T; all T if None. Beyond, context and gradients are 0.
        form: "dot": the scores are scale * queries . keys; "additive": scale * vector . tanh(queries + keys), whose
            sums are made again for backward, too.
        vector: [A], float32 for halves; of the additive form only.
        heads: Each averages by itself, with its A / heads columns of queries and keys, its C / heads columns of values.
        scale: If None 1 / sqrt(A / heads), for the additive form 1.
        dropout: Probability with which a weight is left out; the others are scaled up. 0 in evaluation.
        return_weights: Also return the weights.

    Returns:
        Context [T, B, C], of the queries' type or autocast's; differentiable in queries, keys, values and vector. With
        return_weights, the weights [T, B, S] come second: the mean over the heads, before dropout, float32 for halves,
        0 beyond the lengths, without gradient.

    Raises:
        ValueError: A shape, dtype, device or value is not what is expected.

    Source: Luong et al. 2015, section 3.1; Bahdanau et al. 2015, appendix A.1.2 (additive); the scale and the heads are
    from Vaswani et al. 2017, section 3.2.
    """
    if form not in FORMS:
        raise ValueError(f'form: expected "dot" or "additive", got {form!r}')
    if (vector is None) == (form == "additive"):
        raise ValueError("vector: expected one with form = 'additive' alone")
    if not 0.0 <= dropout <= 1.0:
        raise ValueError(f"dropout: expected 0 to 1, got {dropout}")
    inputs = queries, keys, values, vector, as_lengths(queries, source_lengths), as_lengths(queries, target_lengths)
    check_devices(inputs)
    if observed(*inputs):
        given = "".join(str(int(each is not None)) for each in inputs[3:])
        call = f"{called_dtype_name(queries)} {heads} {given}{return_weights:d}"
        tensors = [each for each in inputs if each is not None]
        results = _ATTENTION(tensors, [math.nan if scale is None else scale, dropout], call)
        return (results[0], results[1].detach()) if return_weights else results[0]
    device = device_of(queries)
    dtype = called_dtype(queries, device.dtypes)
    check(inputs, heads, dtype)
    factor = scale_of(inputs, heads) if scale is None else scale
    seed = Masks.draw(None).seed if dropout > 0 else 0
    made = _Call(device, dtype, heads, factor, dropout, return_weights, torch.get_num_threads(), seed)
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in inputs[:4]):
        results = _Attention.apply(made, *inputs)  # type: ignore[no-untyped-call]
    else:
        results = _forward(made, inputs, training=False)
    return (results[0], results[1]) if return_weights else results[0]


@dataclass(frozen=True)
class _Call:
    """What one call computes, beside its tensors."""

    device: Device
    dtype: torch.dtype
    heads: int
    scale: float
    dropout: float
    weights: bool
    threads: int
    seed: int

    def problem(self, inputs: Inputs) -> native.AttentionProblem:
        """Its shape, for the engine."""
        queries, _, values, vector, *_ = inputs
        return native.AttentionProblem(
            dtype=native.DTYPES[NAMES[self.dtype]],
            form=FORMS.index("dot" if vector is None else "additive"),
            steps=queries.shape[0],
            batch=queries.shape[1],
            source_steps=values.shape[0],
            key_size=queries.shape[2],
            value_size=values.shape[2],
            heads=self.heads,
            scale=self.scale,
            dropout=self.dropout,
            tf32=self.device.matmul_tf32,
        )

    def plain(self, inputs: Inputs) -> tuple[Tensor | None, ...]:
        """The tensors as the engine reads them: lengths, too, where the queries are."""
        types = (*[self.dtype] * 3, value_dtype(self.dtype), torch.int64, torch.int64)
        given = (None if each is None else each.to(inputs[0].device, non_blocking=True) for each in inputs)
        return tuple(plain(self.device, each, dtype) for each, dtype in zip(given, types, strict=True))


def _forward(call: _Call, inputs: Inputs, *, training: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Context, weights where they are wanted, and in training the logarithms."""
    device, sums = call.device, value_dtype(call.dtype)
    (steps, batch, _), (source_steps, _, width) = inputs[0].shape, inputs[2].shape
    context = device.new((steps, batch, width), call.dtype)
    logarithms = device.new((steps, batch, call.heads), sums) if training else None
    weights = device.new((steps, batch, source_steps), sums) if call.weights else None
    problem, engine = call.problem(inputs), device.context(call.threads)
    native.attention_forward(
        engine,
        problem,
        call.plain(inputs),
        (context, logarithms, weights),
        device.workspace(native.attention_workspace(engine, problem, 0)),
        call.seed,
        device.stream(),
    )
    return context, weights, logarithms


def _backward(
    call: _Call, inputs: Inputs, logarithms: Tensor, d_context: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of queries, keys, values and vector, where they are needed."""
    if not any(needed):
        return [None] * 4
    device, engine, problem = call.device, call.device.context(call.threads), call.problem(inputs)
    formed: list[Tensor | None] = [
        device.new(each.shape, call.dtype) if n else None for each, n in zip(inputs[:3], needed[:3], strict=True)
    ]
    vector = inputs[3] if needed[3] else None
    formed.append(None if vector is None else device.zeros(vector.shape, value_dtype(call.dtype)))
    native.attention_backward(
        engine,
        problem,
        call.plain(inputs),
        logarithms,
        plain(device, d_context, call.dtype),
        tuple(formed),
        device.workspace(native.attention_workspace(engine, problem, sum(1 << i for i in range(4) if needed[i]))),
        call.seed,
        device.stream(),
    )
    return [
        None if gradient is None or each is None else device.cast(gradient, each.dtype)
        for gradient, each in zip(formed, inputs[:4], strict=True)
    ]


class _Attention(torch.autograd.Function):
    """One node of the graph."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *inputs: Any) -> tuple[Tensor, Tensor | None]:
        context, weights, logarithms = _forward(call, inputs, training=True)
        ctx.call = call
        ctx.save_for_backward(logarithms, *inputs)
        ctx.set_materialize_grads(False)
        if weights is not None:
            ctx.mark_non_differentiable(weights)
        return context, weights

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        check_backward(*upstream)
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        if upstream[0] is None:
            return (None,) * 7
        logarithms, *inputs = ctx.saved_tensors
        return None, *_backward(ctx.call, inputs, logarithms, upstream[0], ctx.needs_input_grad[1:5]), None, None


def _given(tensors: list[Tensor], numbers: list[float], call: str) -> tuple[_Call, Inputs]:
    """A call of the operator, all but its seed, and its inputs."""
    dtype, heads, flags = call.split(" ")
    queries, keys, values, *rest = tensors
    device, kind = device_of(queries), getattr(torch, dtype)
    vector, *lengths = [rest.pop(0) if flag == "1" else None for flag in flags[:3]]
    inputs = queries, keys, values, vector, lengths[0], lengths[1]
    check(inputs, int(heads), kind)
    scale = scale_of(inputs, int(heads)) if math.isnan(numbers[0]) else numbers[0]
    made = _Call(device, kind, int(heads), scale, numbers[1], flags[3] == "1", torch.get_num_threads(), 0)
    return made, inputs


def _draws(numbers: list[float], call: str) -> bool:
    return numbers[1] > 0


def _run_operator(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    """Context, weights where they are wanted, and the masks' seed."""
    made, inputs = _given(tensors, numbers, call)
    seed = torch.randint(2**62, (), device=CPU) if numbers[1] > 0 else torch.zeros((), dtype=torch.int64, device=CPU)
    context, weights, _ = _forward(replace(made, seed=int(seed)), inputs, training=False)
    return [context, *([] if weights is None else [weights]), seed]


def _shapes(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    dtype, _, flags = call.split(" ")
    kind, (queries, _, values, *_) = getattr(torch, dtype), tensors
    context = queries.new_empty((*queries.shape[:2], values.shape[2]), dtype=kind)
    weights = [queries.new_empty((*queries.shape[:2], values.shape[0]), dtype=value_dtype(kind))]
    return [context, *(weights if flags[3] == "1" else []), torch.empty((), dtype=torch.int64, device=CPU)]


def _gradients(
    upstream: list[Tensor], needed: list[bool], seed: Tensor, tensors: list[Tensor], numbers: list[float], call: str
) -> list[Tensor | None]:
    made, inputs = _given(tensors, numbers, call)
    made = replace(made, seed=int(seed), weights=False)
    _, _, logarithms = _forward(made, inputs, training=True)
    assert logarithms is not None
    with_vector = inputs[3] is not None
    found = _backward(made, inputs, logarithms, upstream[0], [*needed[:3], with_vector and needed[3]])
    return [*found[: 3 + with_vector], *[None] * (len(tensors) - 3 - with_vector)]


_ATTENTION = Operator("attention", _run_operator, _shapes, _gradients, draws=_draws)


__all__ = ["attention"]
