"""Output layer and loss against the float64 reference and torch: every instruction set, values, gradients, errors."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CASES, IGNORED, Case, make, numbers
from torch.nn import functional

from rnn_engine import linear_cross_entropy, native
from rnn_engine.memory import pool
from rnn_engine.reference_loss import linear_cross_entropy as reference

ISAS = native.available_isas()
DTYPES = [torch.float32, torch.float64]


def run(case, dtype, **options):
    """The engine's numbers, by name."""
    hidden, weight, bias, targets = make(case, dtype)
    result = linear_cross_entropy(
        hidden, weight, targets, bias, label_smoothing=case.smoothing, reduction="sum", **options
    )
    result.loss.backward()
    return numbers(result, hidden, weight, bias), result.tokens


def expected(case, dtype):
    """The reference's, for the inputs rounded to `dtype`."""
    arrays = [None if t is None else t.detach().double().numpy() for t in make(case, dtype)[:3]]
    targets = make(case)[3].numpy()
    return reference(arrays[0], arrays[1], targets, arrays[2], label_smoothing=case.smoothing)


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_ISA", request.param)
    return request.param


@pytest.fixture
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_agrees_with_the_reference(case, dtype, isa):
    ours, tokens = run(case, dtype)
    theirs = expected(case, dtype)
    assert tokens == theirs.tokens
    assert ours["target_is_argmax"] == theirs.target_is_argmax
    eps = torch.finfo(dtype).eps
    for name in ours.keys() - {"target_is_argmax"}:
        value = np.asarray(getattr(theirs, name))
        # errors grow with the largest logit, and with the number of tokens in a sum
        tolerance = eps * (20 + 4 * math.sqrt(case.M)) * (1 + case.scale) * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(ours[name].numpy(), value, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.usefixtures("restore_threads")
def test_every_isa_and_number_of_threads_gives_the_same_bits(case, dtype, monkeypatch):
    first = None
    for name in ISAS:
        monkeypatch.setenv("RNN_ENGINE_ISA", name)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            tensors, _ = run(case, dtype)
            first = first or tensors
            for key, tensor in tensors.items():
                assert torch.equal(tensor, first[key]), (name, threads, key)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_without_gradients_the_same_numbers(case, dtype):
    with_gradients, _ = run(case, dtype)
    hidden, weight, bias, targets = make(case, dtype)
    with torch.no_grad():
        result = linear_cross_entropy(hidden, weight, targets, bias, label_smoothing=case.smoothing, reduction="sum")
    assert not result.loss.requires_grad
    for name in ("loss", "nll", "target_is_argmax"):
        assert torch.equal(getattr(result, name), with_gradients[name])


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [Case(33, 31, 65, ignore=3), Case(257, 6, 289)], ids=lambda case: case.id)
def test_what_is_asked_for_changes_no_bit(case, dtype):
    everything, _ = run(case, dtype)
    names = ("d_hidden", "d_weight", "d_bias")
    for subset in range(1, 8):
        *inputs, targets = make(case, dtype)
        for i, leaf in enumerate(inputs):
            leaf.requires_grad_(bool(subset >> i & 1))
        options = {"label_smoothing": case.smoothing, "reduction": "sum"}
        result = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2], **options)
        result.loss.backward()
        assert torch.equal(result.loss, everything["loss"])
        for name, leaf in zip(names, inputs, strict=True):
            assert (leaf.grad is not None) == leaf.requires_grad
            assert leaf.grad is None or torch.equal(leaf.grad, everything[name]), (subset, name)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_same_as_torch(data):
    size = st.integers(1, 40)
    lead = data.draw(st.lists(st.integers(0, 9), min_size=0, max_size=3), "leading dimensions")
    features, vocabulary = data.draw(size, "E"), data.draw(st.integers(1, 200), "V")
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]), "smoothing")
    reduction = data.draw(st.sampled_from(["sum", "mean"]), "reduction")
    ignore = data.draw(st.integers(-2, vocabulary + 1), "ignore_index")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32), "seed"))
    double = {"dtype": torch.float64, "generator": generator}
    inputs = [torch.randn(*lead, features, **double), torch.randn(vocabulary, features, **double)]
    if data.draw(st.booleans(), "bias"):
        inputs.append(torch.randn(vocabulary, **double))
    wanted = [data.draw(st.booleans(), "wanted") for _ in inputs]
    for tensor, each in zip(inputs, wanted, strict=True):
        tensor.requires_grad_(each)
    targets = torch.randint(0, vocabulary, lead, generator=generator)
    targets[torch.rand(lead, generator=generator) < 0.3] = ignore
    hidden, weight, *rest = inputs

    ours = linear_cross_entropy(
        hidden, weight, targets, *rest, label_smoothing=smoothing, ignore_index=ignore, reduction=reduction
    )
    logits = functional.linear(hidden, weight, *rest).reshape(-1, vocabulary)
    options = {"ignore_index": ignore, "reduction": reduction}
    theirs = functional.cross_entropy(logits, targets.reshape(-1), label_smoothing=smoothing, **options)
    nll = functional.cross_entropy(logits, targets.reshape(-1), **options)
    kept = targets.reshape(-1) != ignore
    torch.testing.assert_close(ours.loss, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(ours.nll, nll, rtol=1e-9, atol=1e-9, equal_nan=True)
    assert ours.tokens == kept.sum()
    if targets.numel():
        assert ours.target_is_argmax == (logits.argmax(1) == targets.reshape(-1))[kept].sum()
    chosen = [tensor for tensor, each in zip(inputs, wanted, strict=True) if each]
    assert ours.loss.requires_grad == bool(chosen)
    if chosen and kept.any():
        gradients = torch.autograd.grad(0.7 * ours.loss, chosen), torch.autograd.grad(0.7 * theirs, chosen)
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    elif chosen:
        assert all((g == 0).all() for g in torch.autograd.grad(ours.loss, chosen))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_against_finite_differences(reduction):
    *inputs, targets = make(Case(6, 3, 5, ignore=4))

    def loss(hidden, weight, bias):
        return linear_cross_entropy(hidden, weight, targets, bias, label_smoothing=0.2, reduction=reduction).loss

    assert torch.autograd.gradcheck(loss, inputs)


def test_a_second_backward_is_right_and_a_gradient_of_a_gradient_is_refused():
    *inputs, targets = make(Case(40, 7, 30))
    result = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2], reduction="sum")
    first = torch.autograd.grad(result.loss, inputs, retain_graph=True)
    kept = [g.clone() for g in first]
    second = torch.autograd.grad(3 * result.loss, inputs, retain_graph=True)
    torch.testing.assert_close(second, [3 * g for g in kept])
    torch.testing.assert_close(first, kept)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(result.loss, inputs, create_graph=True)


