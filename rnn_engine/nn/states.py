"""States between torch and the engine, which takes all layers' h in one flat piece, and all c in another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from rnn_engine.spec import StackSpec
from rnn_engine.states import joined, pieces_of

Half = Tensor | Sequence[Tensor]
State = tuple[Half, Half]
"""(h, c), each [L*D, B, width], or a sequence of L tensors [D, B, width] if the layers differ in width."""


def flat_states(
    spec: StackSpec, states: State | None, batch: int | None, like: Tensor, order: Tensor | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """(h0, c0) for the engine; None stays None.

    Args:
        spec: The stack.
        states: (h0, c0) in the form that the stack's layers ask for.
        batch: B, or None for states without a batch dimension.
        like: A tensor of the expected dtype and device.
        order: For each of the engine's rows the caller's; None for the same order.

    Raises:
        ValueError: A shape, dtype or device is not what the stack expects.
    """
    if states is None:
        return None, None

    def flat(name: str, pieces: tuple[Tensor, ...]) -> Tensor:
        for tensor in pieces:
            if tensor.dtype != like.dtype:
                raise ValueError(f"{name}: expected {like.dtype} as the weights, got {tensor.dtype}")
            if tensor.device != like.device:
                raise ValueError(f"{name}: expected a tensor on {like.device}, got {tensor.device}")
        if order is not None:
            pieces = tuple(tensor.index_select(1, order) for tensor in pieces)
        return pieces[0] if len(pieces) == 1 else torch.cat([tensor.reshape(-1) for tensor in pieces])

    h, c = pieces_of(spec, states, batch)
    return flat("h0", h), flat("c0", c)


def shaped_states(spec: StackSpec, hn: Tensor, cn: Tensor, batch: int | None, order: Tensor | None = None) -> State:
    """The inverse of `flat_states`; `order` gives for each of the caller's rows the engine's."""

    def half(flat: Tensor, shapes: tuple[tuple[int, ...], ...]) -> Half:
        ends = list(accumulate(prod(shape) for shape in shapes))
        pieces = [flat[end - prod(shape) : end].view(shape) for end, shape in zip(ends, shapes, strict=True)]
        result: Half = joined(pieces if order is None else [piece.index_select(1, order) for piece in pieces])
        return result

    h, c = spec.state_shapes(batch)
    return half(hn, h), half(cn, c)


def cast(states: State, dtype: torch.dtype) -> State:
    """The same states in another dtype."""

    def half(tensors: Half) -> Half:
        return tensors.to(dtype) if isinstance(tensors, Tensor) else tuple(tensor.to(dtype) for tensor in tensors)

    return half(states[0]), half(states[1])


def detached(states: State) -> State:
    """The same values without their history."""

    def half(tensors: Half) -> Half:
        return tensors.detach() if isinstance(tensors, Tensor) else tuple(tensor.detach() for tensor in tensors)

    return half(states[0]), half(states[1])
