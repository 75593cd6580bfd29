"""The only adapter between torch and the engine: one autograd node for a whole stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.devices import Arena, Device, device_of
from rnn_engine.spec import Memory, StackSpec

STORE = Memory("store")
_HALVES = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Call:
    """What one call computes, beside its tensors.

    Attributes:
        spec: The stack.
        batch_sizes: [T] sequences still running at each step.
        row_ids: [B] the caller's index of each sequence; None: 0 to B-1.
        dropout: Probability between layers; 0 in evaluation.
        recurrent_dropout: Probability for h before U; 0 in evaluation.
        zoneout_masks: Whether zoneout draws masks; else it takes the expectation.
        seed: Key of all masks.
        threads: Number of CPU threads.
        memory: What is kept for backward.
        schedule: How threads share the work.
        output: Whether y is wanted.
        cell_output: Whether c of every step of the last layer is wanted.
    """

    spec: StackSpec
    batch_sizes: list[int]
    row_ids: list[int] | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout_masks: bool = False
    seed: int = 0
    threads: int = 1
    memory: Memory = STORE
    schedule: str = "auto"
    output: bool = True
    cell_output: bool = False

    def plan(
        self,
        device: Device,
        dtype: torch.dtype,
        *,
        training: bool,
        input_gradient: bool = False,
        prepacked: bool = False,
    ) -> native.Plan:
        """The plan of this call.

        Args:
            device: Where all tensors are.
            dtype: Of all tensors.
            training: Whether to keep what backward needs.
            input_gradient: Whether backward will be asked for x's gradient.
            prepacked: Whether the weights come packed.

        Raises:
            ValueError: A size is out of bounds, or the memory budget is too small.
            EngineError: The device cannot be used; the message says why.
        """
        problem = native.make_problem(
            self.spec,
            str(dtype).removeprefix("torch."),
            steps=len(self.batch_sizes),
            batch=self.batch_sizes[0],
            training=training,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            zoneout_masks=self.zoneout_masks,
            seed=self.seed,
            batch_sizes=None if self.batch_sizes[0] == self.batch_sizes[-1] else self.batch_sizes,  # never growing
            row_ids=self.row_ids,
            memory=self.memory,
            schedule=self.schedule,
            output=self.output,
            cell_output=self.cell_output,
            input_gradient=input_gradient,
            prepacked=prepacked,
            tf32=device.tf32,
        )
        return native.Plan(device.context(self.threads), problem)


@dataclass
class Outputs:
    """What a call returns: y [N, D*R] or None, hn (R wide) and cn (H wide) of all lanes, each lane's [B, width] one
    after the other, flat; cy [N, D*H] or None."""

    y: Tensor | None
    hn: Tensor
    cn: Tensor
    cy: Tensor | None


def run_stack(call: Call, x: Tensor, h0: Tensor | None, c0: Tensor | None, parameters: list[Tensor | None]) -> Outputs:
    """Runs a stack; differentiable in x, h0, c0 and all parameters.

    Args:
        call: Shapes and options.
        x: [N, I] rows, time-major and packed as in `torch.nn.utils.rnn.PackedSequence`.
        h0: The lanes' states one after the other (`Outputs.hn`), of any shape, or None for zeros.
        c0: The same.
        parameters: The lanes' parameters one after the other, None where absent (`StackSpec.lane_parameters`). With a
            bfloat16 or float16 x they may be float32: they are then rounded for this call, and their gradients are not.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, h0, c0, *parameters)):
        outputs: tuple[Tensor, Tensor, Tensor, Tensor | None] = _Stack.apply(  # type: ignore[no-untyped-call]
            call, x, h0, c0, *parameters
        )
        return Outputs(*outputs)
    device = device_of(x)
    return run_forward(call, device, call.plan(device, x.dtype, training=False), x, h0, c0, parameters)[0]


def value_dtype(dtype: torch.dtype) -> torch.dtype:
    """What tensors of a dtype are computed in: sums, vectors of weights and cell states of halves are float32."""
    return torch.float32 if dtype in _HALVES else dtype


def lanes_of(
    spec: StackSpec, parameters: Sequence[Tensor | None], dtype: torch.dtype, vectors: torch.dtype | None = None
) -> list[list[Tensor | None]]:
    """The parameters of each lane, contiguous and without their history.

    Args:
        spec: The stack.
        parameters: As for `run_stack`.
        dtype: Of the matrices.
        vectors: Of the vectors; the dtype's own `value_dtype` if None.
    """
    vectors = vectors or value_dtype(dtype)
    flat = [None if p is None else plain(p, dtype if p.dim() == 2 else vectors) for p in parameters]
    each = len(flat) // spec.lanes
    return [flat[i * each : (i + 1) * each] for i in range(spec.lanes)]


