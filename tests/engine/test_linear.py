"""`linear` against the float64 reference: every instruction set, values, gradients, masks, bits, memory, errors."""

import math

import numpy as np
import pytest
import torch
from library import Guarded
from linear_cases import CASES, SEED, Case, drawn_seed, factors_of, flat, make
from mixtures import mixtures
from torch.nn import functional

from rnn_engine import arrays, linear, native
from rnn_engine.reference_linear import linear as reference
from rnn_engine.reference_linear import linear_backward as reference_backward

ISAS = native.available_isas()
DTYPES = {"float32": torch.float32, "float64": torch.float64}
SETTINGS = {"isa": ISAS, "threads": (1, 2, 3)}


@pytest.fixture(autouse=True)
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def use(monkeypatch, mixture):
    monkeypatch.setenv("RNN_ENGINE_ISA", mixture["isa"])
    torch.set_num_threads(mixture["threads"])


def run(case, dtype):
    """The result and all gradients, by name."""
    inputs, weight, bias, dy = make(case, dtype)
    torch.manual_seed(SEED)
    y = linear(inputs, weight, bias, **case.options())
    y.backward(dy)
    named = {f"d_input{index}": each.grad for index, each in enumerate(inputs)}
    named |= {"y": y.detach(), "d_weight": weight.grad}
    return named if bias is None else named | {"d_bias": bias.grad}


def expected(case, dtype):
    """The reference's, for inputs rounded to `dtype`."""
    inputs, weight, bias, dy = make(case, dtype)
    arrays, w, b = [*map(flat, inputs)], flat(weight), None if bias is None else bias.detach().double().numpy()
    factors = factors_of(case)
    y = reference(arrays, w, b, factors, activation=case.activation)
    found = reference_backward(arrays, w, y, flat(dy), factors, activation=case.activation)
    named = {f"d_input{index}": each for index, each in enumerate(found.inputs)}
    return named | {"y": y, "d_weight": found.weight, "d_bias": found.bias}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].id)
def test_agrees_with_the_reference_whatever_computes_it(number, dtype, monkeypatch):
    case, theirs, first = CASES[number], expected(CASES[number], DTYPES[dtype]), None
    eps = torch.finfo(DTYPES[dtype]).eps
    for mixture in mixtures(number, SETTINGS):
        use(monkeypatch, mixture)
        ours = run(case, DTYPES[dtype])
        for name, tensor in ours.items():
            assert torch.equal(tensor, (first or ours)[name]), (mixture, name)
        first = first or ours
    for name, tensor in first.items():
        value = theirs[name].reshape(tensor.shape)
        # errors grow with the largest sum, and with the number of values in it
        many = 20 + 4 * math.sqrt(max(case.T * case.B, sum(case.widths)))
        tolerance = eps * many * case.scale * max(1.0, np.abs(value).max(initial=0.0)) / (1 - min(case.dropout, 0.9))
        np.testing.assert_allclose(tensor.numpy(), value, rtol=0, atol=tolerance, err_msg=name)


def test_side_by_side_is_the_same_as_put_together():
    case = Case(6, 9, (20, 33, 7), 45, dropout=0.3)
    inputs, weight, bias, dy = make(case, torch.float32)
    apart = run(case, torch.float32)
    whole = torch.cat([each.detach() for each in inputs], -1).requires_grad_()
    torch.manual_seed(SEED)
    y = linear(whole, weight, bias, **case.options())
    y.backward(dy)
    assert torch.equal(y, apart["y"])
    assert torch.equal(weight.grad, apart["d_weight"])
    assert torch.equal(whole.grad, torch.cat([apart[f"d_input{index}"] for index in range(3)], -1))


def test_arrays_give_the_same_bits():
    inputs, weight, bias, _ = make(Case(3, 5, (6, 7), 9), torch.float32)
    y = linear(inputs, weight, bias, activation="tanh").detach()
    given = [each.detach().numpy() for each in inputs]
    weight, bias = weight.detach().numpy(), bias.detach().numpy()
    assert np.array_equal(arrays.linear(given, weight, bias, activation="tanh", threads=2), y.numpy())
    assert arrays.linear(given[0], weight[:, :6]).shape == (3, 5, 9)
    for message, wrong, options in (
        (r"weight: expected \[9, 6\], got \[9, 13\]", (given[:1], weight), {}),
        (r"inputs\[1\]: expected float32, got float64", ([given[0], given[1].astype(float)], weight), {}),
        (r"inputs\[1\]: expected \[3, 5, 7\], got \[3, 4, 7\]", ([given[0], given[1][:, 1:]], weight), {}),
        (r"bias: expected \[9\], got \[8\]", (given, weight, bias[1:]), {}),
        ("inputs: expected 1 to 8, got 0", ([], weight[:, :0]), {}),
        ('activation: expected "tanh" or None', (given, weight), {"activation": "relu"}),
    ):
        with pytest.raises(ValueError, match=message):
            arrays.linear(*wrong, **options)