def test_tied_weights_add_up():
    torch.manual_seed(0)
    table = torch.randn(11, 4, dtype=torch.float64, requires_grad=True)
    ids, targets = torch.randint(0, 11, (5, 3)), torch.randint(0, 11, (5, 3))
    ours = linear_cross_entropy(functional.embedding(ids, table), table, targets, label_smoothing=0.1).loss
    logits = functional.linear(functional.embedding(ids, table), table)
    theirs = functional.cross_entropy(logits.view(-1, 11), targets.view(-1), label_smoothing=0.1)
    torch.testing.assert_close(torch.autograd.grad(ours, table), torch.autograd.grad(theirs, table))


def test_strided_inputs():
    hidden, weight, bias, targets = make(Case(12, 6, 9))
    plain = linear_cross_entropy(hidden, weight, targets, bias).loss
    strided = linear_cross_entropy(
        hidden.detach().T.contiguous().T,
        weight.detach().T.contiguous().T.requires_grad_(),
        torch.stack([targets, targets], 1)[:, 0],
        torch.stack([bias, bias], 1)[:, 0],
    ).loss
    assert torch.equal(plain, strided)


def test_the_first_of_equal_logits_is_the_answer():
    zeros, targets = torch.zeros(200, 3), torch.arange(200)
    assert linear_cross_entropy(zeros, torch.zeros(200, 3), targets).target_is_argmax == 1
    bias = torch.zeros(200)
    bias[150] = bias[160] = 1.0
    assert linear_cross_entropy(zeros, torch.zeros(200, 3), targets, bias).target_is_argmax == 1
    assert linear_cross_entropy(zeros[:1], torch.zeros(200, 3), torch.tensor([160]), bias).target_is_argmax == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["hidden", "weight", "bias"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_not_finite_gives_a_loss_that_is_not(bad, where, dtype, isa):
    hidden, weight, bias, targets = (t.detach() for t in make(Case(30, 5, 130), dtype))
    targets[3] = 7
    {"hidden": hidden[3], "weight": weight[7], "bias": bias[7:8]}[where][0] = bad
    for tensor in (hidden, weight, bias):
        tensor.requires_grad_()
    result = linear_cross_entropy(hidden, weight, targets, bias, label_smoothing=0.1)
    result.loss.backward()
    assert not result.loss.isfinite()


def test_a_vector_that_is_ignored_is_not_looked_at():
    hidden, weight, bias, targets = make(Case(5, 3, 4))
    with torch.no_grad():
        hidden[2] = math.nan
    targets[2] = IGNORED
    result = linear_cross_entropy(hidden, weight, targets, bias)
    result.loss.backward()
    assert result.loss.isfinite()
    assert (hidden.grad[2] == 0).all()
    assert weight.grad.isfinite().all()


def test_classes_masked_by_an_infinite_bias():
    hidden, weight, bias, targets = make(Case(20, 3, 300))
    with torch.no_grad():
        bias[:250] = -math.inf  # whole blocks of classes
    targets += (targets < 250) * (250 - targets)
    ours = linear_cross_entropy(hidden, weight, targets, bias).loss
    theirs = functional.cross_entropy(functional.linear(hidden, weight, bias), targets)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (hidden, weight)), torch.autograd.grad(theirs, (hidden, weight))
    )


