"""`linear` and `dropout` in float64 NumPy, readable as the equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Gradients(NamedTuple):
    """The gradients of `linear`.

    Attributes:
        inputs: [M, I_i] each.
        weight: [O, I_1 + I_2 + ...].
        bias: [O].
    """

    inputs: tuple[Array, ...]
    weight: Array
    bias: Array


def linear(
    inputs: Sequence[ArrayLike],
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    factors: ArrayLike = 1.0,
    *,
    activation: str | None = None,
) -> Array:
    """Compute y = act([x_1 x_2 ...] W^T + b) factors, [M, O].

    Args:
        inputs: x_1, x_2, ..., [M, I_i] each.
        weight: W, [O, I_1 + I_2 + ...].
        bias: b, [O]; None stands for zeros.
        factors: mask / (1 - p), [M, O], or what stands for it.
        activation: "tanh" or None.
    """
    x, w = _beside(inputs), np.asarray(weight, np.float64)
    z = x @ w.T + (0.0 if bias is None else np.asarray(bias, np.float64))
    return (np.tanh(z) if activation == "tanh" else z) * np.asarray(factors, np.float64)


def linear_backward(
    inputs: Sequence[ArrayLike],
    weight: ArrayLike,
    y: ArrayLike,
    dy: ArrayLike,
    factors: ArrayLike = 1.0,
    *,
    activation: str | None = None,
) -> Gradients:
    """Compute the gradients of `linear` from its result y, [M, O], and that one's gradient.

        t = y / factors;  dz = dy factors (1 - t^2);  dx_i = dz W_i;  dW = dz^T [x_1 x_2 ...];  db = sum of dz over rows

    Where the factor is zero so is dz; without an activation its derivative is 1.
    """
    x, w, f = _beside(inputs), np.asarray(weight, np.float64), np.asarray(factors, np.float64)
    dz = np.asarray(dy, np.float64) * f
    if activation == "tanh":
        t = np.divide(np.asarray(y, np.float64), f, out=np.zeros(dz.shape), where=f != 0)
        dz = dz * (1 - t**2)
    edges = np.cumsum([np.asarray(each).shape[1] for each in inputs])[:-1]
    return Gradients(tuple(np.split(dz @ w, edges, 1)), dz.T @ x, dz.sum(0))


def dropout(x: ArrayLike, factors: ArrayLike, kept_rows: ArrayLike, scale: float = 1.0) -> Array:
    """Compute x scale factors kept_rows, [T, B, F].

    Args:
        x: [T, B, F].
        factors: mask / (1 - p), [T, B, F], or [B, F] of one mask for all steps.
        kept_rows: [T, B] 1, or 0 where the whole row is dropped.
        scale: What all values are multiplied by.
    """
    kept = np.asarray(kept_rows, np.float64)[..., None]
    return np.asarray(x, np.float64) * scale * np.asarray(factors, np.float64) * kept


def _beside(inputs: Sequence[ArrayLike]) -> Array:
    return np.concatenate([np.asarray(each, np.float64) for each in inputs], 1)
