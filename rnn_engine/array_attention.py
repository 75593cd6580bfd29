"""Attention for the NumPy face: forward only, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnn_engine import native
from rnn_engine.memory import pool

Array = NDArray[Any]


def attention(
    queries: Array,
    keys: Array,
    values: Array,
    source_lengths: Array | Sequence[int] | None = None,
    target_lengths: Array | Sequence[int] | None = None,
    *,
    vector: Array | None = None,
    heads: int = 1,
    scale: float | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Average the values of a source, for every query, by how well their keys fit.

    The same bits as `rnn_engine.attention` gives for tensors.

    Args:
        queries: [T, B, A], float32 or float64, as the next three.
        keys: [S, B, A].
        values: [S, B, C].
        source_lengths: [B] states of each source, 1 to S; all S if None.
        target_lengths: [B] queries of each target, 0 to T; all T if None.
        vector: [A]: scores are scale * vector . tanh(queries + keys); None: scale * queries . keys.
        heads: Each averages by itself, with its columns of queries, keys and values.
        scale: If None 1 / sqrt(A / heads), with a vector 1.
        threads: CPU threads; all cores that the process may use if None.

    Returns:
        Context [T, B, C] and weights [T, B, S], the mean over the heads; zeros beyond the lengths.

    Raises:
        ValueError: A shape, type or value is not what is expected.
    """
    steps, batch, size = _shape("queries", queries, queries)
    source_steps, _, _ = _shape("keys", keys, queries, (None, batch, size))
    _, _, width = _shape("values", values, queries, (source_steps, batch, None))
    if vector is not None:
        _shape("vector", vector, queries, (size,))
    default = (size // max(heads, 1)) ** -0.5 if vector is None else 1.0
    problem = native.AttentionProblem(
        dtype=native.DTYPES[queries.dtype.name],
        form=int(vector is not None),
        steps=steps,
        batch=batch,
        source_steps=source_steps,
        key_size=size,
        value_size=width,
        heads=heads,
        scale=default if scale is None else scale,
        dropout=0.0,
    )
    engine = native.context(threads or native.cpu_count())
    workspace = pool.array((native.attention_workspace(engine, problem, 0),))
    context, weights = (
        np.empty((steps, batch, width), queries.dtype),
        np.empty((steps, batch, source_steps), queries.dtype),
    )
    inputs = *map(_plain, (queries, keys, values, vector)), *map(_lengths, (source_lengths, target_lengths))
    native.attention_forward(engine, problem, inputs, (context, None, weights), workspace)
    return context, weights


def _shape(name: str, array: object, queries: Array, expected: tuple[int | None, ...] = (None,) * 3) -> tuple[int, ...]:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {type(array).__name__}")
    if array.dtype.name not in ("float32", "float64") or array.dtype != queries.dtype:
        like = "float32 or float64" if array is queries else f"{queries.dtype} as queries"
        raise ValueError(f"{name}: expected {like}, got {array.dtype}")
    shape = tuple(array.shape)
    if len(shape) != len(expected) or any(e not in (None, n) for e, n in zip(expected, shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in expected)
        raise ValueError(f"{name}: expected [{wanted}], got {list(shape)}")
    return shape


def _plain(array: Array | None) -> Array | None:
    return None if array is None else np.require(array, requirements=("C", "A"))


def _lengths(lengths: Array | Sequence[int] | None) -> Array | None:
    return None if lengths is None else np.ascontiguousarray(lengths, np.int64)


__all__ = ["attention"]
