"""The only adapter between torch and the engine: one autograd node for a whole stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.memory import ALIGNMENT
from rnn_engine.nn.devices import CPU, Arena, Device
from rnn_engine.nn.observed import check_backward
from rnn_engine.ragged import Indices

_HALVES = (torch.bfloat16, torch.float16)


class Masks(NamedTuple):
    """What the masks of a call are drawn from.

    Attributes:
        seed: Their key.
        row_ids: int64 [B] the caller's index of each sequence, on the CPU; None: 0 to B-1.
    """

    seed: int = 0
    row_ids: Tensor | Indices | None = None

    @classmethod
    def draw(cls, ids: Tensor | Indices | None) -> Masks:
        """Masks with a seed from torch's generator, so that torch.manual_seed makes them repeatable."""
        return cls(int(torch.randint(2**62, (), device=CPU).item()), ids.cpu() if isinstance(ids, Tensor) else ids)


NO_MASKS = Masks()


class Beside(NamedTuple):
    """What some forward calls have beside what all have.

    Attributes:
        packed: The weights once more, from `Plan.pack`, for a plan with packed ones.
        before_step: Called with y and t before step t of a plan of steps, which reads x as it then is.
    """

    packed: Arena | None = None
    before_step: Callable[[Tensor, int], None] | None = None


NOTHING_BESIDE = Beside()


class Outputs(NamedTuple):
    """What a call returns, in the shapes that its plan tells.

    Attributes:
        y: Output, [T, B, D*R] ([B, T, D*R]), or rows [N, D*R] as x; None if the plan has none.
        hn: h after the last step, [L*D, B, R], or flat where layers differ in width.
        cn: c, the same with H.
        cy: c of every step of the last layer, as y; None if not asked for.
    """

    y: Tensor | None
    hn: Tensor
    cn: Tensor
    cy: Tensor | None


def run_stack(
    device: Device,
    plan: native.Plan,
    masks: Masks,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    parameters: Sequence[Tensor],
    batch_first: bool = False,
) -> Outputs:
    """Runs a stack; differentiable in x, h0, c0 and all parameters if the plan is one for training.

    Args:
        device: Where all tensors are.
        plan: Of this call; x has its dtype.
        masks: What dropout and zoneout draw from.
        x: [T, B, I], or rows [N, I], time-major and packed as in `torch.nn.utils.rnn.PackedSequence`.
        h0: The first states, as many values as `Outputs.hn`, or None for zeros.
        c0: The same.
        parameters: In the order of `StackSpec.parameter_shapes`. With a bfloat16 or float16 x they may be float32: they
            are then rounded for this call, and their gradients are not.
        batch_first: Whether y and cy of a dense batch are to be [B, T, ...].

    Returns:
        Tensors of their own, never views of others: callers may change and detach them in place.
    """
    if plan.training:
        outputs = _Stack.apply(device, plan, masks, batch_first, x, h0, c0, *parameters)  # type: ignore[no-untyped-call]
        return Outputs(*outputs)
    weights = weights_of(device, parameters, x.dtype)
    return _turned(run_forward(device, plan, masks, x, h0, c0, weights)[0], batch_first)


def value_dtype(dtype: torch.dtype) -> torch.dtype:
    """What tensors of a dtype are computed in: sums, vectors of weights and cell states of halves are float32."""
    return torch.float32 if dtype in _HALVES else dtype


