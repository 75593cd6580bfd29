"""One case through each implementation of a stack: outputs and gradients by name, dense as the reference's."""

from dataclasses import fields

import torch
import torch.nn.functional as F
from cases import each, named
from masks import dropout_masks, noise
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_engine import native, reference
from rnn_engine.nn.autograd import Masks, run_stack
from rnn_engine.nn.devices import NAMES, device_of
from rnn_engine.nn.states import callers_states, engine_states
from rnn_engine.spec import CELLS, Memory
from rnn_engine.states import state_of

SEED = 0x1234567890ABCDEF


def leaf(array, dtype, device="cpu"):
    return torch.tensor(array, dtype=dtype, device=device, requires_grad=True)


def results(case, outputs, gradients, parameters):
    """Everything by name; outputs are output, cells, hn, cn, gradients those of x, h0, c0."""
    y, cells, hn, cn = outputs
    dx, dh0, dc0 = gradients
    found = {"output": y, **named("hn", hn), **named("cn", cn)}
    if case.cells:
        found["cells"] = cells
    return found | {"dx": dx, **named("dh0", dh0), **named("dc0", dc0)} | parameters


def gradients_of(leaves):
    return [each(lambda tensor: tensor.grad, half) for half in leaves]


def run_backward(case, arrays, dtype, outputs):
    """Backward from all outputs of a case; returns them without their history."""
    y, cells, hn, cn = outputs
    tensors, upstream = [y], [arrays.dy]
    if case.cells:
        tensors, upstream = [*tensors, cells], [*upstream, arrays.dcells]
    for half, gradient in ((hn, arrays.dhn), (cn, arrays.dcn)):
        tensors += named("", half).values()
        upstream += named("", gradient).values()
    torch.autograd.backward(tensors, [torch.tensor(gradient, dtype=dtype, device=y.device) for gradient in upstream])
    return [None if half is None else each(torch.Tensor.detach, half) for half in outputs]


def shaped_states(spec, hn, cn, batch, order=None):
    """(h, c) as callers get them, c of a single state by itself."""
    last = callers_states(spec, hn, cn, batch, order)
    return (last, callers_states(spec, cn, cn, batch, order)) if CELLS[spec.cell].single_state else last


def run_engine(case, arrays, dtype, *, threads=1, seed=SEED, memory="store", schedule="auto", device="cpu"):
    x = leaf(arrays.x, dtype, device)
    h0, c0 = (each(lambda array: leaf(array, dtype, device), half) for half in (arrays.h0, arrays.c0))
    lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    order, original = packed.sorted_indices, packed.unsorted_indices
    parameters = {n: leaf(p, dtype, device) for n, p in arrays.parameters.items()}
    device_face = device_of(x)
    sizes = packed.batch_sizes.tolist()
    plan = native.plan(
        device_face.context(threads),
        case.spec,
        NAMES[dtype],
        len(sizes),
        sizes[0],
        tuple(sizes),
        native.Options(
            training=True,
            cell_output=case.cells,
            input_gradient=True,
            dropout=case.dropout,
            recurrent_dropout=case.recurrent_dropout,
            zoneout_masks=any(case.zoneout),
            memory=Memory.parse(memory),
            schedule=schedule,
            tf32=device_face.tf32,
        ),
    )
    spec, single = case.spec, CELLS[case.cell].single_state
    given = (
        [(h0, h0), (c0, c0)] if single else [(h0, c0)] * 2
    )  # of a single state the engine takes h and c all the same
    states = [engine_states(spec, state_of(spec, pair), case.B, x, dtype, order)[i] for i, pair in enumerate(given)]
    masks = Masks(seed, order.cpu())
    outputs = run_stack(
        device_face, plan, masks, packed.data, *states, [parameters[n] for n in spec.parameter_shapes()]
    )
    y, cells = (
        None if rows is None else pad_packed_sequence(packed._replace(data=rows), total_length=case.T)[0]
        for rows in (outputs.y, outputs.cy)
    )
    last = shaped_states(spec, outputs.hn, outputs.cn, case.B, original)
    values = run_backward(case, arrays, dtype, (y, cells, *last))
    return results(case, values, gradients_of((x, h0, c0)), {n: p.grad for n, p in parameters.items()})


def run_reference(case, arrays, seed=SEED):
    masks = dropout_masks(case, seed) if case.dropout else None
    states = arrays.h0, arrays.c0
    result = reference.forward(
        case.spec, arrays.parameters, arrays.x, *states, arrays.lengths, masks, noise(case, seed)
    )
    back = reference.backward(result.tape, arrays.dy, arrays.dhn, arrays.dcn, arrays.dcells)
    outputs = (result.output, result.cells, result.hn, result.cn)
    return results(case, outputs, (back.dx, back.dh0, back.dc0), back.parameters)


