"""The only adapter between torch and the engine: one autograd node for a whole stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.memory import Block, pool
from rnn_engine.spec import StackSpec


@dataclass(frozen=True)
class Call:
    """What one call computes, beside its tensors.

    Attributes:
        spec: The stack.
        batch_sizes: [T] sequences still running at each step.
        row_ids: [B] the caller's index of each sequence; None: 0 to B-1.
        dense: Whether all sequences are T steps long.
        dropout: Probability between layers; 0 in evaluation.
        seed: Key of the dropout masks.
        threads: Number of CPU threads.
    """

    spec: StackSpec
    batch_sizes: list[int]
    row_ids: list[int] | None
    dense: bool
    dropout: float
    seed: int
    threads: int

    def problem(self, dtype: torch.dtype, training: bool) -> native.Problem:
        """The same for the engine; `training`: keep what backward needs."""
        return native.make_problem(
            self.spec,
            str(dtype).removeprefix("torch."),
            steps=len(self.batch_sizes),
            batch=self.batch_sizes[0],
            training=training,
            dropout=self.dropout,
            seed=self.seed,
            batch_sizes=None if self.dense else self.batch_sizes,
            row_ids=self.row_ids,
        )


def run_stack(
    call: Call, x: Tensor, h0: Tensor | None, c0: Tensor | None, parameters: list[Tensor | None]
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs a stack; differentiable in x, h0, c0 and all parameters.

    Args:
        call: Shapes and options.
        x: [N, I] rows, time-major and packed as in `torch.nn.utils.rnn.PackedSequence`.
        h0: [L*D, B, H] or None for zeros.
        c0: The same.
        parameters: The lanes' parameters one after the other, None where absent (`StackSpec.lane_parameters`).

    Returns:
        y [N, D*H], hn [L*D, B, H], cn [L*D, B, H].
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, h0, c0, *parameters)):
        outputs: tuple[Tensor, Tensor, Tensor] = _Stack.apply(call, x, h0, c0, *parameters)  # type: ignore[no-untyped-call]
        return outputs
    return _forward(call, x, h0, c0, parameters, training=False)[0]


def _lanes(spec: StackSpec, parameters: list[Tensor | None]) -> list[list[Tensor | None]]:
    flat = [None if p is None else p.detach().contiguous() for p in parameters]
    each = len(flat) // spec.lanes
    return [flat[i * each : (i + 1) * each] for i in range(spec.lanes)]


def _zeros_like(parameter: Tensor) -> Tensor:
    """Zeros that the system makes when they are touched; torch.zeros would wake torch's own threads to fill them."""
    return torch.from_numpy(np.zeros(parameter.shape, str(parameter.dtype).removeprefix("torch.")))


def _plain(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().contiguous()


def _forward(
    call: Call, x: Tensor, h0: Tensor | None, c0: Tensor | None, parameters: list[Tensor | None], *, training: bool
) -> tuple[tuple[Tensor, Tensor, Tensor], Block]:
    spec, context, problem = call.spec, native.context(call.threads), call.problem(x.dtype, training)
    kept_bytes, scratch_bytes, _ = context.plan(problem)
    state = (spec.lanes, call.batch_sizes[0], spec.hidden_size)
    y = x.new_empty(x.shape[0], spec.directions * spec.hidden_size)
    hn, cn = x.new_empty(state), x.new_empty(state)
    kept, scratch = pool.take(kept_bytes), pool.take(scratch_bytes)
    context.forward(
        problem, _lanes(spec, parameters), _plain(x), _plain(h0), _plain(c0), y, hn, cn, kept.array, scratch.array
    )
    return (y, hn, cn), kept


class _Stack(torch.autograd.Function):
    """One node of the graph.

    Backward writes the gradients over what forward kept; a second backward through the same graph (retain_graph) runs
    forward again first.
    """

    @staticmethod
    def forward(
        ctx: Any, call: Call, x: Tensor, h0: Tensor | None, c0: Tensor | None, *parameters: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        (y, hn, cn), ctx.kept = _forward(call, x, h0, c0, list(parameters), training=True)
        ctx.call = call
        ctx.save_for_backward(x, h0, c0, y, *parameters)
        ctx.set_materialize_grads(False)
        return y, hn, cn

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # only create_graph=True leaves it on here
            raise RuntimeError("rnn_engine: the gradient of a gradient (create_graph=True) is not supported")
        return _backward(ctx, *upstream)


def _backward(ctx: Any, dy: Tensor | None, dhn: Tensor | None, dcn: Tensor | None) -> tuple[Tensor | None, ...]:
    x, h0, c0, y, *parameters = ctx.saved_tensors
    call: Call = ctx.call
    context, problem = native.context(call.threads), call.problem(x.dtype, training=True)
    kept, ctx.kept = ctx.kept, None
    if kept is None:
        kept = _forward(call, x, h0, c0, parameters, training=True)[1]
    scratch = pool.take(context.plan(problem)[2])
    needs = ctx.needs_input_grad
    dx = torch.empty_like(x, memory_format=torch.contiguous_format) if needs[1] else None
    dh0 = torch.empty_like(h0, memory_format=torch.contiguous_format) if needs[2] else None
    dc0 = torch.empty_like(c0, memory_format=torch.contiguous_format) if needs[3] else None
    gradients = [_zeros_like(p) if needed else None for p, needed in zip(parameters, needs[4:], strict=True)]
    context.backward(
        problem,
        _lanes(call.spec, parameters),
        _lanes(call.spec, gradients),
        _plain(x),
        _plain(h0),
        _plain(c0),
        y.detach(),
        _plain(dy),
        _plain(dhn),
        _plain(dcn),
        dx,
        dh0,
        dc0,
        kept.array,
        scratch.array,
    )
    return None, dx, dh0, dc0, *gradients


__all__ = ["Call", "run_stack"]
