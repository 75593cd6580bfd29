"""What the engine computes, in float64 NumPy, readable as the equations: the yardstick for every fast implementation.

Symbols: T time steps, B batch, I input size, H hidden size, R = H, or P with a projection: width of h, L layers, D
directions (1 or 2). Layers may differ in H. The cells are in `rnn_engine.reference_cells`.
Nothing here is fast, and nothing is shared with the native part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnn_engine.reference_cells import CELL_STEPS, Array, Step, Weights
from rnn_engine.spec import CELLS, StackSpec

StatesLike = ArrayLike | Sequence[ArrayLike]
States = Array | tuple[Array, ...]
"""h or c of all layers and directions, [L*D, B, width], or L arrays [D, B, width] if the layers differ in width."""


@dataclass(frozen=True)
class Tape:
    """What `forward` leaves for `backward`.

    Attributes:
        spec: The stack.
        weights: For each (layer, direction) its parameters without suffix.
        active: Whether step t belongs to sequence b, bool [T, B, 1].
        steps: For each (layer, direction) its steps, by t.
        masks: Dropout masks, for each layer but the last, or None.
        noise: Masks inside the layers, for each (layer, direction).
    """

    spec: StackSpec
    weights: tuple[Weights, ...]
    active: NDArray[np.bool_]
    steps: tuple[tuple[Step, ...], ...]
    masks: tuple[Array, ...] | None
    noise: tuple[_PseudoLayerNoise, ...]


@dataclass(frozen=True)
class Noise:
    """Masks inside the layers, for each layer and direction.

    Attributes:
        recurrent: What h is multiplied by before U, [B, R]: 0 or 1/(1-p). None: ones.
        zoneout: Where c and where h stay what they were a step before, [T, B, H] and [T, B, R]: 1 there, else 0. None:
            the stack's zoneout is taken as how much of them stays.
    """

    recurrent: Sequence[ArrayLike] | None = None
    zoneout: Sequence[tuple[ArrayLike, ArrayLike]] | None = None


NO_NOISE = Noise()
"""No masks; zoneout by its expectation."""


@dataclass(frozen=True)
class _PseudoLayerNoise:
    """The same for one pseudo-layer: recurrent [B, R]; stays_c [T, B, H] and stays_h [T, B, R], or None."""

    recurrent: Array
    stays_c: Array | None
    stays_h: Array | None


@dataclass(frozen=True)
class Result:
    """Output of a stack.

    Attributes:
        output: The last layer's h of every step, [T, B, D*R], zero beyond a sequence's length.
        cells: The last layer's c of every step, [T, B, D*H], zero beyond a sequence's length.
        hn: Each layer's and direction's last h, [L*D, B, R], or L arrays [D, B, R] if the layers differ in R.
        cn: Each layer's and direction's last c, [L*D, B, H], or L arrays [D, B, H] if the layers differ in H.
        tape: What `backward` needs.
    """

    output: Array
    cells: Array
    hn: States
    cn: States
    tape: Tape


@dataclass(frozen=True)
class Gradients:
    """Gradients: dx [T, B, I], zero beyond a length; dh0 and dc0 as hn and cn; those of the parameters by name."""

    dx: Array
    dh0: States
    dc0: States
    parameters: dict[str, Array]


def forward(
    spec: StackSpec,
    parameters: Mapping[str, ArrayLike],
    x: ArrayLike,
    h0: StatesLike,
    c0: StatesLike,
    lengths: ArrayLike | None = None,
    masks: Sequence[ArrayLike] | None = None,
    noise: Noise = NO_NOISE,
) -> Result:
    """Run a stack of recurrent layers.

    Args:
        spec: Cell and shapes; its dropouts do nothing here, the masks do.
        parameters: Arrays by the names of `StackSpec.parameter_shapes`.
        x: Input, [T, B, I]; what lies beyond a length is not looked at.
        h0: First h of each layer and direction, [L*D, B, R], or L arrays [D, B, R] if the layers differ in R.
        c0: First c of each layer and direction, [L*D, B, H], or L arrays [D, B, H] if the layers differ in H.
        lengths: Steps of each sequence, integers [B], 0 to T, in any order; all T if None. The reverse direction starts
            at each sequence's own end.
        masks: What the output of each layer but the last is multiplied by, L-1 arrays [T, B, D*R]: 0 or 1/(1-p).
        noise: Masks inside the layers.

    Returns:
        The outputs, in float64, and what `backward` needs.

    Raises:
        ValueError: A shape is not what was expected, or a parameter is missing or unknown.
    """
    weights = _weights(spec, parameters)
    layer_input = _array("x", x, (None, None, spec.input_size))
    length, batch, _ = layer_input.shape
    h_shapes, c_shapes = spec.state_shapes(batch)
    h, c = _by_pseudo_layer("h0", h0, h_shapes), _by_pseudo_layer("c0", c0, c_shapes)
    active = _active(lengths, length, batch)
    factors = _masks(spec, masks, length, batch)
    inside = _lane_noise(spec, noise, length, batch)

    steps: list[tuple[Step, ...]] = []
    pseudo_layers: list[_PseudoLayer] = []
    layer_input = np.where(active, layer_input, 0.0)
    for layer in range(spec.num_layers):
        below = layer_input
        if layer and factors is not None:
            layer_input = layer_input * factors[layer - 1]
        pseudo_layers = [
            _run_pseudo_layer(
                spec, pseudo_layer, weights[pseudo_layer], layer_input, h, c, active, inside[pseudo_layer]
            )
            for pseudo_layer in _pseudo_layers(spec, layer)
        ]
        layer_input = np.concatenate([pseudo_layer.output for pseudo_layer in pseudo_layers], axis=2)
        if spec.residual and layer:
            layer_input = below + layer_input
        steps += [pseudo_layer.steps for pseudo_layer in pseudo_layers]
    cells = np.concatenate([pseudo_layer.cells for pseudo_layer in pseudo_layers], axis=2)
    tape = Tape(spec, weights, active, tuple(steps), factors, inside)
    return Result(layer_input, cells, _joined(h, h_shapes), _joined(c, c_shapes), tape)


def backward(
    tape: Tape,
    dy: ArrayLike,
    dhn: StatesLike,
    dcn: StatesLike,
    dcells: ArrayLike | None = None,
) -> Gradients:
    """Go back through `forward`.

    Args:
        tape: As `forward` left it.
        dy: Gradient of the output, [T, B, D*R]; what lies beyond a length is not looked at.
        dhn: Gradient of hn, in its form.
        dcn: Gradient of cn, in its form.
        dcells: Gradient of the last layer's cells, [T, B, D*H]; zero if None. Beyond a length as dy.

    Returns:
        The gradients, in float64.

    Raises:
        ValueError: A shape is not what was expected.
    """
    spec = tape.spec
    length, batch, _ = tape.active.shape
    h_shapes, c_shapes = spec.state_shapes(batch)
    doutput = np.where(tape.active, _array("dy", dy, (length, batch, spec.output_size)), 0.0)
    dtop = np.zeros((length, batch, spec.directions * spec.hidden_sizes[-1]))
    if dcells is not None:
        dtop = np.where(tape.active, _array("dcells", dcells, dtop.shape), 0.0)
    dh, dc = _by_pseudo_layer("dhn", dhn, h_shapes), _by_pseudo_layer("dcn", dcn, c_shapes)
    gradients: dict[str, Array] = {}
    for layer in reversed(range(spec.num_layers)):
        dinput = np.zeros((length, batch, tape.steps[layer * spec.directions][0].x.shape[1]))
        doutputs, dtops = (np.split(array, spec.directions, axis=2) for array in (doutput, dtop))
        for direction, pseudo_layer in enumerate(_pseudo_layers(spec, layer)):
            seen = dtops[direction] if layer == spec.num_layers - 1 else None  # nobody sees the other layers' cells
            dx, dweights = _run_pseudo_layer_backward(tape, pseudo_layer, doutputs[direction], seen, dh, dc)
            dinput += dx
            gradients |= {name + spec.suffix(pseudo_layer): value for name, value in dweights.items()}
        around = doutput if spec.residual and layer else 0.0
        doutput = around + (dinput * tape.masks[layer - 1] if layer and tape.masks is not None else dinput)
    ordered = {name: gradients[name] for name in spec.parameter_shapes()}
    return Gradients(doutput, _joined(dh, h_shapes), _joined(dc, c_shapes), ordered)


@dataclass(frozen=True)
class _PseudoLayer:
    """What one direction of one layer leaves: output [T, B, R], cells [T, B, H], and its steps by t."""

    output: Array
    cells: Array
    steps: tuple[Step, ...]


def _run_pseudo_layer(
    spec: StackSpec,
    pseudo_layer: int,
    weights: Weights,
    x: Array,
    h: list[Array],
    c: list[Array],
    active: NDArray[np.bool_],
    noise: _PseudoLayerNoise,
) -> _PseudoLayer:
    """Run one direction of one layer from h[pseudo_layer] and c[pseudo_layer], and leave its last states there.

    A sequence's state stands still where a step does not belong to it.
    """
    step, _ = CELL_STEPS[spec.cell]
    output, cells = np.zeros((len(x), *h[pseudo_layer].shape)), np.zeros((len(x), *c[pseudo_layer].shape))
    saved: dict[int, Step] = {}
    for t in _order(spec, pseudo_layer, len(x)):
        h_next, c_next, saved[t] = step(x[t], h[pseudo_layer] * noise.recurrent, c[pseudo_layer], weights)
        if spec.proj_size:
            h_next = h_next @ weights["weight_hr"].T
        if noise.stays_c is not None and noise.stays_h is not None:
            c_next = noise.stays_c[t] * c[pseudo_layer] + (1 - noise.stays_c[t]) * c_next
            h_next = noise.stays_h[t] * h[pseudo_layer] + (1 - noise.stays_h[t]) * h_next
        h[pseudo_layer], c[pseudo_layer] = (
            np.where(active[t], h_next, h[pseudo_layer]),
            np.where(active[t], c_next, c[pseudo_layer]),
        )
        output[t], cells[t] = np.where(active[t], h_next, 0.0), np.where(active[t], c_next, 0.0)
    return _PseudoLayer(output, cells, tuple(saved[t] for t in range(len(x))))


def _run_pseudo_layer_backward(
    tape: Tape, pseudo_layer: int, doutput: Array, dcells: Array | None, dh: list[Array], dc: list[Array]
) -> tuple[Array, dict[str, Array]]:
    """Go back through `_run_pseudo_layer`; its dh and dc turn from the last states' gradients to the first ones'."""
    _, step_backward = CELL_STEPS[tape.spec.cell]
    steps, weights, noise = tape.steps[pseudo_layer], tape.weights[pseudo_layer], tape.noise[pseudo_layer]
    dx = np.zeros((len(steps), *steps[0].x.shape))
    gradients = {name: np.zeros_like(value) for name, value in weights.items()}
    for t in reversed(_order(tape.spec, pseudo_layer, len(steps))):
        here = tape.active[t]
        dh_step = np.where(here, dh[pseudo_layer] + doutput[t], 0.0)
        dc_step = np.where(here, dc[pseudo_layer] + (0.0 if dcells is None else dcells[t]), 0.0)
        dh_past, dc_past = np.zeros_like(dh_step), np.zeros_like(dc_step)  # what passes the step by, with zoneout
        if noise.stays_c is not None and noise.stays_h is not None:
            dh_past, dc_past = noise.stays_h[t] * dh_step, noise.stays_c[t] * dc_step
            dh_step, dc_step = dh_step - dh_past, dc_step - dc_past
        if tape.spec.proj_size:
            gradients["weight_hr"] += dh_step.T @ steps[t].output
            dh_step = dh_step @ weights["weight_hr"]
        dx[t], dh_before, dc_before, dweights = step_backward(dh_step, dc_step, steps[t], weights)
        dh[pseudo_layer] = np.where(here, dh_before * noise.recurrent + dh_past, dh[pseudo_layer])
        dc[pseudo_layer] = np.where(here, dc_before + dc_past, dc[pseudo_layer])
        for name, value in dweights.items():
            gradients[name] += value
    return dx, gradients


def _pseudo_layers(spec: StackSpec, layer: int) -> range:
    return range(layer * spec.directions, (layer + 1) * spec.directions)


def _order(spec: StackSpec, pseudo_layer: int, length: int) -> range:
    """List the steps in the order in which a direction takes them."""
    return range(length - 1, -1, -1) if pseudo_layer % spec.directions else range(length)


def _weights(spec: StackSpec, parameters: Mapping[str, ArrayLike]) -> tuple[Weights, ...]:
    shapes = spec.parameter_shapes()
    for name in parameters:
        if name not in shapes:
            raise ValueError(f"parameters: unknown name {name}; expected {', '.join(shapes)}")
    for name, shape in shapes.items():
        if name not in parameters:
            raise ValueError(f"parameters: {name} {list(shape)} is missing")
    return tuple(
        {
            name.removesuffix(spec.suffix(pseudo_layer)): _array(name, parameters[name], shape)
            for name, shape in spec.pseudo_layer_parameters(pseudo_layer).items()
            if shape is not None
        }
        for pseudo_layer in range(spec.pseudo_layers)
    )


def _active(lengths: ArrayLike | None, length: int, batch: int) -> NDArray[np.bool_]:
    if lengths is None:
        return np.ones((length, batch, 1), dtype=np.bool_)
    given = np.asarray(lengths)
    if given.shape != (batch,) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"lengths: expected [B] = [{batch}] integers, got {list(given.shape)} {given.dtype}")
    if batch and (given.min() < 0 or given.max() > length):
        raise ValueError(f"lengths: expected 0 to T = {length}, got {given.min()} to {given.max()}")
    return (np.arange(length)[:, None] < given[None, :])[:, :, None]


def _masks(spec: StackSpec, masks: Sequence[ArrayLike] | None, length: int, batch: int) -> tuple[Array, ...] | None:
    if masks is None:
        return None
    if len(masks) != spec.num_layers - 1:
        raise ValueError(f"masks: expected L - 1 = {spec.num_layers - 1} arrays, got {len(masks)}")
    return tuple(
        _array(f"masks[{layer}]", mask, (length, batch, spec.directions * width))
        for layer, (mask, width) in enumerate(zip(masks, spec.state_sizes[:-1], strict=True))
    )


def _lane_noise(spec: StackSpec, noise: Noise, length: int, batch: int) -> tuple[_PseudoLayerNoise, ...]:
    for name, given in (("recurrent", noise.recurrent), ("zoneout", noise.zoneout)):
        if given is not None and len(given) != spec.pseudo_layers:
            raise ValueError(f"noise.{name}: expected L*D = {spec.pseudo_layers} entries, got {len(given)}")
    found = []
    for pseudo_layer in range(spec.pseudo_layers):
        hidden, state = (sizes[pseudo_layer // spec.directions] for sizes in (spec.hidden_sizes, spec.state_sizes))
        recurrent = np.ones((batch, state)) if noise.recurrent is None else noise.recurrent[pseudo_layer]
        stays: list[Array] = []
        if noise.zoneout is not None:
            shapes = (length, batch, hidden), (length, batch, state)
            pairs = zip(noise.zoneout[pseudo_layer], shapes, strict=True)
            stays = [_array(f"noise.zoneout[{pseudo_layer}]", mask, shape) for mask, shape in pairs]
        elif any(spec.zoneout):
            shares = spec.zoneout if not CELLS[spec.cell].single_state else (spec.zoneout[1],) * 2  # c is h
            stays = [np.full((length, 1, 1), share) for share in shares]
        c, h = stays or (None, None)
        found.append(_PseudoLayerNoise(_array(f"noise.recurrent[{pseudo_layer}]", recurrent, (batch, state)), c, h))
    return tuple(found)


def _by_pseudo_layer(name: str, states: StatesLike, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """Each layer's and direction's state [B, width]."""
    if len(shapes) == 1:
        return list(_array(name, states, shapes[0]))
    if not isinstance(states, Sequence) or len(states) != len(shapes):
        raise ValueError(f"{name}: expected a sequence of L = {len(shapes)} arrays, as the layers differ in width")
    pieces = (_array(f"{name}[{i}]", piece, shape) for i, (piece, shape) in enumerate(zip(states, shapes, strict=True)))
    return [pseudo_layer for piece in pieces for pseudo_layer in piece]


def _joined(pseudo_layers: list[Array], shapes: tuple[tuple[int, ...], ...]) -> States:
    """The inverse of `_by_pseudo_layer`."""
    each = len(pseudo_layers) // len(shapes)
    pieces = tuple(np.stack(pseudo_layers[i * each : (i + 1) * each]) for i in range(len(shapes)))
    return pieces[0] if len(pieces) == 1 else pieces


def _array(name: str, value: object, shape: tuple[int | None, ...]) -> Array:
    """`value` in float64, if its shape is as expected; None stands for any extent."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        expected = ", ".join("any" if extent is None else str(extent) for extent in shape)
        raise ValueError(f"{name}: expected [{expected}], got {list(array.shape)}")
    return array
