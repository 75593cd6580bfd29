"""One step of every cell, forward and backward, in float64 NumPy: the equations that `rnn_engine.reference` runs.

Symbols: B batch, I input size, H hidden size, R = H, or P with a projection: width of h. Gate order i, f, g, o; of the
GRU r, z, n.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
"""One (layer, direction)'s parameters, named as in `StackSpec.pseudo_layer_parameters` but without the suffix."""

LAYER_NORM_EPSILON = 1e-5
"""What layer norm adds to a variance."""


@dataclass(frozen=True)
class Normal:
    """What layer norm makes of some rows, [B, width].

    Attributes:
        x: The rows less their means, over their deviations.
        scale: 1 / deviation, [B, 1].
        output: gamma*x + beta.
    """

    x: Array
    scale: Array
    output: Array


@dataclass(frozen=True)
class Step:
    """What one step of a cell leaves for its gradient.

    Attributes:
        x: Input, [B, I].
        h: State before the step, [B, R].
        c: Cell state before the step, [B, H].
        gates: i, f, g, o after their nonlinearities, [B, 4H].
        c_next: Cell state after the step, [B, H].
        a: Of cells that join them by more than a sum: W x + bias_ih, normalised with layer norm, [B, 4H].
        r: The same for U h + bias_hh, [B, 4H].
        normals: With layer norm, what it made of W x, of U h, and of c'.
    """

    x: Array
    h: Array
    c: Array
    gates: Array
    c_next: Array
    a: Array | None = None
    r: Array | None = None
    normals: tuple[Normal, Normal, Normal] | None = None

    @property
    def output(self) -> Array:
        """What the cell puts out, o*tanh(c'), [B, H]: h', or with a projection what W_hr projects to h'."""
        c = self.c_next if self.normals is None else self.normals[2].output
        output: Array = np.split(self.gates, 4, axis=1)[3] * np.tanh(c)
        return output


StepBackward = tuple[Array, Array, Array, dict[str, Array]]


def lstm_step(x: Array, h: Array, c: Array, weights: Weights) -> tuple[Array, Array, Step]:
    """Take one step of an LSTM.

        z = W x + b_ih + U h + b_hh;  c' = f*c + i*g;  h' = o*tanh(c')

    Args:
        x: Input, float64 [B, I].
        h: State, float64 [B, R].
        c: Cell state, float64 [B, H].
        weights: weight_ih [4H, I], weight_hh [4H, R], and bias_ih, bias_hh [4H] or neither.

    Returns:
        h' before any projection [B, H], c' [B, H], and what `lstm_step_backward` needs.

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000.
    """
    z = _affine(x, weights, "ih") + _affine(h, weights, "hh")
    h_next, c_next, gates = _lstm_gates(z, c)
    return h_next, c_next, Step(x, h, c, gates, c_next)


def lstm_step_backward(dh: Array, dc: Array, step: Step, weights: Weights) -> StepBackward:
    """Go back through `lstm_step`.

    Args:
        dh: Gradient of h' before any projection, float64 [B, H].
        dc: Gradient of c' from what comes after, float64 [B, H].
        step: As `lstm_step` left it.
        weights: Those of the forward step.

    Returns:
        dx [B, I], dh [B, R] and dc [B, H] before the step, and the gradient of each of `weights`.
    """
    dz, dc_before = _lstm_gates_backward(dh, dc, step)
    dx, dw = _affine_backward(dz, step.x, weights, "ih")
    dh_before, du = _affine_backward(dz, step.h, weights, "hh")
    return dx, dh_before, dc_before, dw | du


def mi_lstm_step(x: Array, h: Array, c: Array, weights: Weights) -> tuple[Array, Array, Step]:
    """Take one step of an LSTM with multiplicative integration.

        a = W x + b_ih;  r = U h + b_hh;  z = alpha*a*r + beta1*r + beta2*a + b;  then as the LSTM

    Args:
        x: Input, float64 [B, I].
        h: State, float64 [B, R].
        c: Cell state, float64 [B, H].
        weights: Those of `lstm_step`, and alpha, beta1, beta2 [4H]; with biases also bias [4H].

    Returns:
        h' before any projection [B, H], c' [B, H], and what `mi_lstm_step_backward` needs.

    Source: Wu et al. 2016, "On Multiplicative Integration with Recurrent Neural Networks", equation 4.
    """
    a, r = _affine(x, weights, "ih"), _affine(h, weights, "hh")
    h_next, c_next, gates = _lstm_gates(_integrate(a, r, weights), c)
    return h_next, c_next, Step(x, h, c, gates, c_next, a, r)