def test_rows_are_read_where_they_lie(monkeypatch):
    wide = torch.randn(4, 5, 30, dtype=torch.float64)
    weight = torch.randn(6, 21, dtype=torch.float64)
    turned = torch.randn(5, 4, 9, dtype=torch.float64).transpose(0, 1)
    pieces = [wide[..., 3:10], wide[:, 1:2, 5:10].expand(4, 5, 5), turned]
    plain = linear([each.contiguous() for each in pieces], weight)
    assert torch.equal(linear(pieces, weight), plain)
    slices = linear(wide[..., 3:24].contiguous(), weight)
    monkeypatch.setattr(torch.Tensor, "contiguous", None)  # no copies
    assert torch.equal(linear([wide[..., 3:10], wide[..., 10:24]], weight), slices)


@pytest.mark.parametrize("dtype", [*DTYPES.values(), torch.bfloat16], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_what_is_asked_for_changes_no_bit(dtype, bias):
    case = Case(7, 6, (5, 4), 19, bias=bias, dropout=0.3)
    everything = run(case, dtype)
    for subset in range(1, 16 if bias else 8):
        inputs, weight, given_bias, dy = make(case, dtype)
        leaves = {"d_input0": inputs[0], "d_input1": inputs[1], "d_weight": weight}
        leaves |= {"d_bias": given_bias} if bias else {}
        for index, leaf in enumerate(leaves.values()):
            leaf.requires_grad_(bool(subset >> index & 1))
        torch.manual_seed(SEED)
        y = linear(inputs, weight, given_bias, **case.options())
        y.backward(dy)
        assert torch.equal(y, everything["y"])
        for name, leaf in leaves.items():
            assert (leaf.grad is not None) == leaf.requires_grad
            assert leaf.grad is None or torch.equal(leaf.grad, everything[name]), (subset, name)
    with torch.no_grad():
        torch.manual_seed(SEED)
        y = linear(inputs, weight, given_bias, **case.options())
    assert torch.equal(y, everything["y"])
    assert not y.requires_grad


@pytest.mark.parametrize("activation", ["tanh", None])
def test_gradients_against_finite_differences(activation):
    inputs, weight, bias, _ = make(Case(2, 3, (3, 2), 5))

    def run_once(first, second, *parameters):
        torch.manual_seed(SEED)
        return linear([first, second], *parameters, activation=activation, dropout=0.3)

    assert torch.autograd.gradcheck(run_once, (*inputs, weight, bias))


def test_a_second_backward_is_right_and_a_gradient_of_a_gradient_is_refused():
    inputs, weight, bias, dy = make(Case(3, 4, (5, 2), 6))
    y = linear(inputs, weight, bias, activation="tanh", dropout=0.4)
    leaves = [*inputs, weight, bias]
    first = torch.autograd.grad(y, leaves, dy, retain_graph=True)
    for mine, again in zip(first, torch.autograd.grad(y, leaves, dy, retain_graph=True), strict=True):
        assert torch.equal(mine, again)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(y, leaves, dy, create_graph=True)


def test_a_tensor_given_twice_gets_both_gradients():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 8, dtype=torch.float64)
    found = torch.autograd.grad(linear([x, x], weight).sum(), x)
    torch.testing.assert_close(found, torch.autograd.grad(functional.linear(torch.cat([x, x], -1), weight).sum(), x))


