"""The form of a stack's states in both faces: (h, c), each one array [L*D, B, width], or L arrays [D, B, width].

They are L arrays where the layers differ in width. h is R wide (P with a projection, else H), c is H wide, so with a
projection h can be one array where c is L. For a cell with a single state its callers see h alone. Imports neither
torch nor the native part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnn_engine.spec import CELLS, StackSpec


def pair_of(spec: StackSpec, state: Any) -> Any:
    """(h, c) of what a caller gives as the state: both, or for cells with a single state the one."""
    return (state, state) if state is not None and CELLS[spec.cell].single_state else state


def state_of(spec: StackSpec, pair: tuple[Any, Any]) -> Any:
    """The inverse of `pair_of`."""
    return pair[0] if CELLS[spec.cell].single_state else pair


def pieces_of(spec: StackSpec, states: Sequence[Any], batch: int | None) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arrays that h0 and c0 are made of.

    Args:
        spec: The stack.
        states: (h0, c0) in the form that the stack's layers ask for.
        batch: B, or None for states without a batch dimension.

    Raises:
        ValueError: The form or a shape is not what the stack expects.
    """
    if not isinstance(states, (tuple, list)):
        raise ValueError(f"state: expected (h0, c0), got {type(states).__name__}")
    if len(states) != 2:
        raise ValueError(f"state: expected (h0, c0), got {len(states)} entries")
    h, c = spec.state_shapes(batch)
    given = [getattr(half, "shape", None) for half in states]
    if [*h, *c] == given:  # one array each, as it should be
        return (states[0],), (states[1],)
    letters = "B, " if batch is not None else ""
    width = "P" if spec.proj_size else "H"
    return _half("h0", states[0], h, f"{letters}{width}"), _half("c0", states[1], c, f"{letters}H")


def _half(name: str, half: Any, shapes: tuple[tuple[int, ...], ...], letters: str) -> tuple[Any, ...]:
    if len(shapes) == 1:
        if not hasattr(half, "shape"):
            raise ValueError(f"{name}: expected one array, got {type(half).__name__}")
        _check_shape(name, half, shapes[0], f"[L*D, {letters}]")
        return (half,)
    if not isinstance(half, Sequence) or len(half) != len(shapes):
        given = "one array" if hasattr(half, "shape") else type(half).__name__
        given = f"{len(half)}" if isinstance(half, Sequence) else given
        raise ValueError(
            f"{name}: expected a sequence of L = {len(shapes)} arrays, as the layers differ in width, got {given}"
        )
    for layer, (piece, shape) in enumerate(zip(half, shapes, strict=True)):
        _check_shape(f"{name}[{layer}]", piece, shape, f"[D, {letters}]")
    return tuple(half)


def _check_shape(name: str, array: Any, expected: tuple[int, ...], letters: str) -> None:
    if not hasattr(array, "shape"):
        raise ValueError(f"{name}: expected an array, got {type(array).__name__}")
    if tuple(array.shape) != expected:
        raise ValueError(f"{name}: expected {letters} = {list(expected)}, got {list(array.shape)}")


def joined(pieces: Sequence[Any]) -> Any:
    """What a call takes or returns as h or c: the one array, or the tuple of L."""
    return pieces[0] if len(pieces) == 1 else tuple(pieces)