def plain_step(cell, x, h, c, p, stored):
    """h and c after a step; p are the pseudo-layer's parameters, without suffix.

    `stored` is what is kept for backward: a cell's gates, or the two products that another cell makes them of.
    """
    if cell == "gru":
        a = stored(x @ p["weight_ih"].T + p["bias_ih"]).chunk(3, 1)
        u = stored(h @ p["weight_hh"].T + p["bias_hh"]).chunk(3, 1)
        r, z = torch.sigmoid(a[0] + u[0]), torch.sigmoid(a[1] + u[1])
        c = (1 - z) * torch.tanh(a[2] + r * u[2]) + z * c
        return c, c
    a, r, seen = x @ p["weight_ih"].T, h @ p["weight_hh"].T, lambda c: c
    if cell.startswith("layer_norm"):
        a, r = stored(a), stored(r)
        a, r = (F.layer_norm(v, v.shape[1:], p[gamma]) for v, gamma in ((a, "gamma_ih"), (r, "gamma_hh")))
        seen = lambda c: F.layer_norm(c, c.shape[1:], p["gamma_c"]) + p["beta_c"]  # noqa: E731
    a, r = a + p["bias_ih"], r + p["bias_hh"]
    if cell == "mi_lstm":
        a, r = stored(a), stored(r)
    z = p["alpha"] * a * r + p["beta1"] * r + p["beta2"] * a + p["bias"] if "mi" in cell else a + r
    i, f, g, o = z.chunk(4, dim=1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    if cell == "lstm":
        i, f, g, o = (stored(gate) for gate in (i, f, g, o))
    c = f * c + i * g
    return o * torch.tanh(seen(c)), c


def run_plain(case, arrays, seed=SEED, stored=lambda tensor: tensor):
    """The same in plain float32 torch operations, a step at a time: what the engine's rounding is measured by.

    h, and what is kept of every step, are replaced by what `stored` makes of them.
    """
    dtype, spec = torch.float32, case.spec
    masks, inside = dropout_masks(case, seed), noise(case, seed)
    x = leaf(arrays.x, dtype)
    h0, c0 = (each(lambda array: leaf(array, dtype), half) for half in (arrays.h0, arrays.c0))
    parameters = {n: leaf(p, dtype) for n, p in arrays.parameters.items()}
    lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
    first_h, first_c = (
        [pseudo_layer for piece in named("", half).values() for pseudo_layer in piece] for half in (h0, c0)
    )
    inputs, last_h, last_c = x, [], []
    for layer in range(case.L):
        below = inputs
        if layer and case.dropout:
            inputs = inputs * torch.tensor(masks[layer - 1], dtype=dtype)
        outputs, cells = [], []
        for direction in range(spec.directions):
            pseudo_layer = layer * spec.directions + direction
            zero = torch.zeros(())  # for biases that are not there
            p = {n.split("_l")[0]: parameters.get(n, zero) for n in spec.pseudo_layer_parameters(pseudo_layer)}
            h, c = first_h[pseudo_layer], first_c[pseudo_layer]
            rows, cell_rows = [torch.zeros_like(h)] * case.T, [torch.zeros_like(c)] * case.T
            for t in range(case.T) if direction == 0 else reversed(range(case.T)):
                seen = h if inside.recurrent is None else h * torch.tensor(inside.recurrent[pseudo_layer], dtype=dtype)
                h_next, c_next = plain_step(case.cell, inputs[t], seen, c, p, stored)
                if case.P:
                    h_next = h_next @ p["weight_hr"].T
                if inside.zoneout is not None:
                    stays_c, stays_h = (torch.tensor(mask[t]) for mask in inside.zoneout[pseudo_layer])
                    h_next, c_next = torch.where(stays_h, h, h_next), torch.where(stays_c, c, c_next)
                h_next = stored(h_next)
                running = (t < lengths)[:, None]
                h, c = torch.where(running, h_next, h), torch.where(running, c_next, c)
                rows[t] = torch.where(running, h_next, torch.zeros(()))
                cell_rows[t] = torch.where(running, c_next, torch.zeros(()))
            outputs.append(torch.stack(rows))
            cells.append(torch.stack(cell_rows))
            last_h.append(h)
            last_c.append(c)
        inputs = torch.cat(outputs, dim=2)
        if layer and case.residual:
            inputs = stored(below + inputs)
    last = shaped_states(spec, *(torch.cat([s.flatten() for s in half]) for half in (last_h, last_c)), case.B)
    values = run_backward(case, arrays, dtype, (inputs, torch.cat(cells, dim=2), *last))
    return results(case, values, gradients_of((x, h0, c0)), {n: p.grad for n, p in parameters.items()})


def rounded(arrays, dtype):
    """The arrays rounded to a dtype, so that only what is computed with them can differ."""

    def nearest(array):
        return torch.tensor(array).to(dtype).double().numpy()

    changed = {f.name: getattr(arrays, f.name) for f in fields(arrays)}
    for name in ("x", "h0", "c0", "dy", "dcells", "dhn", "dcn"):
        changed[name] = each(nearest, changed[name])
    changed["parameters"] = {n: nearest(p) for n, p in arrays.parameters.items()}
    return type(arrays)(**changed)