def mi_lstm_step_backward(dh: Array, dc: Array, step: Step, weights: Weights) -> StepBackward:
    """Go back through `mi_lstm_step`; arguments and results as those of `lstm_step_backward`."""
    assert step.a is not None
    assert step.r is not None
    dz, dc_before = _lstm_gates_backward(dh, dc, step)
    da, dr, vectors = _integrate_backward(dz, step.a, step.r, weights)
    dx, dw = _affine_backward(da, step.x, weights, "ih")
    dh_before, du = _affine_backward(dr, step.h, weights, "hh")
    return dx, dh_before, dc_before, dw | du | vectors


def layer_norm_lstm_step(x: Array, h: Array, c: Array, weights: Weights) -> tuple[Array, Array, Step]:
    """Take one step of an LSTM with layer normalisation.

        a = LN(W x; gamma_ih) + b_ih;  r = LN(U h; gamma_hh) + b_hh;  z = a + r;  c' = f*c + i*g
        h' = o*tanh(LN(c'; gamma_c) + beta_c);  LN(v; gamma) = gamma*(v - mean(v))/sqrt(variance(v) + 1e-5)

    Args:
        x: Input, float64 [B, I].
        h: State, float64 [B, R].
        c: Cell state, float64 [B, H].
        weights: Those of `lstm_step`, and gamma_ih, gamma_hh [4H], gamma_c [H]; with biases also beta_c [H].

    Returns:
        h' before any projection [B, H], c' [B, H], and what `layer_norm_lstm_step_backward` needs.

    Source: Ba, Kiros and Hinton 2016, "Layer Normalization", equations 20 to 22, in which b stands for both biases.
    """
    return _layer_norm_step(x, h, c, weights, lambda a, r: a + r)


def layer_norm_lstm_step_backward(dh: Array, dc: Array, step: Step, weights: Weights) -> StepBackward:
    """Go back through `layer_norm_lstm_step`; arguments and results as those of `lstm_step_backward`."""
    return _layer_norm_step_backward(dh, dc, step, weights, lambda dz, _a, _r: (dz, dz, {}))


def layer_norm_mi_lstm_step(x: Array, h: Array, c: Array, weights: Weights) -> tuple[Array, Array, Step]:
    """Take one step of an LSTM with multiplicative integration and layer normalisation.

    As `layer_norm_lstm_step`, but for z = alpha*a*r + beta1*r + beta2*a + b; arguments and results as there, with the
    vectors of `mi_lstm_step` too.
    """
    return _layer_norm_step(x, h, c, weights, lambda a, r: _integrate(a, r, weights))


def layer_norm_mi_lstm_step_backward(dh: Array, dc: Array, step: Step, weights: Weights) -> StepBackward:
    """Go back through `layer_norm_mi_lstm_step`; arguments and results as those of `lstm_step_backward`."""
    return _layer_norm_step_backward(dh, dc, step, weights, lambda dz, a, r: _integrate_backward(dz, a, r, weights))


def gru_step(x: Array, h: Array, c: Array, weights: Weights) -> tuple[Array, Array, Step]:
    """Take one step of a gated recurrent unit, whose c is its h; gate order r, z, n.

        a = W x + b_ih;  u = U h + b_hh;  r, z = sigmoid(a + u);  n = tanh(a_n + r*u_n);  h' = (1 - z)*n + z*h

    Args:
        x: Input, float64 [B, I].
        h: State as U sees it, float64 [B, H].
        c: State as z carries it on, float64 [B, H].
        weights: weight_ih [3H, I], weight_hh [3H, H], and bias_ih, bias_hh [3H] or neither.

    Returns:
        h' twice [B, H], and what `gru_step_backward` needs.

    Source: Cho et al. 2014, with the reset gate behind U as in torch.nn.GRU.
    """
    a, u = _affine(x, weights, "ih"), _affine(h, weights, "hh")
    (a_r, a_z, a_n), (u_r, u_z, u_n) = np.split(a, 3, axis=1), np.split(u, 3, axis=1)
    r, z = _sigmoid(a_r + u_r), _sigmoid(a_z + u_z)
    n = np.tanh(a_n + r * u_n)
    h_next = (1 - z) * n + z * c
    return h_next, h_next, Step(x, h, c, np.concatenate((r, z, n), axis=1), h_next, a, u)


