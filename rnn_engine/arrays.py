"""The NumPy face: runs stacks forward, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.ragged import Ragged
from rnn_engine.spec import StackSpec, check_schedule
from rnn_engine.states import joined, pair_of, pieces_of, state_of

Array = NDArray[Any]
Half = Array | Sequence[Array]
State = tuple[Half, Half]
"""(h, c), each [L*D, B, width], or a sequence of L arrays [D, B, width] if the layers differ in width."""

_Pieces = tuple[Array, ...]


class Stack:
    """A stack of recurrent layers with fixed parameters, forward only. The weights are packed once, when it is made.

    Args:
        spec: Cell and shapes. Its dropouts do nothing here; zoneout takes the expectation.
        parameters: Arrays by the names of `StackSpec.parameter_shapes` (those of a torch state dict), all float32 or
            all float64.
        threads: CPU threads; all cores that the process may use if None.
        schedule: How they share the work (`rnn_engine.spec.SCHEDULES`); results do not depend on it.

    Raises:
        ValueError: A parameter is missing, unknown, or of another shape or type than expected, or there is no such
            schedule.
    """

    def __init__(
        self,
        spec: StackSpec,
        parameters: Mapping[str, Array],
        threads: int | None = None,
        *,
        schedule: str = "auto",
    ) -> None:
        shapes = spec.parameter_shapes()
        for name in parameters:
            if name not in shapes:
                raise ValueError(f"parameters: unknown name {name}; expected {', '.join(shapes)}")
        self.spec = spec
        self.schedule = check_schedule(schedule)
        first = next(iter(parameters.values()), np.zeros(0, np.float32))
        self.dtype = np.dtype(getattr(first, "dtype", np.float32)).newbyteorder("=")
        for name, shape in shapes.items():
            if name not in parameters:
                raise ValueError(f"parameters: {name} {list(shape)} is missing")
            _check(name, parameters[name], shape, self.dtype)
        self._weights = [np.array(parameters[name], order="C") for name in shapes]
        self._context = native.context(threads or native.cpu_count())
        plan = self._plan(1, 1, None, schedule, True, False)
        self._packed = pool.array((plan.packed_bytes,))
        plan.pack(self._weights, self._packed)

    def __repr__(self) -> str:
        return f"<Stack: {self.spec.describe()}, {self.dtype}, {self._context.threads} threads>"

    def __call__(
        self,
        x: Array,
        state: State | None = None,
        lengths: Array | Sequence[int] | None = None,
        *,
        schedule: str | None = None,
        last_state_only: bool = False,
        return_cell_states: bool = False,
    ) -> Any:
        """Runs the stack.

        Args:
            x: [T, B, I].
            state: (h0, c0), for a GRU h0 alone, each [L*D, B, R] or [L*D, B, H], R being P with a projection, else H;
                with layers of different widths each is a sequence of L arrays [D, B, width]. Zeros if None.
            lengths: [B] steps of each sequence, 1 to T, in any order; all T if None.
            schedule: In place of the stack's own.
            last_state_only: Return no output: memory then does not grow with T, in one direction.
            return_cell_states: Return c of every step of the last layer too.

        Returns:
            output [T, B, D*R], zero beyond each sequence's length (None with last_state_only), and (hn, cn) in the form
            of `state`. With return_cell_states, cell states [T, B, D*H] come third.

        Raises:
            ValueError: A shape or type is not what the stack expects, or a length is out of bounds.
        """
        _check_array("x", x)
        if x.ndim != 3 or 0 in x.shape[:2]:
            raise ValueError(f"x: expected [T, B, I] with T and B at least 1, got {list(x.shape)}")
        steps, batch, _ = x.shape
        _check("x", x, (steps, batch, self.spec.input_size), self.dtype)
        pieces = None if state is None else self._pieces(state, batch)
        wanted = (self.schedule if schedule is None else schedule, not last_state_only, return_cell_states)
        if lengths is None:
            y, cy, last = self._run(x, pieces, [batch] * steps, *wanted)
        else:
            ragged = Ragged.of(lengths, steps, batch)
            if pieces is not None:
                pieces = _reordered(pieces, ragged.order)
            rows = np.empty((len(ragged.places), self.spec.input_size), self.dtype)
            ragged.gather(x.reshape(steps * batch, -1), rows)
            y, cy, last = self._run(rows, pieces, ragged.batch_sizes, *wanted)
            y, cy = (None if rows is None else _spread(rows, ragged, (steps, batch)) for rows in (y, cy))
            last = _reordered(last, ragged.original)
        states = state_of(self.spec, (joined(last[0]), joined(last[1])))
        return (y, states, cy) if return_cell_states else (y, states)

    def step(self, x: Array, state: State | None = None) -> tuple[Array, State]:
        """Runs a single step, to be called again with the state that it returns.

        Args:
            x: [B, I].
            state: (h, c) before the step, in the form that a call takes; zeros if None.

        Returns:
            output [B, R], and (h, c) after the step.

        Raises:
            ValueError: The stack is bidirectional, or a shape or type is not what it expects.
        """
        if self.spec.bidirectional:
            raise ValueError("step: expected a one-directional stack: the reverse direction begins with the last step")
        _check_array("x", x)
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(f"x: expected [B, I] with B at least 1, got {list(x.shape)}")
        y, after = self(x[None], state)
        return y[0], after

    def _pieces(self, state: State, batch: int) -> tuple[_Pieces, _Pieces]:
        pieces = pieces_of(self.spec, pair_of(self.spec, state), batch)
        for name, half in zip(("h0", "c0"), pieces, strict=True):
            for array in half:
                _check(name, array, array.shape, self.dtype)
        return pieces

    def _run(
        self,
        x: Array,
        state: tuple[_Pieces, _Pieces] | None,
        batch_sizes: list[int],
        schedule: str,
        output: bool,
        cell_output: bool,
    ) -> tuple[Array | None, Array | None, tuple[_Pieces, _Pieces]]:
        """Y and cy as the plan shapes them, and the pieces of (hn, cn)."""
        batch = batch_sizes[0]
        sizes = tuple(batch_sizes) if batch_sizes[-1] != batch else None
        plan = self._plan(len(batch_sizes), batch, sizes, schedule, output, cell_output)
        workspace = pool.array((plan.forward_workspace_bytes,))
        y, cy, hn, cn = (
            None if shape is None else np.empty(shape, self.dtype)
            for shape in (plan.y_shape, plan.cy_shape, plan.h_shape, plan.c_shape)
        )
        assert hn is not None
        assert cn is not None
        h0, c0 = (None, None) if state is None else map(_flat, state)
        plan.forward(self._weights, self._packed, _plain(x), h0, c0, y, cy, hn, cn, None, workspace)
        shapes = self.spec.state_shapes(batch)
        return y, cy, (_split(hn, shapes[0]), _split(cn, shapes[1]))

    def _plan(
        self, steps: int, batch: int, sizes: tuple[int, ...] | None, schedule: str, output: bool, cell_output: bool
    ) -> native.Plan:
        options = native.Options(
            training=False, output=output, cell_output=cell_output, prepacked=True, schedule=schedule
        )
        return native.plan(self._context, self.spec, self.dtype.name, steps, batch, sizes, options)


def linear(
    inputs: Array | Sequence[Array],
    weight: Array,
    bias: Array | None = None,
    *,
    activation: str | None = None,
    threads: int | None = None,
) -> Array:
    """act(concat(inputs) weight^T + bias) without the concatenation: `rnn_engine.linear` in evaluation, the same bits.

    Args:
        inputs: One to eight arrays [..., I_1], [..., I_2], ..., with the same leading dimensions, all float32 or all
            float64 as the weight.
        weight: [O, I_1 + I_2 + ...].
        bias: [O].
        activation: "tanh", or None.
        threads: CPU threads; all cores that the process may use if None.

    Returns:
        [..., O].

    Raises:
        ValueError: A shape or type is not what is expected.
    """
    if activation not in (None, "tanh"):
        raise ValueError(f'activation: expected "tanh" or None, got {activation!r}')
    given = [inputs] if isinstance(inputs, np.ndarray) else [*inputs]
    for index, each in enumerate(given):
        _check_array(f"inputs[{index}]", each)
    widths = [each.shape[-1] if each.ndim else 0 for each in given]
    _check_array("weight", weight)
    lead = given[0].shape[:-1] if given else ()
    outputs = weight.shape[0] if weight.ndim else 0
    _check("weight", weight, (outputs, sum(widths)), weight.dtype)
    for index, (each, width) in enumerate(zip(given, widths, strict=True)):
        _check(f"inputs[{index}]", each, (*lead, width), weight.dtype)
    if bias is not None:
        _check("bias", bias, (outputs,), weight.dtype)
    problem = native.LinearProblem(
        dtype=native.DTYPES[weight.dtype.name],
        activation=int(activation == "tanh"),
        steps=1,
        batch=prod(lead),
        outputs=outputs,
        input_sizes=widths,
        dropout=0.0,
        per_sentence=False,
    )
    context = native.context(threads or native.cpu_count())
    workspace = pool.array((context.linear_workspace(problem)[0],))
    y = np.empty((*lead, outputs), weight.dtype)
    rows = [(_plain(each), width) for each, width in zip(given, widths, strict=True)]
    context.linear(problem, rows, _plain(weight), None if bias is None else _plain(bias), y, 0, workspace)
    return y


def _reordered(pieces: tuple[_Pieces, _Pieces], order: Array) -> tuple[_Pieces, _Pieces]:
    h, c = (tuple(piece[:, order] for piece in half) for half in pieces)
    return h, c


def _plain(array: Array) -> Array:
    """The array as the engine reads it: contiguous, each value at an address that is a multiple of its size."""
    return np.require(array, requirements=("C", "A"))


def _flat(pieces: _Pieces) -> Array:
    return _plain(pieces[0]) if len(pieces) == 1 else np.concatenate([piece.ravel() for piece in pieces])


def _split(flat: Array, shapes: tuple[tuple[int, ...], ...]) -> _Pieces:
    pieces = np.split(flat.ravel(), np.cumsum([prod(shape) for shape in shapes])[:-1])
    return tuple(piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))


def _spread(rows: Array, ragged: Ragged, shape: tuple[int, int]) -> Array:
    """[T, B, width] with the rows at their places and zeros elsewhere."""
    dense = np.empty((prod(shape), rows.shape[-1]), rows.dtype)
    ragged.spread(rows.reshape(len(ragged.places), -1), dense)
    return dense.reshape(*shape, -1)


def _check_array(name: str, array: object) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {type(array).__name__}")


def _check(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    _check_array(name, array)
    if dtype.name not in ("float32", "float64"):
        raise ValueError(f"{name}: expected float32 or float64, got {dtype}")
    if array.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype}, got {array.dtype}")
    if tuple(array.shape) != shape:
        raise ValueError(f"{name}: expected {list(shape)}, got {list(array.shape)}")
