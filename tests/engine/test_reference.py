"""The reference against torch.nn.LSTM, and where torch has no such layer, against central differences."""

import numpy as np
import pytest
import torch
from cases import CASES, Case, make

from rnn_engine import reference
from rnn_engine.spec import StackSpec


def run(case, arrays, **changes):
    values = {name: getattr(arrays, name) for name in ("x", "h0", "c0", "lengths", "masks")} | changes
    parameters = values.pop("parameters", arrays.parameters)
    return reference.forward(case.spec, parameters, **values)


def loss(arrays, result):
    return sum((weight * value).sum() for weight, value in
               ((arrays.dy, result.output), (arrays.dhn, result.hn), (arrays.dcn, result.cn)))  # fmt: skip


def run_torch(case, arrays):
    """torch.nn.LSTM layer by layer, so that it takes the given dropout masks; returns outputs and gradients."""
    leaf = {name: torch.tensor(getattr(arrays, name), requires_grad=True) for name in ("x", "h0", "c0")}
    gradients, layers, hn, cn = {}, [], [], []
    y = leaf["x"]
    lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
    directions = case.spec.directions
    for layer in range(case.L):
        module = torch.nn.LSTM(y.shape[2], case.H, 1, case.bias, bidirectional=case.bidirectional, dtype=torch.float64)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(torch.tensor(arrays.parameters[name.replace("_l0", f"_l{layer}")]))
        layers.append(module)
        lanes = slice(layer * directions, (layer + 1) * directions)
        packed = torch.nn.utils.rnn.pack_padded_sequence(y, lengths, enforce_sorted=False)
        packed, (h, c) = module(packed, (leaf["h0"][lanes], leaf["c0"][lanes]))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, total_length=case.T)
        hn.append(h)
        cn.append(c)
        if arrays.masks is not None and layer + 1 < case.L:
            y = y * torch.tensor(arrays.masks[layer])
    hn, cn = torch.cat(hn), torch.cat(cn)
    total = sum((torch.tensor(weight) * value).sum() for weight, value in
                ((arrays.dy, y), (arrays.dhn, hn), (arrays.dcn, cn)))  # fmt: skip
    total.backward()
    for layer, module in enumerate(layers):
        for name, parameter in module.named_parameters():
            gradients[name.replace("_l0", f"_l{layer}")] = parameter.grad.numpy()
    outputs = [value.detach().numpy() for value in (y, hn, cn)]
    return outputs, [leaf[name].grad.numpy() for name in ("x", "h0", "c0")], gradients


@pytest.mark.parametrize("case", [case for case in CASES if case.cell == "lstm"], ids=lambda case: case.id)
def test_lstm_agrees_with_torch(case):
    arrays = make(case)
    result = run(case, arrays)
    gradients = reference.backward(result.tape, arrays.dy, arrays.dhn, arrays.dcn)
    outputs, inputs, parameters = run_torch(case, arrays)
    for expected, got in zip(outputs, (result.output, result.hn, result.cn), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    for expected, got in zip(inputs, (gradients.dx, gradients.dh0, gradients.dc0), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert list(gradients.parameters) == list(case.spec.parameter_shapes())
    for name, expected in parameters.items():
        np.testing.assert_allclose(gradients.parameters[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("options", [
    {"num_layers": 2, "bidirectional": True}, {"num_layers": 3, "bias": False}, {"num_layers": 1},
])  # fmt: skip
def test_parameter_names_and_order_are_those_of_torch(options):
    module = torch.nn.LSTM(3, 5, **options)
    expected = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert list(StackSpec("lstm", 3, 5, **options).parameter_shapes().items()) == list(expected.items())


SMALL = [case for case in CASES if case.cell == "mi_lstm" and case.T * case.B * case.H * case.L <= 600]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
def test_mi_lstm_gradients_agree_with_central_differences(case):
    arrays = make(case)
    gradients = reference.backward(run(case, arrays).tape, arrays.dy, arrays.dhn, arrays.dcn)
    rng = np.random.default_rng(1)
    inputs = {"x": gradients.dx, "h0": gradients.dh0, "c0": gradients.dc0}
    for name, gradient in (inputs | gradients.parameters).items():
        # along a random direction: one number for each array, in which every element takes part
        direction, ends = rng.standard_normal(gradient.shape), []
        for sign in (1, -1):
            moved = (getattr(arrays, name) if name in inputs else arrays.parameters[name]) + sign * 1e-6 * direction
            changes = {name: moved} if name in inputs else {"parameters": arrays.parameters | {name: moved}}
            result = run(case, arrays, **changes)
            ends.append(loss(arrays, result))
        slope = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=2e-6, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("case", [case for case in CASES if case.lengths], ids=lambda case: case.id)
def test_the_output_beyond_a_length_is_zero(case):
    arrays = make(case)
    beyond = np.arange(case.T)[:, None] >= arrays.lengths[None, :]
    assert not run(case, arrays).output[beyond].any()


@pytest.mark.parametrize("cell", ["lstm", "mi_lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sequence_does_not_depend_on_its_batch(cell, bidirectional):
    case = Case(cell, T=6, B=3, I=4, H=5, L=2, bidirectional=bidirectional, lengths=(2, 6, 4))
    arrays = make(case)
    together = run(case, arrays)
    for row, length in enumerate(case.lengths):
        one = slice(row, row + 1)
        alone = reference.forward(
            case.spec, arrays.parameters, arrays.x[:length, one], arrays.h0[:, one], arrays.c0[:, one]
        )
        np.testing.assert_allclose(together.output[:length, one], alone.output, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(together.hn[:, one], alone.hn, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(together.cn[:, one], alone.cn, rtol=1e-13, atol=1e-15)


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


@pytest.mark.parametrize("cell", ["lstm", "mi_lstm"])
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