def gru_step_backward(dh: Array, dc: Array, step: Step, weights: Weights) -> StepBackward:
    """Go back through `gru_step`; arguments and results as those of `lstm_step_backward`."""
    assert step.r is not None
    r, z, n = np.split(step.gates, 3, axis=1)
    d, u_n = dh + dc, np.split(step.r, 3, axis=1)[2]
    dn = d * (1 - z) * (1 - n**2)
    dr, dz = dn * u_n * r * (1 - r), d * (step.c - n) * z * (1 - z)
    dx, dw = _affine_backward(np.concatenate((dr, dz, dn), axis=1), step.x, weights, "ih")
    dh_before, du = _affine_backward(np.concatenate((dr, dz, dn * r), axis=1), step.h, weights, "hh")
    return dx, dh_before, d * z, dw | du


def _gates_and_state(z: Array, c: Array) -> tuple[Array, Array]:
    """From the gates' sums z [B, 4H] to the gates' values [B, 4H], and c'."""
    zi, zf, zg, zo = np.split(z, 4, axis=1)
    i, f, g, o = _sigmoid(zi), _sigmoid(zf), np.tanh(zg), _sigmoid(zo)
    return np.concatenate((i, f, g, o), axis=1), f * c + i * g


def _lstm_gates(z: Array, c: Array) -> tuple[Array, Array, Array]:
    """From the gates' sums z [B, 4H] to h' and c', and the gates' values [B, 4H]."""
    gates, c_next = _gates_and_state(z, c)
    return np.split(gates, 4, axis=1)[3] * np.tanh(c_next), c_next, gates


def _lstm_gates_backward(dh: Array, dc: Array, step: Step) -> tuple[Array, Array]:
    """From dh and dc after a step to dz [B, 4H], and dc before it."""
    o, tanh_c = np.split(step.gates, 4, axis=1)[3], np.tanh(step.c_next)
    return _gates_and_state_backward(dh * tanh_c, dc + dh * o * (1 - tanh_c**2), step)


def _gates_and_state_backward(do: Array, dc: Array, step: Step) -> tuple[Array, Array]:
    """From the gradients of o and of c' to dz [B, 4H], and dc before the step."""
    i, f, g, o = np.split(step.gates, 4, axis=1)
    dz = (dc * g * i * (1 - i), dc * step.c * f * (1 - f), dc * i * (1 - g**2), do * o * (1 - o))
    return np.concatenate(dz, axis=1), dc * f


def _integrate(a: Array, r: Array, weights: Weights) -> Array:
    """Multiplicative integration, [B, 4H]."""
    z: Array = weights["alpha"] * a * r + weights["beta1"] * r + weights["beta2"] * a
    return z + weights["bias"] if "bias" in weights else z


def _integrate_backward(dz: Array, a: Array, r: Array, weights: Weights) -> tuple[Array, Array, dict[str, Array]]:
    """From dz to da, dr, and the gradients of the vectors."""
    vectors = {"alpha": (dz * a * r).sum(0), "beta1": (dz * r).sum(0), "beta2": (dz * a).sum(0)}
    if "bias" in weights:
        vectors["bias"] = dz.sum(0)
    alpha = weights["alpha"]
    return dz * (alpha * r + weights["beta2"]), dz * (alpha * a + weights["beta1"]), vectors


def _normalise(v: Array, gamma: Array, beta: Array | None) -> Normal:
    """Layer norm of rows [B, width]."""
    away = v - v.mean(1, keepdims=True)
    scale = 1 / np.sqrt((away**2).mean(1, keepdims=True) + LAYER_NORM_EPSILON)
    x = away * scale
    return Normal(x, scale, gamma * x if beta is None else gamma * x + beta)


