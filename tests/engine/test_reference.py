"""The reference against torch.nn.LSTM, and where torch has no such layer, against central differences."""

import numpy as np
import pytest
import torch
from cases import CASES, Case, each, make, named

from rnn_engine import reference
from rnn_engine.spec import CELLS, StackSpec


def run(case, arrays, **changes):
    values = {name: getattr(arrays, name) for name in ("x", "h0", "c0", "lengths", "masks", "noise")} | changes
    parameters = values.pop("parameters", arrays.parameters)
    return reference.forward(case.spec, parameters, **values)


def loss(arrays, result):
    pairs = [(arrays.dy, result.output), (arrays.dcells, result.cells)]
    for weight, value in ((arrays.dhn, result.hn), (arrays.dcn, result.cn)):
        pairs += zip(named("", weight).values(), named("", value).values(), strict=True)
    return sum((weight * value).sum() for weight, value in pairs)


def gradients_of(case, arrays, **changes):
    return reference.backward(run(case, arrays, **changes).tape, arrays.dy, arrays.dhn, arrays.dcn, arrays.dcells)


def has_peer(case):
    return case.cell == "lstm" and not (case.cells or case.recurrent_dropout or any(case.zoneout))


def run_torch(case, arrays):
    """torch.nn.LSTM layer by layer, so that it takes the given dropout masks; returns outputs and gradients."""
    leaf = {
        name: each(lambda array: torch.tensor(array, requires_grad=True), getattr(arrays, name))
        for name in ("x", "h0", "c0")
    }
    gradients, layers, hn, cn = {}, [], [], []
    y = put_out = leaf["x"]
    lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
    directions = case.spec.directions
    for layer in range(case.L):
        options = {"bias": case.bias, "bidirectional": case.bidirectional, "proj_size": case.P}
        module = torch.nn.LSTM(y.shape[2], case.spec.hidden_sizes[layer], **options, dtype=torch.float64)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(torch.tensor(arrays.parameters[name.replace("_l0", f"_l{layer}")]))
        layers.append(module)
        pseudo_layers = slice(layer * directions, (layer + 1) * directions)
        packed = torch.nn.utils.rnn.pack_padded_sequence(y, lengths, enforce_sorted=False)
        first = (
            leaf[name][layer] if isinstance(leaf[name], tuple) else leaf[name][pseudo_layers] for name in ("h0", "c0")
        )
        packed, (h, c) = module(packed, tuple(first))
        below, (y, _) = put_out, torch.nn.utils.rnn.pad_packed_sequence(packed, total_length=case.T)
        hn.append(h)
        cn.append(c)
        put_out = y = below + y if case.residual and layer else y
        if arrays.masks is not None and layer + 1 < case.L:
            y = y * torch.tensor(arrays.masks[layer])
    hn, cn = (
        torch.cat(pseudo_layers) if len(shapes) == 1 else tuple(pseudo_layers)
        for pseudo_layers, shapes in zip((hn, cn), case.spec.state_shapes(case.B), strict=True)
    )
    total = (torch.tensor(arrays.dy) * y).sum()
    for weight, value in ((arrays.dhn, hn), (arrays.dcn, cn)):
        for w, v in zip(named("", weight).values(), named("", value).values(), strict=True):
            total = total + (torch.tensor(w) * v).sum()
    total.backward()
    for layer, module in enumerate(layers):
        for name, parameter in module.named_parameters():
            gradients[name.replace("_l0", f"_l{layer}")] = parameter.grad.numpy()
    outputs = {"y": y, **named("hn", hn), **named("cn", cn)}
    inputs = {key: tensor for name in leaf for key, tensor in named(name, leaf[name]).items()}
    return (
        {name: tensor.detach().numpy() for name, tensor in outputs.items()},
        {name: tensor.grad.numpy() for name, tensor in inputs.items()},
        gradients,
    )


