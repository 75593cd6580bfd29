"""Random problems, valid and not, through the bindings and the torch face: an error that says why, or the reference.

The same examples at every run. RNN_ENGINE_FUZZ=2000 tries that many new ones of each kind.
"""

import os

import numpy as np
import pytest
import torch
from cases import Case, each, make, named
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import native, reference
from rnn_engine.spec import CELLS, StackSpec
from rnn_engine.states import pair_of, state_of

MORE = int(os.environ.get("RNN_ENGINE_FUZZ", "0"))
LAYERS = {
    "lstm": rnn_engine.LSTM,
    "mi_lstm": rnn_engine.MILSTM,
    "layer_norm_lstm": rnn_engine.LayerNormLSTM,
    "layer_norm_mi_lstm": rnn_engine.LayerNormMILSTM,
    "gru": rnn_engine.GRU,
}

fuzzed = settings(
    max_examples=MORE or 60,
    derandomize=not MORE,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def cases(draw):
    layers = draw(st.integers(1, 3))
    hidden = draw(st.integers(2, 34) | st.tuples(*[st.integers(2, 34)] * layers))
    steps, batch = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    widths = hidden if isinstance(hidden, tuple) else (hidden,)
    cell = draw(st.sampled_from(sorted(LAYERS)))
    return Case(
        cell=cell,
        T=steps,
        B=batch,
        I=draw(st.integers(1, 18)),
        H=hidden,
        L=layers,
        P=0 if CELLS[cell].single_state else draw(st.just(0) | st.integers(1, min(widths) - 1)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        lengths=draw(st.none() | st.tuples(*[st.integers(1, steps)] * batch)),
        states=draw(st.booleans()),
        cells=draw(st.booleans()),
    )


def says_why(error, word="expected"):
    assert str(error)
    assert word in str(error)


@fuzzed
@given(cases(), st.sampled_from(["store", "recompute", "checkpoint", "8MiB"]), st.booleans(), st.booleans())
def test_layers_agree_with_the_reference(case, memory, batch_first, training):
    arrays, spec = make(case), case.spec
    layer = LAYERS[case.cell](
        case.I, case.H, case.L, case.bias, batch_first, 0.0, case.bidirectional, case.P, memory=memory
    ).double()
    layer.load_state_dict({name: torch.from_numpy(p) for name, p in arrays.parameters.items()})
    x = torch.from_numpy(arrays.x.swapaxes(0, 1).copy() if batch_first else arrays.x).requires_grad_(training)
    state = tuple(
        tuple(map(torch.from_numpy, half)) if isinstance(half, tuple) else torch.from_numpy(half)
        for half in (arrays.h0, arrays.c0)
    )
    with torch.set_grad_enabled(training):
        given_state = state_of(spec, state)
        y, last, cells = layer(x, given_state, lengths=arrays.lengths, return_cell_states=True)
    result = reference.forward(spec, arrays.parameters, arrays.x, arrays.h0, arrays.c0, arrays.lengths)

    def same(ours, exact, name):
        np.testing.assert_allclose(ours.detach().numpy(), exact, rtol=1e-9, atol=1e-10, err_msg=name)

    def turned(array):
        return array.swapaxes(0, 1) if batch_first else array

    same(y, turned(result.output), "output")
    same(cells, turned(result.cells), "cells")
    for ours, exact in zip(pair_of(spec, last), (result.hn, result.cn), strict=True):
        for piece, exact_piece in zip(named("", ours).values(), named("", exact).values(), strict=True):
            same(piece, exact_piece, "states")
    if not training:
        return
    upstream = torch.from_numpy(turned(arrays.dy).copy())
    gradients = torch.autograd.grad(y, [x, *layer.parameters()], upstream, allow_unused=True)
    zeros = [each(np.zeros_like, half) for half in (arrays.dhn, arrays.dcn)]
    back = reference.backward(result.tape, arrays.dy, *zeros, np.zeros_like(arrays.dcells))
    same(gradients[0], turned(back.dx), "dx")
    for (name, _), ours in zip(layer.named_parameters(), gradients[1:], strict=True):
        same(ours, back.parameters[name], name)


ANY_INT = st.integers(-(2**70), 2**70) | st.integers(-3, 40)
FIELDS = {
    "cell": ANY_INT,
    "dtype": st.integers(-1, 3),
    "steps": ANY_INT,
    "batch": ANY_INT,
    "input_size": ANY_INT,
    "hidden_sizes": st.lists(ANY_INT, max_size=4),
    "projection": ANY_INT,
    "directions": ANY_INT,
    "dropout": st.floats(),
    "recurrent_dropout": st.floats(),
    "zoneout": st.tuples(st.floats(), st.floats()),
    "batch_sizes": st.none() | st.lists(ANY_INT, max_size=9),
    "memory": st.integers(-1, 5),
    "budget": ANY_INT,
}
FLAGS = ("bias", "training", "output", "cell_output", "input_gradient", "prepacked", "zoneout_masks")
PLAIN = {
    "cell": 0,
    "dtype": 0,
    "steps": 4,
    "batch": 3,
    "input_size": 5,
    "hidden_sizes": [6],
    "projection": 0,
    "directions": 1,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "zoneout": (0.0, 0.0),
    "batch_sizes": None,
    "memory": 0,
    "budget": 1 << 24,
    "schedule": 0,
    "tf32": False,
}


@fuzzed
@given(
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
    ),
    st.fixed_dictionaries(dict.fromkeys(FLAGS, st.booleans())),
    st.lists(st.integers(0, 40), min_size=8, max_size=8),
)
def test_bindings_plan_and_check_sizes(changed, flags, sizes):
    """Any problem is refused or planned; arrays of any sizes are refused, or those that the plan takes."""
    context = native.context(1)
    try:
        plan = native.Plan(context, **(PLAIN | changed | flags))
    except (ValueError, TypeError) as error:
        says_why(error, "")
        return
    assert plan.workspace_bytes >= max(plan.forward_workspace_bytes, plan.backward_workspace_bytes)
    assert plan.tile_count >= 1
    rows = [np.zeros(size, np.float32) for size in sizes]
    weights = [rows[0], rows[1], rows[2], rows[2]]
    with pytest.raises((ValueError, TypeError)):
        plan.forward(weights, None, *rows[:8], np.zeros(8, np.uint8), np.zeros(8, np.uint8))


@fuzzed
@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from([torch.float32, torch.float64, torch.int32, torch.float16]),
    st.none() | st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=3),
    st.none() | st.lists(st.integers(-1, 5), max_size=5),
)
def test_layers_take_any_shape_or_say_why_not(shape, dtype, states, lengths):
    layer = rnn_engine.LSTM(3, 2)
    hx = None if states is None else tuple(torch.zeros(s, dtype=dtype) for s in states)
    try:
        y, (hn, _) = layer(torch.zeros(shape, dtype=dtype), hx, lengths=lengths)
    except (ValueError, TypeError) as error:
        says_why(error)
        return
    assert y.shape == (*shape[:-1], 2)
    assert hn.shape == (1, *shape[1:-1], 2)


@fuzzed
@given(st.integers(-1, 3), st.integers(-1, 3), st.integers(-1, 3), st.integers(-1, 3), st.floats())
def test_specs_are_checked(input_size, hidden, layers, projection, dropout):
    try:
        spec = StackSpec("lstm", input_size, hidden, layers, dropout=dropout, proj_size=projection)
    except (ValueError, TypeError) as error:
        says_why(error)
        return
    assert min(input_size, hidden, layers) >= 1
    assert 0 <= spec.dropout <= 1
    assert len(spec.parameter_shapes()) == layers * (5 if projection else 4)
