"""States of a stack: (h, c), each [L*D, B, width], or a tuple of L tensors [D, B, width] if layers differ in width."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rnn_engine.spec import StackSpec

State = tuple[Tensor, Tensor] | tuple[Sequence[Tensor], Sequence[Tensor]]
_Half = Tensor | Sequence[Tensor]


def check_states(spec: StackSpec, states: State, batch: int, batched: bool, like: Tensor) -> State:
    """Checks (h0, c0) and returns them with a batch dimension.

    Args:
        spec: The stack.
        states: (h0, c0) in the form that the stack's layers ask for; without the batch dimension if not `batched`.
        batch: B.
        batched: Whether the input has a batch dimension.
        like: A tensor of the expected dtype and device.

    Raises:
        ValueError: A shape, dtype or device is not what the stack expects.
    """
    if len(states) != 2:
        raise ValueError(f"hx: expected (h0, c0), got {len(states)} entries")
    h = _check_half(spec, "h0", states[0], spec.state_sizes, batch, batched, like)
    c = _check_half(spec, "c0", states[1], spec.hidden_sizes, batch, batched, like)
    return h, c  # type: ignore[return-value]


def _check_half(
    spec: StackSpec, name: str, half: _Half, widths: tuple[int, ...], batch: int, batched: bool, like: Tensor
) -> _Half:
    middle = [batch] if batched else []
    letters = "B, " if batched else ""
    if len(set(widths)) == 1:
        if not isinstance(half, Tensor):
            raise ValueError(f"{name}: expected one tensor, got {type(half).__name__}")
        return _check_tensor(name, half, [spec.lanes, *middle, widths[0]], f"[L*D, {letters}width]", batched, like)
    if isinstance(half, Tensor) or len(half) != spec.num_layers:
        raise ValueError(
            f"{name}: expected a sequence of L = {spec.num_layers} tensors, as the layers differ in width, got "
            + ("one tensor" if isinstance(half, Tensor) else f"{len(half)}")
        )
    return tuple(
        _check_tensor(f"{name}[{layer}]", tensor, [spec.directions, *middle, width], f"[D, {letters}H]", batched, like)
        for layer, (tensor, width) in enumerate(zip(half, widths, strict=True))
    )


def _check_tensor(name: str, tensor: Tensor, expected: list[int], letters: str, batched: bool, like: Tensor) -> Tensor:
    if tensor.dim() != len(expected):
        raise ValueError(
            f"{name}: expected {len(expected)} dimensions for this input, got {tensor.dim()} ({list(tensor.shape)})"
        )
    if list(tensor.shape) != expected:
        raise ValueError(f"{name}: expected {letters} = {expected}, got {list(tensor.shape)}")
    if tensor.dtype != like.dtype:
        raise ValueError(f"{name}: expected {like.dtype} as the weights, got {tensor.dtype}")
    if tensor.device != like.device:
        raise ValueError(f"{name}: expected a tensor on {like.device}, got {tensor.device}")
    return tensor if batched else tensor.unsqueeze(1)


def _map(states: State, change: Callable[[Tensor], Tensor]) -> State:
    def half(tensors: _Half) -> _Half:
        return change(tensors) if isinstance(tensors, Tensor) else tuple(change(t) for t in tensors)

    return half(states[0]), half(states[1])  # type: ignore[return-value]


def reorder_states(states: State, order: Tensor | None) -> State:
    """The same with sequences in another order: B indices, or None for no change."""
    return states if order is None else _map(states, lambda tensor: tensor.index_select(1, order))


def detached(states: State) -> State:
    """The same values without their history."""
    return _map(states, lambda tensor: tensor.detach())


def flat_states(states: State) -> tuple[Tensor, Tensor]:
    """Each half as one tensor, the layers one after the other."""

    def flat(half: _Half) -> Tensor:
        return half if isinstance(half, Tensor) else torch.cat([tensor.reshape(-1) for tensor in half])

    return flat(states[0]), flat(states[1])


def shaped_states(spec: StackSpec, hn: Tensor, cn: Tensor, batch: int, batched: bool) -> State:
    """The inverse of `flat_states`; without the batch dimension if not `batched`."""

    def half(flat: Tensor, widths: tuple[int, ...]) -> _Half:
        def view(piece: Tensor, lanes: int, width: int) -> Tensor:
            shaped = piece.view(lanes, batch, width)
            return shaped if batched else shaped.squeeze(1)

        if len(set(widths)) == 1:
            return view(flat, spec.lanes, widths[0])
        pieces = torch.split(flat, [spec.directions * batch * width for width in widths])
        return tuple(view(piece, spec.directions, width) for piece, width in zip(pieces, widths, strict=True))

    return half(hn, spec.state_sizes), half(cn, spec.hidden_sizes)  # type: ignore[return-value]