@pytest.mark.parametrize("case", list(filter(has_peer, CASES)), ids=lambda case: case.id)
def test_lstm_agrees_with_torch(case):
    arrays = make(case)
    result, gradients = run(case, arrays), gradients_of(case, arrays)
    outputs, inputs, parameters = run_torch(case, arrays)
    got = {"y": result.output, **named("hn", result.hn), **named("cn", result.cn)}
    assert got.keys() == outputs.keys()
    for name, expected in outputs.items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-12, atol=1e-13, err_msg=name)
    got = {"x": gradients.dx, **named("h0", gradients.dh0), **named("c0", gradients.dc0)}
    assert got.keys() == inputs.keys()
    for name, expected in inputs.items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)
    assert list(gradients.parameters) == list(case.spec.parameter_shapes())
    for name, expected in parameters.items():
        np.testing.assert_allclose(gradients.parameters[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("options", [
    {"num_layers": 2, "bidirectional": True}, {"num_layers": 3, "bias": False}, {"num_layers": 1},
    {"num_layers": 2, "bidirectional": True, "proj_size": 3},
])  # fmt: skip
def test_parameter_names_and_order_are_those_of_torch(options):
    module = torch.nn.LSTM(3, 5, **options)
    expected = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert list(StackSpec("lstm", 3, 5, **options).parameter_shapes().items()) == list(expected.items())


def needs_differences(case):
    """torch has no cell but the LSTM, no masks inside it, and does not give the cell states of all steps."""
    return not has_peer(case) and case.T * case.B * max(case.spec.hidden_sizes) * case.L <= 900


@pytest.mark.parametrize("case", list(filter(needs_differences, CASES)), ids=lambda case: case.id)
def test_gradients_agree_with_central_differences(case):
    arrays = make(case)
    gradients = gradients_of(case, arrays)
    rng = np.random.default_rng(1)
    # Along random directions, in which every element takes part: of x, of h0, of c0, and of all parameters at once.
    directions = {name: random_like(getattr(arrays, name), rng) for name in ("x", "h0", "c0")}
    moves = [({name: direction}, {}) for name, direction in directions.items()]
    moves.append(({}, {name: random_like(value, rng) for name, value in arrays.parameters.items()}))
    for inputs, parameters in moves:
        ends = []
        for step in (1e-6, -1e-6, 2e-6, -2e-6):
            changes = {name: added(getattr(arrays, name), move, step) for name, move in inputs.items()}
            changes["parameters"] = arrays.parameters | {
                name: added(arrays.parameters[name], move, step) for name, move in parameters.items()
            }
            ends.append(loss(arrays, run(case, arrays, **changes)))
        slope = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / 12e-6  # exact to the fourth power of the step
        along = sum(product(getattr(gradients, f"d{name}"), move) for name, move in inputs.items())
        along += sum(product(gradients.parameters[name], move) for name, move in parameters.items())
        # The loss is rounded, and through a normalisation it may be large.
        scale = max(1.0, np.abs(ends[0]) * 1e-2) if case.cell.startswith("layer_norm") else 1.0
        np.testing.assert_allclose(along, slope, rtol=2e-6, atol=2e-6 * scale, err_msg=str([*inputs]))


def random_like(state, rng):
    return each(lambda array: rng.standard_normal(array.shape), state)


def product(one, other):
    pairs = zip(named("", one).values(), named("", other).values(), strict=True)
    return sum((a * b).sum() for a, b in pairs)


def added(value, direction, step):
    if isinstance(value, tuple):
        return tuple(v + step * d for v, d in zip(value, direction, strict=True))
    return value + step * direction


@pytest.mark.parametrize("case", [case for case in CASES if case.lengths], ids=lambda case: case.id)
def test_the_output_beyond_a_length_is_zero(case):
    arrays = make(case)
    beyond = np.arange(case.T)[:, None] >= arrays.lengths[None, :]
    assert not run(case, arrays).output[beyond].any()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sequence_does_not_depend_on_its_batch(cell, bidirectional):
    case = Case(cell, T=6, B=3, I=4, H=5, L=2, bidirectional=bidirectional, lengths=(2, 6, 4))
    arrays = make(case)
    together = run(case, arrays)
    atol = 1e-13 if cell.startswith("layer_norm") else 1e-15
    for row, length in enumerate(case.lengths):
        one = slice(row, row + 1)
        alone = reference.forward(
            case.spec, arrays.parameters, arrays.x[:length, one], arrays.h0[:, one], arrays.c0[:, one]
        )
        np.testing.assert_allclose(together.output[:length, one], alone.output, rtol=1e-13, atol=atol)
        np.testing.assert_allclose(together.hn[:, one], alone.hn, rtol=1e-13, atol=atol)
        np.testing.assert_allclose(together.cn[:, one], alone.cn, rtol=1e-13, atol=atol)


def test_what_lies_beyond_a_length_is_not_looked_at():
    case = Case("mi_lstm", T=5, B=2, I=3, H=4, L=2, bidirectional=True, lengths=(5, 2))
    arrays = make(case)
    x, dy = arrays.x.copy(), arrays.dy.copy()
    x[2:, 1], dy[2:, 1] = np.nan, np.nan
    clean, dirty = run(case, arrays), run(case, arrays, x=x)
    np.testing.assert_array_equal(clean.output, dirty.output)
    expected = reference.backward(clean.tape, arrays.dy, arrays.dhn, arrays.dcn)
    got = reference.backward(dirty.tape, dy, arrays.dhn, arrays.dcn)
    np.testing.assert_array_equal(got.dx, expected.dx)
    assert not got.dx[2:, 1].any()
    for name, gradient in expected.parameters.items():
        np.testing.assert_array_equal(got.parameters[name], gradient)


def test_a_length_of_zero_hands_the_state_through():
    case = Case("lstm", T=3, B=2, I=2, H=3, lengths=(3, 0))
    arrays = make(case)
    result = run(case, arrays)
    np.testing.assert_array_equal(result.hn[:, 1], arrays.h0[:, 1])
    gradients = reference.backward(result.tape, arrays.dy, arrays.dhn, arrays.dcn)
    np.testing.assert_array_equal(gradients.dh0[:, 1], arrays.dhn[:, 1])


@pytest.mark.parametrize("cell", CELLS)
def test_large_inputs_stay_finite(cell):
    case = Case(cell, T=2, B=2, I=3, H=4)
    arrays = make(case)
    with np.errstate(all="raise", under="ignore"):
        result = run(case, arrays, x=arrays.x * 1e4)
        gradients = reference.backward(result.tape, arrays.dy, arrays.dhn, arrays.dcn)
    assert np.isfinite(result.output).all()
    assert np.isfinite(gradients.dx).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((2, 3))}, r"x: expected \[any, any, 4\], got \[2, 3\]"),
        ({"h0": np.zeros((1, 3, 5))}, r"h0: expected \[2, 3, 5\], got \[1, 3, 5\]"),
        ({"lengths": np.array([1, 2])}, r"lengths: expected \[B\] = \[3\] integers"),
        ({"lengths": np.array([1, 2, 9])}, r"lengths: expected 0 to T = 2, got 1 to 9"),
        ({"masks": []}, r"masks: expected L - 1 = 1 arrays, got 0"),
        ({"parameters": {"weight": np.zeros(1)}}, r"parameters: unknown name weight; expected weight_ih_l0"),
        ({"parameters": {}}, r"parameters: weight_ih_l0 \[20, 4\] is missing"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    case = Case("lstm", T=2, B=3, I=4, H=5, L=2)
    with pytest.raises(ValueError, match=message):
        run(case, make(case), **changes)


def test_the_cases_are_distinct_and_the_same_each_time():
    assert len({case.id for case in CASES}) == len(CASES)
    np.testing.assert_array_equal(make(CASES[0]).x, make(CASES[0]).x)
    assert (make(CASES[0]).x != make(CASES[0], seed=1).x).all()