def run_forward(
    call: Call,
    device: Device,
    plan: native.Plan,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    parameters: list[Tensor | None],
    packed: Arena | None = None,
) -> tuple[Outputs, Arena]:
    """Runs a plan forward; returns what it kept, too."""
    spec, rows, batch = call.spec, x.shape[0], call.batch_sizes[0]
    y = device.new((rows, spec.output_size), x.dtype) if call.output else None
    values = value_dtype(x.dtype)
    cy = device.new((rows, spec.directions * spec.hidden_sizes[-1]), values) if call.cell_output else None
    hn = device.new((spec.directions * batch * sum(spec.state_sizes),), x.dtype)
    cn = device.new((spec.directions * batch * sum(spec.hidden_sizes),), values)
    kept, workspace = (device.arena(size, brief=True) for size in (plan.reserve_bytes, plan.workspace_bytes))
    device.call(
        plan.forward,
        lanes_of(spec, parameters, x.dtype),
        None if packed is None else packed.array,
        plain(x),
        plain(h0, x.dtype),
        plain(c0, values),
        y,
        cy,
        hn,
        cn,
        kept.array,
        workspace.array,
    )
    cy = None if cy is None else device.cast(cy, x.dtype)
    return Outputs(y, hn, device.cast(cn, x.dtype), cy), kept


def plain(tensor: Tensor | None, dtype: torch.dtype | None = None) -> Tensor | None:
    """The values alone, contiguous, of that dtype if one is given."""
    if tensor is None:
        return None
    return device_of(tensor).cast(tensor.detach(), dtype or tensor.dtype).contiguous()


class _Stack(torch.autograd.Function):
    """One node of the graph.

    Backward writes the gradients over what forward kept; a second backward through the same graph (retain_graph) runs
    forward again first.
    """

    @staticmethod
    def forward(
        ctx: Any, call: Call, x: Tensor, h0: Tensor | None, c0: Tensor | None, *parameters: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        call = replace(call, output=True)  # backward reads y, whether the caller wants it or not
        device = device_of(x)
        plan = call.plan(device, x.dtype, training=True, input_gradient=ctx.needs_input_grad[1])
        outputs, ctx.kept = run_forward(call, device, plan, x, h0, c0, list(parameters))
        ctx.call, ctx.device, ctx.plan = call, device, plan
        ctx.save_for_backward(x, h0, c0, outputs.y, *parameters)
        ctx.set_materialize_grads(False)
        return outputs.y, outputs.hn, outputs.cn, outputs.cy

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        return _backward(ctx, *upstream)


def _backward(
    ctx: Any, dy: Tensor | None, dhn: Tensor | None, dcn: Tensor | None, dcy: Tensor | None
) -> tuple[Tensor | None, ...]:
    x, h0, c0, y, *parameters = ctx.saved_tensors
    call: Call = ctx.call
    device: Device = ctx.device
    plan: native.Plan = ctx.plan
    kept, ctx.kept = ctx.kept, None
    if kept is None:
        kept = run_forward(call, device, plan, x, h0, c0, parameters)[1]
    workspace = device.arena(plan.workspace_bytes, brief=True)
    needs = ctx.needs_input_grad
    dx = device.new(x.shape, x.dtype) if needs[1] else None
    values = value_dtype(x.dtype)
    dh0 = device.new(h0.shape, x.dtype) if needs[2] else None
    dc0 = device.new(c0.shape, values) if needs[3] else None
    gradients = [
        device.new(p.shape, values) if needed else None for p, needed in zip(parameters, needs[4:], strict=True)
    ]
    device.call(
        plan.backward,
        lanes_of(call.spec, parameters, x.dtype),
        lanes_of(call.spec, gradients, values),
        plain(x),
        plain(h0, x.dtype),
        plain(c0, values),
        y.detach(),
        plain(dy, x.dtype),
        plain(dcy, values),
        plain(dhn, x.dtype),
        plain(dcn, values),
        dx,
        dh0,
        dc0,
        kept.array,
        workspace.array,
        overwrite=True,
    )
    rounded = [None if g is None else device.cast(g, p.dtype) for p, g in zip(parameters, gradients, strict=True)]
    return None, dx, dh0, None if dc0 is None else device.cast(dc0, c0.dtype), *rounded


__all__ = ["Call", "Outputs", "lanes_of", "plain", "run_forward", "run_stack", "value_dtype"]
