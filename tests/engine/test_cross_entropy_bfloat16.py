"""linear_cross_entropy in bfloat16: vectors, weight and what products take are rounded, all else is float32."""

import math

import numpy as np
import pytest
import torch
from loss_cases import CASES, IGNORED, Case, gradients_of, make, numbers
from roundings import of_each_rounding, rounding_of
from test_cross_entropy import restore_threads  # noqa: F401
from torch.nn import functional

from rnn_engine import linear_cross_entropy, native
from rnn_engine.memory import pool
from rnn_engine.reference_loss import linear_cross_entropy as reference

BF16 = torch.bfloat16
ISAS = native.available_isas()
ROUNDINGS = of_each_rounding(ISAS)
UNIT = 2.0**-8
"""How far a rounded value may be off, as a part of it."""

RAGGED = (
    # one pair of tokens, features or classes too few, or one value too many
    Case(1, 2, 3),
    Case(2, 1, 2, smoothing=0.0),
    Case(3, 3, 1, bias=False),
    # an odd number of classes beyond the pieces of k, and of tokens beyond a chunk
    Case(7, 5, 513, bias=False),
    Case(5, 19, 1025),
    Case(1031, 3, 97, ignore=4),
    # features beyond a piece of k
    Case(4, 2051, 10),
)
ALL = (*CASES, *RAGGED)
by_case = pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)