def plain(device: Device, tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """The values as the engine reads them: contiguous, of that dtype, without their history."""
    if tensor is None:
        return None
    if tensor.is_neg():  # a view such as an imaginary part's, whose memory holds the negated values
        tensor = tensor.detach().resolve_neg()
    if tensor.dtype == dtype and tensor.is_contiguous():
        return tensor
    return device.cast(tensor.detach(), dtype).contiguous()


def weights_of(device: Device, parameters: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor | None]:
    """The parameters as the engine reads them: matrices of `dtype`, vectors of what that is computed in."""
    values = value_dtype(dtype)
    if values == dtype:
        return [plain(device, p, dtype) for p in parameters]
    return [plain(device, p, dtype if p.dim() == 2 else values) for p in parameters]


def run_forward(
    device: Device,
    plan: native.Plan,
    masks: Masks,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: list[Tensor | None],
    beside: Beside = NOTHING_BESIDE,
) -> tuple[Outputs, Tensor | None]:
    """Runs a plan forward.

    Args:
        device: As for `run_stack`, as the next four.
        plan: The same.
        masks: The same.
        x: The same.
        h0: The same.
        c0: The same.
        weights: From `weights_of`.
        beside: What there is beside it.

    Returns:
        The outputs, and the reserve; None if the plan keeps nothing.
    """
    dtype, values, (packed, before_step) = x.dtype, value_dtype(x.dtype), beside
    y = None if plan.y_shape is None else device.new((*x.shape[:-1], plan.y_shape[-1]), dtype)
    cy = None if plan.cy_shape is None else device.new((*x.shape[:-1], plan.cy_shape[-1]), values)
    hn, cn = device.new(plan.h_shape, dtype), device.new(plan.c_shape, values)
    reserve = device.new((plan.reserve_bytes,), torch.uint8) if plan.reserve_bytes else None
    given = plain(device, x, dtype), plain(device, h0, dtype), plain(device, c0, values)
    workspace, stream = _workspace(device, plan.forward_workspace_bytes, before_step), device.stream()
    hook = None if before_step is None or y is None else partial(before_step, y)
    plan.forward(weights, packed, *given, y, cy, hn, cn, reserve, workspace, *masks, stream, hook)
    if values != dtype:
        cn, cy = device.cast(cn, dtype), None if cy is None else device.cast(cy, dtype)
    return Outputs(y, hn, cn, cy), reserve


def _workspace(device: Device, size: int, before_step: object) -> Arena:
    """A call's; of its own where others are made in the middle of it, which have the thread's."""
    return device.workspace(size) if before_step is None else device.new((size,), torch.uint8)


def _turned(outputs: Outputs, batch_first: bool) -> Outputs:
    """The same memory with T and B exchanged: in place, as a view could not be detached or changed in place."""
    for each in (outputs.y, outputs.cy) if batch_first else ():
        if each is not None:
            each.transpose_(0, 1)
    return outputs


class _Stack(torch.autograd.Function):
    """One node of the graph.

    Backward writes the gradients over the reserve; a second backward through the same graph (retain_graph) runs forward
    again first.
    """

    @staticmethod
    def forward(
        ctx: Any,
        device: Device,
        plan: native.Plan,
        masks: Masks,
        batch_first: bool,
        x: Tensor,
        h0: Tensor | None,
        c0: Tensor | None,
        *parameters: Tensor,
    ) -> Outputs:
        outputs, reserve = run_forward(device, plan, masks, x, h0, c0, weights_of(device, parameters, x.dtype))
        outputs = _turned(outputs, batch_first)
        ctx.device, ctx.plan, ctx.masks, ctx.batch_first, ctx.fresh = device, plan, masks, batch_first, True
        ctx.save_for_backward(reserve, outputs.y, x, h0, c0, *parameters)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        check_backward(*upstream)
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        reserve, y, *inputs = ctx.saved_tensors
        if not ctx.fresh:
            reserve = None
        elif reserve is not None:
            reserve = _aligned(ctx.device, reserve)
        ctx.fresh = False
        dy, dhn, dcn, dcy = upstream
        if ctx.batch_first:
            y, dy, dcy = (None if each is None else each.transpose(0, 1) for each in (y, dy, dcy))
        saved, given = (y, *inputs), (dy, dhn, dcn, dcy)
        gradients = run_backward(ctx.device, ctx.plan, ctx.masks, reserve, saved, given, ctx.needs_input_grad[4:])
        return None, None, None, None, *gradients


def _aligned(device: Device, reserve: Tensor) -> Tensor:
    """The reserve as the engine wants it, wherever hooks of torch's (`saved_tensors_hooks`) had put it meanwhile."""
    if reserve.data_ptr() % ALIGNMENT == 0:
        return reserve
    return device.new(reserve.shape, reserve.dtype).copy_(reserve)


def run_backward(
    device: Device,
    plan: native.Plan,
    masks: Masks,
    reserve: Tensor | None,
    saved: Sequence[Any],
    upstream: Sequence[Tensor | None],
    needed: Sequence[bool],
    before_step: Callable[[Tensor, int], None] | None = None,
) -> list[Tensor | None]:
    """The gradients of x, h0, c0 and all parameters, where they are needed; `reserve` is None where it was used up.

    `before_step` is called with dx and t before step t of a plan of steps, the last first, which reads dy as it then
    is; dy must be of the call's type then, and contiguous.
    """
    y, x, h0, c0, *parameters = saved
    dy, dhn, dcn, dcy = upstream
    dtype, values = x.dtype, value_dtype(x.dtype)
    weights = weights_of(device, parameters, dtype)
    if reserve is None:
        reserve = run_forward(device, plan, masks, x, h0, c0, weights)[1]
    dx = device.new(x.shape, dtype) if needed[0] else None
    dh0 = device.new(h0.shape, dtype) if needed[1] else None
    dc0 = device.new(c0.shape, values) if needed[2] else None
    formed = [
        device.new(parameter.shape, values) if each else None
        for parameter, each in zip(parameters, needed[3:], strict=True)
    ]
    given = plain(device, x, dtype), plain(device, h0, dtype), plain(device, c0, values)
    y, dy, dhn = plain(device, y, dtype), plain(device, dy, dtype), plain(device, dhn, dtype)
    dcy, dcn = plain(device, dcy, values), plain(device, dcn, values)
    workspace, stream = _workspace(device, plan.backward_workspace_bytes, before_step), device.stream()
    wanted = (dx, dh0, dc0)
    hook = None if before_step is None or dx is None else partial(before_step, dx)
    arenas = reserve, workspace, True
    plan.backward(weights, formed, *given, y, dy, dcy, dhn, dcn, *wanted, *arenas, *masks, stream, hook)
    for i, parameter in enumerate(parameters):
        gradient = formed[i]
        if gradient is not None and gradient.dtype != parameter.dtype:
            formed[i] = device.cast(gradient, parameter.dtype)
    if dc0 is not None and values != dtype:
        dc0 = device.cast(dc0, c0.dtype)
    return [dx, dh0, dc0, *formed]


__all__ = [
    "NO_MASKS",
    "Beside",
    "Masks",
    "Outputs",
    "plain",
    "run_backward",
    "run_forward",
    "run_stack",
    "value_dtype",
    "weights_of",
]