def problem_of(case, dtype):
    return native.LinearProblem(
        dtype=native.DTYPES[dtype],
        activation=int(case.activation == "tanh"),
        steps=case.T,
        batch=case.B,
        outputs=case.O,
        input_sizes=case.widths,
        dropout=case.dropout,
        per_sentence=case.per_sentence,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", [CASES[3], CASES[9], CASES[15], CASES[17]], ids=lambda case: case.id)
def test_writes_nothing_beyond_its_buffers_and_adds_gradients_up(case, isa, dtype):
    stored = getattr(torch, dtype)
    value = torch.float32 if dtype == "bfloat16" else stored
    inputs, weight, bias, dy = make(case)
    context, guarded, problem = native.context(2, isa), Guarded(), problem_of(case, dtype)
    x = [(each.detach().to(stored), width) for each, width in zip(inputs, case.widths, strict=True)]
    weight, bias, dy = weight.detach().to(stored), bias.detach().to(value), dy.to(stored)
    y = guarded.new(dy.numel(), stored)
    sizes = context.linear_workspace(problem)
    workspaces = [guarded.new(size, torch.uint8) for size in sizes]
    context.linear(problem, x, weight, bias, y, SEED, workspaces[0])
    formed = []
    for start in (None, 0.0, 1.0):
        d_inputs = [guarded.new(each.numel(), stored) for each, _ in x]
        d_weight, d_bias = (guarded.new(each.numel(), value, start) for each in (weight, bias))
        context.linear_backward(
            problem, x, weight, y, dy, SEED, d_inputs, d_weight, d_bias, workspaces[1], start is None
        )
        formed.append([d_weight, d_bias, *d_inputs])
    guarded.check()
    overwritten, added, onto = formed
    for index, (fresh, zero) in enumerate(zip(overwritten, added, strict=True)):
        assert fresh.isfinite().all()
        assert torch.equal(fresh, zero), index
    for zero, one in zip(added[:2], onto[:2], strict=True):
        torch.testing.assert_close(one, zero + 1.0, rtol=1e-5, atol=1e-5)
    assert y.isfinite().all()


def test_masks_follow_torch_generator():
    x, weight = torch.ones(50, 8, 3), torch.ones(40, 3)
    torch.manual_seed(3)
    first, second = linear(x, weight, dropout=0.5), linear(x, weight, dropout=0.5)
    assert not torch.equal(first, second)
    assert abs(float((first == 0).double().mean()) - 0.5) < 0.02
    torch.manual_seed(3)
    assert torch.equal(linear(x, weight, dropout=0.5), first)
    same = linear(x, weight, dropout=0.5, per_sentence=True)
    assert torch.equal(same, same[:1].expand_as(same))
    assert not torch.equal(same[:, 0], same[:, 1])
    before = torch.get_rng_state()
    linear(x, weight)
    assert torch.equal(torch.get_rng_state(), before), "what draws nothing takes nothing from the generator"
    assert drawn_seed() == drawn_seed()


def test_errors_say_what_was_expected():
    x, y, weight, bias = torch.zeros(2, 3, 4), torch.zeros(2, 3, 5), torch.zeros(6, 9), torch.zeros(6)
    turned = y.transpose(0, 1)
    for message, arguments, options in (
        (r"inputs: expected 9 columns in all as weight \[6, 9\], got 4 \+ 4", ([x, x], weight), {}),
        (
            r"inputs\[1\]: expected \[2, 3\] and I as inputs\[0\], got \[3, 2, 5\]",
            ([x, turned], weight),
            {},
        ),
        (r"inputs\[0\]: expected \[..., I\] with I at least 1, got \[\]", (torch.tensor(1.0), weight), {}),
        (r"inputs: expected 1 to 8 tensors, got 0", ([], weight), {}),
        (r"inputs: expected 1 to 8 tensors, got 9", ([x] * 9, weight), {}),
        (r"weight: expected \[O, I\] of at least \[1, 1\], got \[9\]", ([x, y], weight[0]), {}),
        (r"bias: expected \[O\] = \[6\], got \[5\]", ([x, y], weight, bias[1:]), {}),
        (r"inputs\[1\]: expected torch.float32 as weight, got torch.float64", ([x, y.double()], weight), {}),
        (r"bias: expected torch.float32 as weight, got torch.float64", ([x, y], weight, bias.double()), {}),
        (r"weight: expected .*torch.bfloat16 on cpu, got torch.float16", ([x.half(), y.half()], weight.half()), {}),
        (r'activation: expected "tanh" or None, got \'relu\'', ([x, y], weight), {"activation": "relu"}),
        (r"dropout: expected a probability, 0 to 1, got 1.5", ([x, y], weight), {"dropout": 1.5}),
        (r"dropout: expected a probability, 0 to 1, got nan", ([x, y], weight), {"dropout": math.nan}),
    ):
        with pytest.raises(ValueError, match=message):
            linear(*arguments, **options)


def test_the_native_part_checks_its_arrays():
    context, case = native.context(1), Case(1, 2, (3,), 4)
    problem, workspace = problem_of(case, "float32"), None
    x, w, y = np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32), np.zeros((2, 4), np.float32)
    for error, message, arguments in (
        (ValueError, "inputs: expected 1 arrays, got 2", ([(x, 3)] * 2, w, None, y)),
        (ValueError, r"inputs\[0\]: expected 6 values, got 3", ([(x[:1], 3)], w, None, y)),
        (ValueError, r"inputs\[0\]: expected rows at least 3 values apart, got 2", ([(x, 2)], w, None, y)),
        (TypeError, "weight: expected float32", ([(x, 3)], w.astype(np.float64), None, y)),
        (ValueError, "y: expected 8 values, got 4", ([(x, 3)], w, None, y[:1])),
    ):
        with pytest.raises(error, match=message):
            context.linear(problem, *arguments, 0, workspace)
    for message, bad in (
        ("dropout: expected a probability", Case(1, 2, (3,), 4, dropout=2.0)),
        (r"input_sizes\[1\]: expected at least 1, got 0", Case(1, 2, (3, 0), 4)),
        ("outputs: expected at least 1, got 0", Case(1, 2, (3,), 0)),
        ("inputs: expected 1 to 8, got 9", Case(1, 2, (1,) * 9, 2)),
        ("less than 1e15 values", Case(2**40, 2**40, (3,), 4)),
    ):
        with pytest.raises(ValueError, match=message):
            context.linear_workspace(problem_of(bad, "float32"))
