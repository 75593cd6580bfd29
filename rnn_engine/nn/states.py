"""States between torch and the engine, which takes all layers' h in one piece, and all c in another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from rnn_engine.spec import CELLS, StackSpec
from rnn_engine.states import joined, pair_of, pieces_of, state_of

Half = Tensor | Sequence[Tensor]
State = tuple[Half, Half] | Half
"""(h, c), of a GRU h alone; each [L*D, B, width], or a sequence of L tensors [D, B, width] if the layers differ in
width."""


def engine_states(
    spec: StackSpec,
    state: State,
    batch: int | None,
    like: Tensor,
    dtype: torch.dtype,
    order: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(h0, c0) for the engine.

    Args:
        spec: The stack.
        state: As the stack's layers ask for it.
        batch: B, or None for states without a batch dimension.
        like: A tensor of the dtype and device that a caller is told to give.
        dtype: In which the call computes.
        order: For each of the engine's sequences the caller's; None for the same order.

    Raises:
        ValueError: A shape, dtype or device is not what the stack expects.
    """

    def joined_half(name: str, pieces: tuple[Tensor, ...]) -> Tensor:
        for tensor in pieces:
            if tensor.dtype not in (like.dtype, dtype):
                raise ValueError(f"{name}: expected {like.dtype} as the weights, got {tensor.dtype}")
            if tensor.device != like.device:
                raise ValueError(f"{name}: expected a tensor on {like.device}, got {tensor.device}")
        if order is not None:
            pieces = tuple(tensor.index_select(1, order) for tensor in pieces)
        whole = pieces[0] if len(pieces) == 1 else torch.cat([tensor.reshape(-1) for tensor in pieces])
        return whole if whole.dtype == dtype else whole.to(dtype)

    h, c = pieces_of(spec, pair_of(spec, state), batch)
    return joined_half("h0", h), joined_half("c0", c)


def callers_states(spec: StackSpec, hn: Tensor, cn: Tensor, batch: int | None, order: Tensor | None = None) -> State:
    """The inverse of `engine_states`; `order` gives for each of the caller's sequences the engine's.

    What it returns are no views, so that callers may detach and change them in place.
    """
    if order is None and batch is not None and hn.dim() == cn.dim() == len("LBH"):  # as the engine made them
        return hn if CELLS[spec.cell].single_state else (hn, cn)

    def half(whole: Tensor, shapes: tuple[tuple[int, ...], ...]) -> Half:
        if len(shapes) == 1:
            pieces = [whole.view(shapes[0])]
        else:
            ends = list(accumulate(prod(shape) for shape in shapes))
            pieces = [whole[end - prod(shape) : end].view(shape) for end, shape in zip(ends, shapes, strict=True)]
        result: Half = joined([piece.clone() if order is None else piece.index_select(1, order) for piece in pieces])
        return result

    h, c = spec.state_shapes(batch)
    state: State = state_of(spec, (half(hn, h), half(cn, c)))
    return state


def detached(spec: StackSpec, state: State) -> State:
    """The same values without their history."""

    def half(tensors: Half) -> Half:
        return tensors.detach() if isinstance(tensors, Tensor) else tuple(tensor.detach() for tensor in tensors)

    h, c = pair_of(spec, state)
    result: State = state_of(spec, (half(h), half(c)))
    return result