def _normalise_backward(d: Array, normal: Normal, gamma: Array) -> Array:
    """From the gradient of `normal.output` to that of the rows that were normalised."""
    p = d * gamma
    gradient: Array = p - p.mean(1, keepdims=True) - normal.x * (p * normal.x).mean(1, keepdims=True)
    return gradient * normal.scale


def _layer_norm_step(
    x: Array, h: Array, c: Array, weights: Weights, join: Callable[[Array, Array], Array]
) -> tuple[Array, Array, Step]:
    """`join` makes z of a and r."""
    a = _normalise(x @ weights["weight_ih"].T, weights["gamma_ih"], weights.get("bias_ih"))
    r = _normalise(h @ weights["weight_hh"].T, weights["gamma_hh"], weights.get("bias_hh"))
    gates, c_next = _gates_and_state(join(a.output, r.output), c)
    seen = _normalise(c_next, weights["gamma_c"], weights.get("beta_c"))
    step = Step(x, h, c, gates, c_next, a.output, r.output, (a, r, seen))
    return step.output, c_next, step


def _layer_norm_step_backward(
    dh: Array,
    dc: Array,
    step: Step,
    weights: Weights,
    separate: Callable[[Array, Array, Array], tuple[Array, Array, dict[str, Array]]],
) -> StepBackward:
    """`separate` makes da, dr and the gradients of the inner cell's vectors of dz, a and r."""
    assert step.normals is not None
    a, r, seen = step.normals
    o, tanh_c = np.split(step.gates, 4, axis=1)[3], np.tanh(seen.output)
    dseen = dh * o * (1 - tanh_c**2)
    dc = dc + _normalise_backward(dseen, seen, weights["gamma_c"])
    dz, dc_before = _gates_and_state_backward(dh * tanh_c, dc, step)
    da, dr, vectors = separate(dz, a.output, r.output)
    products = _normalise_backward(da, a, weights["gamma_ih"]), _normalise_backward(dr, r, weights["gamma_hh"])
    gradients = vectors | {
        "weight_ih": products[0].T @ step.x,
        "weight_hh": products[1].T @ step.h,
        "gamma_ih": (da * a.x).sum(0),
        "gamma_hh": (dr * r.x).sum(0),
        "gamma_c": (dseen * seen.x).sum(0),
    }
    for name, gradient in (("bias_ih", da), ("bias_hh", dr), ("beta_c", dseen)):
        if name in weights:
            gradients[name] = gradient.sum(0)
    return products[0] @ weights["weight_ih"], products[1] @ weights["weight_hh"], dc_before, gradients


def _sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))  # does not overflow, whatever z, and loses no digit of what is next to nothing
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def _affine(x: Array, weights: Weights, side: str) -> Array:
    """W x + b for `ih`, U h + b for `hh`."""
    product: Array = x @ weights[f"weight_{side}"].T
    return product + weights[f"bias_{side}"] if f"bias_{side}" in weights else product


def _affine_backward(dz: Array, x: Array, weights: Weights, side: str) -> tuple[Array, dict[str, Array]]:
    gradients = {f"weight_{side}": dz.T @ x}
    if f"bias_{side}" in weights:
        gradients[f"bias_{side}"] = dz.sum(0)
    return dz @ weights[f"weight_{side}"], gradients


Forward = Callable[[Array, Array, Array, Weights], tuple[Array, Array, Step]]
Backward = Callable[[Array, Array, Step, Weights], StepBackward]

CELL_STEPS: dict[str, tuple[Forward, Backward]] = {
    "lstm": (lstm_step, lstm_step_backward),
    "mi_lstm": (mi_lstm_step, mi_lstm_step_backward),
    "layer_norm_lstm": (layer_norm_lstm_step, layer_norm_lstm_step_backward),
    "layer_norm_mi_lstm": (layer_norm_mi_lstm_step, layer_norm_mi_lstm_step_backward),
    "gru": (gru_step, gru_step_backward),
}
