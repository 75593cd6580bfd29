"""`linear` in bfloat16: inputs, weight, result and what products take are rounded, all else is float32."""

import math

import numpy as np
import pytest
import torch
from linear_cases import CASES, SEED, Case, factors_of, flat, make
from mixtures import mixtures
from roundings import rounding_of

from rnn_engine import linear, native
from rnn_engine.reference_linear import linear as reference
from rnn_engine.reference_linear import linear_backward as reference_backward

BF16 = torch.bfloat16
ISAS = native.available_isas()
UNIT = 2.0**-8
"""How far a rounded value may be off, as a part of it."""


def leaves(case):
    """Float32 leaves of which inputs and weight hold what bfloat16 can, and the gradient of the result."""
    inputs, weight, bias, dy = make(case)
    rounded = [each.detach().to(BF16).float().requires_grad_() for each in (*inputs, weight)]
    bias = None if bias is None else bias.detach().float().requires_grad_()
    return rounded[:-1], rounded[-1], bias, dy.to(BF16)


def run(case):
    inputs, weight, bias, dy = leaves(case)
    torch.manual_seed(SEED)
    with torch.autocast("cpu", BF16):
        y = linear(inputs, weight, bias, **case.options())
    y.backward(dy)
    named = {f"d_input{index}": each.grad for index, each in enumerate(inputs)}
    named |= {"y": y.detach(), "d_weight": weight.grad}
    return named if bias is None else named | {"d_bias": bias.grad}


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].id)
def test_every_value_is_as_near_as_rounding_allows(number, monkeypatch):
    case, first = CASES[number], {}
    before = torch.get_num_threads()
    for mixture in mixtures(number, {"isa": ISAS, "threads": (1, 2, 3)}):
        monkeypatch.setenv("RNN_ENGINE_ISA", mixture["isa"])
        torch.set_num_threads(mixture["threads"])
        found = run(case)
        same = first.setdefault(rounding_of(mixture["isa"]), found)
        for name, tensor in found.items():
            assert torch.equal(tensor, same[name]), (mixture, name)
    torch.set_num_threads(before)
    for ours in first.values():
        check(case, ours)


def check(case, ours):
    inputs, weight, bias, dy = leaves(case)
    x, w, factors = [*map(flat, inputs)], flat(weight), factors_of(case)
    exact = reference(x, w, None if bias is None else bias.detach().numpy(), factors, activation=case.activation)
    # The gradient is that at the result as it was rounded.
    backward = reference_backward(x, w, flat(ours["y"]), flat(dy), factors, activation=case.activation)
    slopes = reference_backward([np.eye(len(exact))], w[:, :1], flat(ours["y"]), flat(dy), factors,
                                activation=case.activation).weight.T  # fmt: skip
    products = np.split(np.abs(slopes) @ np.abs(w), np.cumsum(case.widths)[:-1], 1)
    values = {"y": (exact, UNIT * np.abs(exact)), "d_bias": (backward.bias, 0.0)}
    values["d_weight"] = backward.weight, UNIT * (np.abs(slopes).T @ np.abs(np.concatenate(x, 1)))
    for index, (value, product) in enumerate(zip(backward.inputs, products, strict=True)):
        values[f"d_input{index}"] = value, UNIT * (np.abs(value) + product)
    eps = torch.finfo(torch.float32).eps
    many = 20 + 4 * math.sqrt(max(case.T * case.B, sum(case.widths)))
    for name, tensor in ours.items():
        value, rounding = values[name]
        single = eps * many * case.scale * max(1.0, np.abs(value).max(initial=0.0)) / (1 - min(case.dropout, 0.9))
        error = np.abs(tensor.double().numpy().reshape(value.shape) - value)
        assert (error <= 1.02 * rounding + single).all(), name


def test_autocast_rounds_the_inputs_and_not_the_weights_gradient():
    single = Case(5, 8, (17, 6), 33, dropout=0.2)
    inputs, weight, bias, dy = leaves(single)
    with torch.no_grad():
        bias.copy_(bias.to(BF16))
    lower = [each.detach().to(BF16).requires_grad_() for each in (*inputs, weight, bias)]
    torch.manual_seed(SEED)
    theirs = linear(lower[:2], *lower[2:], **single.options())
    torch.manual_seed(SEED)
    with torch.autocast("cpu", BF16):
        ours = linear([inputs[0], lower[1].detach()], weight, bias, **single.options())
    assert ours.dtype == theirs.dtype == BF16
    assert torch.equal(ours, theirs)
    found = torch.autograd.grad(ours, [inputs[0], weight, bias], dy)
    rounded = torch.autograd.grad(theirs, [lower[0], *lower[2:]], dy)
    for mine, nearest in zip(found, rounded, strict=True):
        assert mine.dtype == torch.float32
        assert nearest.dtype == BF16
        assert torch.equal(mine.to(BF16), nearest)
    assert not torch.equal(found[1], rounded[1].float()), "more digits than the rounded type has"
