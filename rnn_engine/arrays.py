"""The NumPy face: runs stacks forward, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.spec import StackSpec

Array = NDArray[Any]
State = tuple[Array, Array] | tuple[Sequence[Array], Sequence[Array]]
"""(h, c), each [L*D, B, width]; or each a tuple of L arrays [D, B, width] if the layers differ in width."""


class Stack:
    """A stack of recurrent layers with fixed parameters, packed once, forward only.

    Args:
        spec: Cell and shapes. Its dropout does nothing here.
        parameters: Arrays by the names of `StackSpec.parameter_shapes` (those of a torch state dict), all float32 or
            all float64.
        threads: CPU threads; all cores that the process may use if None.

    Raises:
        ValueError: A parameter is missing, unknown, or of another shape or type than expected.
    """

    def __init__(self, spec: StackSpec, parameters: Mapping[str, Array], threads: int | None = None) -> None:
        shapes = spec.parameter_shapes()
        for name in parameters:
            if name not in shapes:
                raise ValueError(f"parameters: unknown name {name}; expected {', '.join(shapes)}")
        self.spec = spec
        self.dtype = np.dtype(next(iter(parameters.values())).dtype) if parameters else np.dtype(np.float32)
        for name, shape in shapes.items():
            if name not in parameters:
                raise ValueError(f"parameters: {name} {list(shape)} is missing")
            _check(name, parameters[name], shape, self.dtype)
        self._lanes = [
            [
                None if shape is None else np.ascontiguousarray(parameters[name])
                for name, shape in spec.lane_parameters(lane).items()
            ]
            for lane in range(spec.lanes)
        ]
        self._context = native.context(threads or native.cpu_count())
        problem = self._problem(1, 1)
        self._packed = pool.take(self._context.packed_bytes(problem))
        self._context.pack(problem, self._lanes, self._packed.array)

    def __call__(
        self,
        x: Array,
        state: State | None = None,
        lengths: Array | None = None,
        *,
        last_state_only: bool = False,
    ) -> tuple[Array | None, State]:
        """Runs the stack.

        Args:
            x: [T, B, I].
            state: (h0, c0); zeros if None.
            lengths: [B] steps of each sequence, 1 to T, in any order; all T if None.
            last_state_only: Return no output; the memory of a one-directional stack then does not grow with T.

        Returns:
            output [T, B, D*R], zero beyond each sequence's length (None with last_state_only), and (hn, cn).

        Raises:
            ValueError: A shape or type is not what the stack expects, or a length is out of bounds.
        """
        if x.ndim != 3 or 0 in x.shape[:2]:
            raise ValueError(f"x: expected [T, B, I] with T and B at least 1, got {list(x.shape)}")
        steps, batch, _ = x.shape
        _check("x", x, (steps, batch, self.spec.input_size), self.dtype)
        flat = None if state is None else self._flat(state, batch, None)
        if lengths is None:
            y, last = self._run(x.reshape(steps * batch, -1), flat, steps, batch, None, output=not last_state_only)
            return None if y is None else y.reshape(steps, batch, -1), self._shaped(last, batch, None)

        lengths = np.asarray(lengths)
        if lengths.shape != (batch,) or not np.issubdtype(lengths.dtype, np.integer):
            raise ValueError(f"lengths: expected [B] = [{batch}] integers, got {list(lengths.shape)} {lengths.dtype}")
        if lengths.min() < 1 or lengths.max() > steps:
            raise ValueError(f"lengths: expected 1 to T = {steps}, got {lengths.min()} to {lengths.max()}")
        order = np.argsort(-lengths, kind="stable")
        original = np.argsort(order)
        longest = int(lengths.max())
        running = np.arange(longest)[:, None] < lengths[order][None, :]  # [longest, B] in the engine's order
        rows = np.ascontiguousarray(x[:longest, order][running])
        if state is not None:
            flat = self._flat(state, batch, order)
        sizes = running.sum(axis=1).tolist()
        packed, last = self._run(rows, flat, longest, batch, sizes, output=not last_state_only)
        states = self._shaped(last, batch, original)
        if packed is None:
            return None, states
        y = np.zeros((steps, batch, packed.shape[-1]), self.dtype)
        ordered = np.zeros((longest, batch, packed.shape[-1]), self.dtype)
        ordered[running] = packed
        y[:longest] = ordered[:, original]
        return y, states

    def step(self, x: Array, state: State | None = None) -> tuple[Array, State]:
        """Runs one step of a one-directional stack: streaming.

        Args:
            x: [B, I].
            state: (h, c) before the step; zeros if None.

        Returns:
            output [B, R], and (h, c) after the step.

        Raises:
            ValueError: A shape or type is not what the stack expects, or the stack is bidirectional.
        """
        if self.spec.bidirectional:
            raise ValueError("step: expected a one-directional stack, got a bidirectional one")
        if x.ndim != 2:
            raise ValueError(f"x: expected [B, I], got {list(x.shape)}")
        y, last = self(x[None], state)
        assert y is not None
        return y[0], last

    def _problem(
        self, steps: int, batch: int, batch_sizes: list[int] | None = None, *, output: bool = True
    ) -> native.Problem:
        return native.make_problem(
            self.spec,
            self.dtype.name,
            steps=steps,
            batch=batch,
            training=False,
            batch_sizes=batch_sizes,
            output=output,
            prepacked=True,
        )

    def _run(
        self,
        rows: Array,
        state: tuple[Array, Array] | None,
        steps: int,
        batch: int,
        batch_sizes: list[int] | None,
        *,
        output: bool,
    ) -> tuple[Array | None, tuple[Array, Array]]:
        """Output [N, D*R], and hn and cn, flat."""
        spec = self.spec
        plan = native.Plan(self._context, self._problem(steps, batch, batch_sizes, output=output))
        kept, scratch = pool.take(plan.kept_bytes), pool.take(plan.scratch_bytes)
        y = np.empty((rows.shape[0], spec.output_size), self.dtype) if output else None
        hn = np.empty(spec.directions * batch * sum(spec.state_sizes), self.dtype)
        cn = np.empty(spec.directions * batch * sum(spec.hidden_sizes), self.dtype)
        h0, c0 = (None, None) if state is None else state
        plan.forward(
            self._lanes,
            self._packed.array,
            np.ascontiguousarray(rows),
            h0,
            c0,
            y,
            None,
            hn,
            cn,
            kept.array,
            scratch.array,
        )
        return y, (hn, cn)

    def _flat(self, state: State, batch: int, order: Array | None) -> tuple[Array, Array]:
        """Each half of (h0, c0), checked, as one array; sequences in another order."""
        spec = self.spec

        def half(name: str, arrays: Array | Sequence[Array], widths: tuple[int, ...]) -> Array:
            if len(set(widths)) == 1:
                arrays, lanes, widths = (arrays,), spec.lanes, widths[:1]  # type: ignore[assignment]
            else:
                lanes = spec.directions
            if len(arrays) != len(widths):
                raise ValueError(f"{name}: expected {len(widths)} arrays, one for each layer, got {len(arrays)}")
            pieces = []
            for array, width in zip(arrays, widths, strict=True):
                _check(name, array, (lanes, batch, width), self.dtype)
                pieces.append((array if order is None else array[:, order]).reshape(-1))
            return np.concatenate(pieces)

        if len(state) != 2:
            raise ValueError(f"state: expected (h0, c0), got {len(state)} entries")
        return half("h0", state[0], spec.state_sizes), half("c0", state[1], spec.hidden_sizes)

    def _shaped(self, last: tuple[Array, Array], batch: int, order: Array | None) -> State:
        """The inverse of `_flat`."""
        spec = self.spec

        def half(flat: Array, widths: tuple[int, ...]) -> Array | tuple[Array, ...]:
            if len(set(widths)) == 1:
                whole: Array = flat.reshape(spec.lanes, batch, widths[0])
                return whole if order is None else whole[:, order]
            ends = np.cumsum([spec.directions * batch * width for width in widths])[:-1]
            pieces = [
                piece.reshape(spec.directions, batch, width)
                for piece, width in zip(np.split(flat, ends), widths, strict=True)
            ]
            return tuple(piece if order is None else piece[:, order] for piece in pieces)

        return half(last[0], spec.state_sizes), half(last[1], spec.hidden_sizes)  # type: ignore[return-value]


def _check(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.name not in native.DTYPES:
        raise ValueError(f"{name}: expected float32 or float64, got {dtype}")
    if array.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype}, got {array.dtype}")
    if tuple(array.shape) != shape:
        raise ValueError(f"{name}: expected {list(shape)}, got {list(array.shape)}")