def test_large_logits_do_not_overflow():
    hidden = torch.tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    result = linear_cross_entropy(hidden, torch.eye(2), torch.tensor([0, 1]))
    result.loss.backward()
    assert result.loss == 0
    assert hidden.grad.isfinite().all()


def test_errors_say_what_was_expected():
    hidden, weight, bias, targets = torch.zeros(2, 3, 4), torch.zeros(5, 4), torch.zeros(5), torch.zeros(2, 3).long()
    narrow, wrong = hidden[..., :3], targets.clone()
    wrong[1, 2] = 5
    for message, arguments, options in (
        (r"targets\[1, 2\]: expected 0 to V - 1 = 4 or ignore_index = -100, got 5", (hidden, weight, wrong, bias), {}),
        (r"targets\[0\]: .*got -1", (hidden[0, 0][None], weight, torch.tensor([-1]), bias), {}),
        (r"targets\[\]: .*got 9", (hidden[0, 0], weight, torch.tensor(9), bias), {}),
        (
            r"hidden: expected \[\.\.\., E\] with E = 4 as weight, got \[2, 3, 3\]",
            (narrow, weight, targets),
            {},
        ),
        (r"weight: expected \[V, E\] of at least \[1, 1\], got \[0, 4\]", (hidden, weight[:0], targets), {}),
        (r"weight: expected \[V, E\].*got \[4\]", (hidden, weight[0], targets), {}),
        (r"bias: expected \[V\] = \[5\], got \[4\]", (hidden, weight, targets, bias[:4]), {}),
        (r"bias: expected torch.float32 as weight, got torch.float64", (hidden, weight, targets, bias.double()), {}),
        (r"hidden: expected torch.float32 as weight, got torch.float64", (hidden.double(), weight, targets), {}),
        (
            r"weight: expected .*64 or torch.bfloat16 on cpu, got torch.float16",
            (hidden.half(), weight.half(), targets),
            {},
        ),
        (r"targets: expected torch.int64, got torch.int32", (hidden, weight, targets.int()), {}),
        (r"targets: expected \[2, 3\] as hidden, got \[6\]", (hidden, weight, targets.view(-1)), {}),
        (r"label_smoothing: expected 0 to 1, got 1.5", (hidden, weight, targets), {"label_smoothing": 1.5}),
        (r"label_smoothing: expected 0 to 1, got nan", (hidden, weight, targets), {"label_smoothing": math.nan}),
        (r'reduction: expected "sum" or "mean", got \'none\'', (hidden, weight, targets), {"reduction": "none"}),
    ):
        with pytest.raises(ValueError, match=message):
            linear_cross_entropy(*arguments, **options)


def test_the_native_part_checks_its_arrays():
    context = native.context(1)
    problem = native.LossProblem(
        dtype=0, gradients=0, tokens=2, features=3, vocabulary=4, ignore_index=-100, smoothing=0.0
    )
    workspace = pool.array((context.loss_workspace(problem),))
    x, w, t, nothing = np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32), np.zeros(2, np.int64), (None,) * 3
    result = np.zeros(5, np.int64)
    with pytest.raises(ValueError, match="hidden: expected 6 values, got 3"):
        context.linear_cross_entropy(problem, (x[:1], w, None, t), 1.0, nothing, workspace, result)
    with pytest.raises(TypeError, match="weight: expected float32"):
        context.linear_cross_entropy(problem, (x, w.astype(np.float64), None, t), 1.0, nothing, workspace, result)
    with pytest.raises(ValueError, match=r"targets\[1\]: expected 0 to V - 1 = 3 or ignore_index = -100, got 4"):
        context.linear_cross_entropy(problem, (x, w, None, np.array([0, 4])), 1.0, nothing, workspace, result)
    with pytest.raises(ValueError, match="d_weight: expected NULL"):
        context.linear_cross_entropy(problem, (x, w, None, t), 1.0, (None, w, None), workspace, result)
    with pytest.raises(ValueError, match="workspace: expected at least"):
        context.linear_cross_entropy(problem, (x, w, None, t), 1.0, nothing, workspace[:64], result)


PEAK = """
import sys, torch
from rnn_engine import linear_cross_entropy

def peak():  # KiB
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

def step(tokens, features, vocabulary):
    shapes = [tokens, features], [vocabulary, features], [vocabulary]
    hidden, weight, bias = (torch.ones(shape, requires_grad=True) for shape in shapes)
    targets = torch.zeros(tokens, dtype=torch.int64)
    before = peak()
    linear_cross_entropy(hidden, weight, targets, bias).loss.backward()
    gradients = sum(t.grad.nbytes for t in (hidden, weight, bias))
    return (peak() - before) * 1024 - gradients

torch.set_num_threads(1)
step(2, 2, 2)
print(step(600, 64, 32000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_grows_by_what_the_plan_says():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    problem = native.LossProblem(
        dtype=0, gradients=7, tokens=600, features=64, vocabulary=32000, ignore_index=-100, smoothing=0.0
    )
    planned = native.context(1).loss_workspace(problem)
    assert planned < 40 << 20
    assert int(done.stdout) < planned + (4 << 20)  # logits of all tokens would be 77 MB
