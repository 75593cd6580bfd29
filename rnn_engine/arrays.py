"""The NumPy face: runs stacks forward, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.spec import StackSpec

Array = NDArray[Any]


class Stack:
    """A stack of recurrent layers with fixed parameters, forward only.

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

    def __call__(
        self, x: Array, state: tuple[Array, Array] | None = None, lengths: Array | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        """Runs the stack.

        Args:
            x: [T, B, I].
            state: (h0, c0), each [L*D, B, H]; zeros if None.
            lengths: [B] steps of each sequence, 1 to T, in any order; all T if None.

        Returns:
            output [T, B, D*H], zero beyond each sequence's length, and (hn, cn), each [L*D, B, H].

        Raises:
            ValueError: A shape or type is not what the stack expects, or a length is out of bounds.
        """
        spec = self.spec
        if x.ndim != 3 or 0 in x.shape[:2]:
            raise ValueError(f"x: expected [T, B, I] with T and B at least 1, got {list(x.shape)}")
        steps, batch, _ = x.shape
        _check("x", x, (steps, batch, spec.input_size), self.dtype)
        for name, array in zip(("h0", "c0"), state or (), strict=False):
            _check(name, array, (spec.lanes, batch, spec.hidden_size), self.dtype)
        if lengths is None:
            return self._run(x.reshape(steps * batch, -1), state, steps, batch, None, (steps, batch))

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
        sorted_state = None if state is None else (state[0][:, order], state[1][:, order])
        sizes = running.sum(axis=1).tolist()
        packed, (hn, cn) = self._run(rows, sorted_state, longest, batch, sizes, (rows.shape[0],))
        y = np.zeros((steps, batch, packed.shape[-1]), self.dtype)
        ordered = np.zeros((longest, batch, packed.shape[-1]), self.dtype)
        ordered[running] = packed
        y[:longest] = ordered[:, original]
        return y, (hn[:, original], cn[:, original])

    def _run(
        self,
        rows: Array,
        state: tuple[Array, Array] | None,
        steps: int,
        batch: int,
        batch_sizes: list[int] | None,
        leading: tuple[int, ...],
    ) -> tuple[Array, tuple[Array, Array]]:
        spec = self.spec
        problem = native.make_problem(
            spec, self.dtype.name, steps=steps, batch=batch, training=False, batch_sizes=batch_sizes
        )
        kept, scratch = (pool.take(size) for size in self._context.plan(problem)[:2])
        y = np.empty((rows.shape[0], spec.directions * spec.hidden_size), self.dtype)
        hn, cn = (np.empty((spec.lanes, batch, spec.hidden_size), self.dtype) for _ in range(2))
        h0, c0 = (None, None) if state is None else map(np.ascontiguousarray, state)
        self._context.forward(
            problem, self._lanes, np.ascontiguousarray(rows), h0, c0, y, hn, cn, kept.array, scratch.array
        )
        return y.reshape(*leading, -1), (hn, cn)


def _check(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.name not in native.DTYPES:
        raise ValueError(f"{name}: expected float32 or float64, got {dtype}")
    if array.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype}, got {array.dtype}")
    if tuple(array.shape) != shape:
        raise ValueError(f"{name}: expected {list(shape)}, got {list(array.shape)}")