@pytest.fixture(params=ROUNDINGS)
def isa(request, monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_ISA", request.param)
    return request.param


class RoundedSlopes(torch.autograd.Function):
    """Logits whose gradient is rounded."""

    @staticmethod
    def forward(ctx, logits):
        return logits.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.to(BF16).to(gradient.dtype)


def leaves(case, dtype=torch.float32):
    """hidden, weight and bias, of which the first two hold what bfloat16 can, and targets."""
    hidden, weight, bias, targets = (None if t is None else t.detach() for t in make(case))
    inputs = hidden.to(BF16), weight.to(BF16), None if bias is None else bias.float()
    return *(None if t is None else t.to(dtype).requires_grad_() for t in inputs), targets


def run(case):
    """The engine's numbers; the gradients of weight and bias as they are before they are rounded."""
    hidden, weight, bias, targets = leaves(case)
    with torch.autocast("cpu", BF16):
        found = linear_cross_entropy(
            hidden, weight, targets, bias, label_smoothing=case.smoothing, ignore_index=IGNORED, reduction="sum"
        )
    found.loss.backward()
    return numbers(found, hidden, weight, bias)


def run_plain(case, dtype):
    """Gradients from plain operations that round the same values."""
    hidden, weight, bias, targets = leaves(case, dtype)
    logits = RoundedSlopes.apply(functional.linear(hidden, weight, bias))
    options = {"label_smoothing": case.smoothing, "ignore_index": IGNORED, "reduction": "sum"}
    functional.cross_entropy(logits, targets, **options).backward()
    hidden.grad = hidden.grad.to(BF16).to(dtype)
    return gradients_of(hidden, weight, bias)


def expected(case):
    """The float64 reference's numbers, of the same rounded inputs."""
    *inputs, targets = leaves(case)
    hidden, weight, bias = (None if t is None else t.detach().double().numpy() for t in inputs)
    options = {"label_smoothing": case.smoothing, "ignore_index": IGNORED}
    return reference(hidden, weight, targets.numpy(), bias, **options)


def slopes(case):
    """Exact gradients of the logits, [M, V]."""
    *inputs, targets = leaves(case)
    hidden, weight, bias = (None if t is None else t.detach().double() for t in inputs)
    logits = functional.linear(hidden, weight, bias).requires_grad_()
    options = {"label_smoothing": case.smoothing, "ignore_index": IGNORED, "reduction": "sum"}
    functional.cross_entropy(logits, targets, **options).backward()
    return logits.grad


def distance(ours, theirs, scale):
    """Mean square of the difference, in parts of the largest value."""
    scale = np.abs(scale).max() or 1.0
    return np.mean(((ours.double().numpy() - np.asarray(theirs)) / scale) ** 2)


def test_rounds_no_worse_than_plain_operations(isa):
    """As for the layers: root mean square errors over all cases, at most twice those of plain float32 operations."""
    ours = plain = 0.0
    for case in ALL:
        exact, engine, operations = expected(case), run(case), run_plain(case, torch.float32)
        for name, gradient in operations.items():
            value = getattr(exact, name)
            ours += distance(engine[name], value, value)
            plain += distance(gradient, value, value)
    assert ours <= 2**2 * plain


@pytest.mark.parametrize("name", ["d_hidden", "d_weight"])
def test_products_take_the_slopes_rounded_to_the_nearest(name, isa):
    """The engine is much nearer to exact operations with rounded slopes than those are to the exact gradient."""
    apart = rounding = 0.0
    for case in ALL:
        exact, engine, operations = expected(case), run(case), run_plain(case, torch.float64)
        value = getattr(exact, name)
        apart += distance(engine[name], operations[name], value)
        rounding += distance(operations[name], value, value)
    assert apart <= 0.3**2 * rounding


@by_case
def test_every_value_is_as_near_as_rounding_allows(case, isa):
    ours, exact, dz = run(case), expected(case), slopes(case).abs()
    hidden, weight, *_ = (None if t is None else t.detach().double().abs() for t in leaves(case))
    rounding = {
        "d_hidden": UNIT * (dz @ weight).numpy() + UNIT * np.abs(exact.d_hidden),
        "d_weight": UNIT * (dz.T @ hidden).numpy(),
    }
    assert ours["target_is_argmax"] == exact.target_is_argmax
    eps = torch.finfo(torch.float32).eps
    for name in ours.keys() - {"target_is_argmax"}:
        value = np.asarray(getattr(exact, name))
        single = eps * (20 + 4 * math.sqrt(case.M)) * (1 + case.scale) * max(1.0, np.abs(value).max())
        error = np.abs(ours[name].double().numpy() - value)
        assert (error <= 1.02 * rounding.get(name, 0.0) + single).all(), name


@by_case
@pytest.mark.usefixtures("restore_threads")
def test_threads_and_instruction_sets_change_no_bit(case, monkeypatch):
    first = {}
    for name in ISAS:
        monkeypatch.setenv("RNN_ENGINE_ISA", name)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found = run(case)
            same = first.setdefault(rounding_of(name), found)
            for key, tensor in found.items():
                assert torch.equal(tensor, same[key]), (name, threads, key)


@by_case
def test_without_gradients_the_same_numbers(case):
    with_gradients = run(case)
    hidden, weight, bias, targets = (None if t is None else t.detach() for t in leaves(case))
    with torch.autocast("cpu", BF16):
        result = linear_cross_entropy(
            hidden, weight, targets, bias, label_smoothing=case.smoothing, ignore_index=IGNORED, reduction="sum"
        )
    for name in ("loss", "nll", "target_is_argmax"):
        assert torch.equal(getattr(result, name), with_gradients[name])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_autocast_rounds_the_inputs_and_not_the_weights_gradient(reduction):
    *single, targets = leaves(Case(41, 17, 133, ignore=5))
    with torch.no_grad():
        single[2].copy_(single[2].to(BF16))
    lower = [leaf.detach().to(BF16).requires_grad_() for leaf in single]
    options = {"label_smoothing": 0.1, "reduction": reduction}
    with torch.autocast("cpu", BF16):
        ours = linear_cross_entropy(single[0], single[1], targets, single[2], **options).loss
        mixed = linear_cross_entropy(lower[0], single[1], targets, single[2], **options).loss
    theirs = linear_cross_entropy(lower[0], lower[1], targets, lower[2], **options).loss
    assert ours.dtype == mixed.dtype == theirs.dtype == torch.float32
    assert torch.equal(ours, theirs)
    assert torch.equal(mixed, theirs)
    found, rounded = (torch.autograd.grad(loss, at) for loss, at in ((ours, single), (theirs, lower)))
    for mine, nearest in zip(found, rounded, strict=True):
        assert mine.dtype == torch.float32
        assert nearest.dtype == BF16
        assert torch.equal(mine.to(BF16), nearest)
    assert not torch.equal(found[1], rounded[1].float()), "more digits than the rounded type has"


def test_gradients_are_added_onto_what_is_there():
    case = Case(300, 33, 101)
    hidden, weight, bias, targets = (t.detach() for t in leaves(case))
    problem = native.LossProblem(
        dtype=native.DTYPES["bfloat16"],
        gradients=6,
        tokens=case.M,
        features=case.E,
        vocabulary=case.V,
        ignore_index=IGNORED,
        smoothing=0.1,
    )
    context = native.context(1)
    workspace, result = pool.array((context.loss_workspace(problem),)), np.zeros(5, np.int64)
    inputs = hidden.to(BF16), weight.to(BF16), bias, targets
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(case.V, case.E, generator=generator), torch.randn(case.V, generator=generator)
    fresh, added = [torch.zeros_like(t) for t in before], [t.clone() for t in before]
    for gradients in (fresh, added):
        context.linear_cross_entropy(problem, inputs, 1.0, (None, *gradients), workspace, result)
    for start, alone, total in zip(before, fresh, added, strict=True):
        torch.testing.assert_close(total, start + alone, rtol=1e-5, atol=1e-5)
        assert not torch.equal(total, alone)


def test_a_vector_that_is_ignored_is_not_looked_at_and_gets_zeros():
    hidden, weight, bias, targets = leaves(Case(5, 3, 4))
    with torch.no_grad():
        hidden[2] = math.nan
    targets[2] = IGNORED
    with torch.autocast("cpu", BF16):
        loss = linear_cross_entropy(hidden, weight, targets, bias).loss
    loss.backward()
    assert loss.isfinite()
    assert (hidden.grad[2] == 0).all()
    assert (hidden.grad[1] != 0).any()
    assert weight.grad.isfinite().all()
