"""The only adapter between torch and the engine: one autograd node for a whole stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from rnn_engine import native
from rnn_engine.memory import Block, pool
from rnn_engine.spec import Memory, StackSpec

STORE = Memory("store")
_SMALL = 16384  # values; torch has such tensors at hand


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
        self, dtype: torch.dtype, *, training: bool, input_gradient: bool = False, prepacked: bool = False
    ) -> native.Plan:
        """The plan of this call.

        Args:
            dtype: Of all tensors.
            training: Whether to keep what backward needs.
            input_gradient: Whether backward will be asked for x's gradient.
            prepacked: Whether the weights come packed.

        Raises:
            ValueError: A size is out of bounds, or the memory budget is too small.
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
        )
        return native.Plan(native.context(self.threads), problem)


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
            bfloat16 x they may be float32: they are then rounded for this call, and their gradients are not.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, h0, c0, *parameters)):
        outputs: tuple[Tensor, Tensor, Tensor, Tensor | None] = _Stack.apply(  # type: ignore[no-untyped-call]
            call, x, h0, c0, *parameters
        )
        return Outputs(*outputs)
    return run_forward(call, call.plan(x.dtype, training=False), x, h0, c0, parameters)[0]


def value_dtype(dtype: torch.dtype) -> torch.dtype:
    """What tensors of a dtype are computed in: sums, vectors of weights and cell states of bfloat16 are float32."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


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
    plan: native.Plan,
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    parameters: list[Tensor | None],
    packed: Block | None = None,
) -> tuple[Outputs, Block]:
    """Runs a plan forward; returns what it kept, too."""
    spec, rows, batch = call.spec, x.shape[0], call.batch_sizes[0]
    y = new_tensor((rows, spec.output_size), x.dtype) if call.output else None
    values = value_dtype(x.dtype)
    cy = new_tensor((rows, spec.directions * spec.hidden_sizes[-1]), values) if call.cell_output else None
    hn = new_tensor((spec.directions * batch * sum(spec.state_sizes),), x.dtype)
    cn = new_tensor((spec.directions * batch * sum(spec.hidden_sizes),), values)
    kept, scratch = (pool.take(size, brief=True) for size in (plan.kept_bytes, plan.scratch_bytes))
    plan.forward(
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
        scratch.array,
    )
    return Outputs(y, hn, cast(cn, x.dtype), None if cy is None else cast(cy, x.dtype)), kept


def new_tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Uninitialised; a large one lies in the engine's pool, aligned, in pages that the system need not clear again."""
    if math.prod(shape) < _SMALL:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bfloat16:  # NumPy has none
        return torch.from_numpy(pool.array(tuple(shape), "int16")).view(dtype)
    return torch.from_numpy(pool.array(tuple(shape), str(dtype).removeprefix("torch.")))


def array_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor's memory as an array; bfloat16, which NumPy has not, as int16."""
    tensor = tensor.detach()
    array: NDArray[Any] = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def plain(tensor: Tensor | None, dtype: torch.dtype | None = None) -> Tensor | None:
    """The values alone, contiguous, of that dtype if one is given."""
    return None if tensor is None else cast(tensor.detach(), dtype or tensor.dtype).contiguous()


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The same values in another dtype, without history; between float32 and bfloat16 by the engine's threads: torch's
    would spin after the operation, and delay the engine's."""
    if tensor.numel() < _SMALL or {tensor.dtype, dtype} != {torch.float32, torch.bfloat16}:
        return tensor.to(dtype)
    tensor = tensor.contiguous()
    out = new_tensor(tensor.shape, dtype)
    native.context(torch.get_num_threads()).convert(tensor, out)
    return out


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
        plan = call.plan(x.dtype, training=True, input_gradient=ctx.needs_input_grad[1])
        outputs, ctx.kept = run_forward(call, plan, x, h0, c0, list(parameters))
        ctx.call, ctx.plan = call, plan
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
    plan: native.Plan = ctx.plan
    kept, ctx.kept = ctx.kept, None
    if kept is None:
        kept = run_forward(call, plan, x, h0, c0, parameters)[1]
    scratch = pool.take(plan.scratch_bytes, brief=True)
    needs = ctx.needs_input_grad
    dx = new_tensor(x.shape, x.dtype) if needs[1] else None
    values = value_dtype(x.dtype)
    dh0 = new_tensor(h0.shape, x.dtype) if needs[2] else None
    dc0 = new_tensor(c0.shape, values) if needs[3] else None
    gradients = [
        new_tensor(p.shape, values) if needed else None for p, needed in zip(parameters, needs[4:], strict=True)
    ]
    plan.backward(
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
        scratch.array,
        overwrite=True,
    )
    rounded = [None if g is None else cast(g, p.dtype) for p, g in zip(parameters, gradients, strict=True)]
    return None, dx, dh0, None if dc0 is None else cast(dc0, c0.dtype), *rounded


__all__ = ["Call", "Outputs", "array_of", "lanes_of", "new_tensor", "plain", "run_forward", "run_stack"]
