"""How far two passes lie apart, in the loss: against the float64 reference, torch, every instruction set, threads."""

import math

import numpy as np
import pytest
import torch
from loss_cases import IGNORED, Case, make, numbers
from roundings import rounding_of
from test_cross_entropy import isa, restore_threads  # noqa: F401
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from rnn_engine import linear_cross_entropy, native
from rnn_engine.reference_loss import linear_cross_entropy as reference

ISAS = native.available_isas()
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
WEIGHT = 1.5
CASES = (
    # the smallest of everything
    Case(2, 1, 1),
    Case(2, 5, 7, smoothing=0.0, bias=False),
    Case(6, 4, 1),
    Case(4, 2, 2, smoothing=1.0),
    # around the widths of vectors, the lanes of the bias's sums and the blocks of classes
    Case(14, 3, 95),
    Case(16, 17, 15, smoothing=0.0),
    Case(34, 31, 97, ignore=3, bias=False),
    Case(66, 5, 193),
    # beyond the chunks of tokens, in bfloat16 too
    Case(260, 6, 101, ignore=7),
    Case(1034, 3, 20, ignore=4, smoothing=0.0),
    # tokens left out: all, all but two
    Case(20, 4, 6, ignore=1),
    Case(4, 4, 6, ignore=4),
    # logits far apart
    Case(50, 20, 300, scale=40.0),
)
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def leaves(case, dtype=torch.float64):
    """As `make`, but that neighbours have one target; every other vector is near its neighbour's."""
    hidden, weight, bias, targets = make(case)
    with torch.no_grad():
        hidden[1::4] = hidden[::4][: len(hidden[1::4])] + 0.01 * hidden[1::4]
    targets[1::2] = targets[::2]
    sums = torch.float32 if dtype == torch.bfloat16 else dtype
    inputs = (hidden, dtype), (weight, dtype), (bias, sums)
    return *(None if t is None else t.detach().to(kind).requires_grad_() for t, kind in inputs), targets


def run(case, dtype, divergence=WEIGHT, **options):
    """The engine's numbers, by name; of bfloat16 the gradients of the weight as they are before they are rounded."""
    hidden, weight, bias, targets = leaves(case, dtype)
    if dtype == torch.bfloat16:
        weight = weight.detach().float().requires_grad_()
    options = {"label_smoothing": case.smoothing, "reduction": "sum", "divergence": divergence} | options
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        result = linear_cross_entropy(hidden, weight, targets, bias, **options)
    result.loss.backward()
    return numbers(result, hidden, weight, bias) | {"divergence": result.divergence}


def expected(case, dtype=torch.float64):
    *inputs, targets = leaves(case, dtype)
    arrays = [None if t is None else t.detach().double().numpy() for t in inputs]
    options = {"label_smoothing": case.smoothing, "ignore_index": IGNORED, "divergence": WEIGHT}
    return reference(arrays[0], arrays[1], targets.numpy(), arrays[2], **options)


def by_torch(hidden, weight, bias, targets, case):
    """The loss and the divergence of plain operations."""
    logits = functional.linear(hidden, weight, bias)
    options = {"ignore_index": IGNORED, "reduction": "sum", "label_smoothing": case.smoothing}
    one, other = (logits[first::2][targets[first::2] != IGNORED].log_softmax(-1) for first in (0, 1))
    apart = ((one.exp() - other.exp()) * (one - other)).sum()
    return functional.cross_entropy(logits, targets, **options) + WEIGHT * apart, apart


@by_case
def test_the_reference_agrees_with_torch(case):
    *inputs, targets = leaves(case)
    loss, apart = by_torch(*inputs, targets, case)
    found = expected(case)
    assert found.loss == pytest.approx(loss.item(), rel=1e-10, abs=1e-10)
    assert found.divergence == pytest.approx(apart.item(), rel=1e-10, abs=1e-12)
    loss.backward()
    for name, leaf in zip(("d_hidden", "d_weight", "d_bias"), inputs, strict=True):
        if leaf is not None:
            np.testing.assert_allclose(getattr(found, name), leaf.grad.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@by_case
def test_agrees_with_the_reference(case, dtype, isa):  # noqa: F811
    ours, theirs = run(case, dtype), expected(case, dtype)
    assert ours["target_is_argmax"] == theirs.target_is_argmax
    eps = torch.finfo(dtype).eps
    for name in ours.keys() - {"target_is_argmax"}:
        value = np.asarray(getattr(theirs, name))
        # as without a divergence
        tolerance = eps * (20 + 4 * math.sqrt(case.M)) * (1 + case.scale) * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(ours[name].numpy(), value, rtol=0, atol=tolerance, err_msg=name)


@by_case
def test_bfloat16_is_as_near_as_its_rounding_allows(case):
    ours, theirs = run(case, torch.bfloat16), expected(case, torch.bfloat16)
    for name in ("loss", "nll", "divergence"):
        assert ours[name].item() == pytest.approx(getattr(theirs, name), rel=1e-4, abs=1e-4), name
    for name in ("d_hidden", "d_weight", "d_bias"):
        value, bound = getattr(theirs, name), 1e-4 if name == "d_bias" else 2.0**-6
        if name in ours:
            np.testing.assert_allclose(ours[name].double(), value, rtol=0, atol=bound * max(1, np.abs(value).max()))


@by_dtype
@by_case
@pytest.mark.usefixtures("restore_threads")
def test_every_isa_and_number_of_threads_gives_the_same_bits(case, dtype, monkeypatch):
    first = {}
    for name in ISAS:
        monkeypatch.setenv("RNN_ENGINE_ISA", name)
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found = run(case, dtype)
            same = first.setdefault(dtype == torch.bfloat16 and rounding_of(name), found)
            for key, tensor in found.items():
                assert torch.equal(tensor, same[key]), (name, threads, key)


@by_dtype
@pytest.mark.parametrize("case", [CASES[6], CASES[8]], ids=lambda case: case.id)
def test_what_is_asked_for_changes_no_bit(case, dtype):
    everything = run(case, dtype)
    for wanted in range(8):
        hidden, weight, bias, targets = leaves(case, dtype)
        weight = weight.detach().to(everything["d_weight"].dtype)
        inputs = {"d_hidden": hidden.detach(), "d_weight": weight, "d_bias": None if bias is None else bias.detach()}
        chosen = [name for i, name in enumerate(inputs) if wanted >> i & 1 and inputs[name] is not None]
        for name in chosen:
            inputs[name].requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            result = linear_cross_entropy(
                inputs["d_hidden"],
                inputs["d_weight"],
                targets,
                inputs["d_bias"],
                label_smoothing=case.smoothing,
                reduction="sum",
                divergence=WEIGHT,
            )
        for name in ("loss", "nll", "target_is_argmax", "divergence"):
            assert torch.equal(getattr(result, name), everything[name])
        if chosen:
            result.loss.backward()
        assert all(torch.equal(inputs[name].grad, everything[name]) for name in chosen)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_against_finite_differences(reduction):
    *inputs, targets = leaves(Case(6, 3, 5, ignore=4))

    def loss(hidden, weight, bias):
        found = linear_cross_entropy(
            hidden, weight, targets, bias, label_smoothing=0.2, reduction=reduction, divergence=0.7
        )
        assert not found.divergence.requires_grad
        return found.loss

    assert torch.autograd.gradcheck(loss, inputs)


def test_the_mean_is_over_all_tokens_that_count():
    hidden, weight, bias, targets = leaves(Case(12, 5, 9, ignore=6))
    options = {"label_smoothing": 0.1, "divergence": WEIGHT}
    total, mean = (
        linear_cross_entropy(hidden, weight, targets, bias, reduction=each, **options) for each in ("sum", "mean")
    )
    assert mean.tokens == 8
    for name in ("loss", "divergence"):
        torch.testing.assert_close(getattr(mean, name), getattr(total, name) / 8)


def test_equal_passes_do_not_diverge():
    hidden, weight, bias, targets = leaves(Case(40, 7, 130), torch.float32)
    hidden = hidden.detach()[::2].repeat_interleave(2, 0).requires_grad_()
    results = [
        linear_cross_entropy(hidden, weight, targets, bias, reduction="sum", divergence=each) for each in (0.0, 8.0)
    ]
    assert results[1].divergence == 0
    torch.testing.assert_close(results[1].loss, results[0].loss, rtol=1e-6, atol=0)
    gradients = [torch.autograd.grad(result.loss, (hidden, weight, bias)) for result in results]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)


@by_dtype
def test_classes_masked_by_an_infinite_bias_are_no_difference(dtype, isa):  # noqa: F811
    hidden, weight, bias, targets = leaves(Case(20, 3, 300, smoothing=0.0), dtype)
    bias = bias.detach().to(dtype)
    bias[:250] = -math.inf  # whole blocks of classes
    bias.requires_grad_()
    targets += (targets < 250) * (250 - targets)
    ours = linear_cross_entropy(hidden, weight, targets, bias, reduction="sum", divergence=WEIGHT)
    kept = (t.detach().double().requires_grad_() for t in (hidden, weight[250:], bias[250:]))
    exact = *kept, targets - 250
    theirs, apart = by_torch(*exact, Case(20, 3, 50, smoothing=0.0))
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(ours.divergence.double(), apart, **close)
    torch.testing.assert_close(ours.loss.double(), theirs, **close)
    near = {"rtol": 0.02, "atol": 0.05} if dtype == torch.bfloat16 else close
    ours.loss.backward()
    torch.testing.assert_close(hidden.grad.double(), torch.autograd.grad(theirs, exact[0])[0], **near)
    assert (weight.grad[:250] == 0).all()
    assert (bias.grad[:250] == 0).all()


def test_a_class_that_one_pass_rules_out_is_bounded():
    """A probability of 0 is exact where the other pass's is not: what is infinite there becomes large, never NaN."""
    hidden = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([[-math.inf, 0.0], [1.0, 1.0]], dtype=torch.float64)
    bias = torch.zeros(2, dtype=torch.float64)
    weight[0, 0] = -1e300
    result = linear_cross_entropy(hidden, weight, torch.tensor([1, 1]), bias, reduction="sum", divergence=1.0)
    result.loss.backward()
    assert 2.0**61 < result.divergence < 2.0**64
    assert not hidden.grad.isnan().any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_gives_a_loss_that_is_not(bad, isa):  # noqa: F811
    hidden, weight, bias, targets = (t.detach() for t in leaves(Case(30, 5, 130), torch.float32))
    hidden[3, 0] = bad
    assert not linear_cross_entropy(hidden, weight, targets, bias, divergence=1.0).loss.isfinite()


def test_a_vector_that_is_ignored_is_not_looked_at():
    hidden, weight, bias, targets = leaves(Case(6, 3, 4))
    with torch.no_grad():
        hidden[2:4] = math.nan
    targets[2:4] = IGNORED
    loss = linear_cross_entropy(hidden, weight, targets, bias, divergence=1.0).loss
    loss.backward()
    assert loss.isfinite()
    assert (hidden.grad[2:4] == 0).all()
    assert weight.grad.isfinite().all()


def test_a_recorded_call_is_the_same():
    hidden, weight, bias, targets = leaves(Case(8, 4, 7, ignore=5))

    def call(*tensors):
        options = {"label_smoothing": 0.1, "reduction": "sum", "divergence": WEIGHT}
        result = linear_cross_entropy(*tensors, **options)
        return result.loss, result.divergence, torch.autograd.grad(result.loss, tensors[1])[0]

    arguments = hidden, weight, targets, bias
    for found, wanted in zip(make_fx(call)(*arguments)(*arguments), call(*arguments), strict=True):
        assert torch.equal(found, wanted)


def test_errors_say_what_was_expected():
    hidden, weight, targets = torch.zeros(3, 4, 5), torch.zeros(6, 5), torch.zeros(3, 4, dtype=torch.int64)
    other = targets.clone()
    other[1, 3] = 2
    for message, arguments, divergence in (
        (r"divergence: expected a finite weight of at least 0, got -1", (hidden, weight, targets), -1.0),
        (r"divergence: expected a finite weight of at least 0, got inf", (hidden, weight, targets), math.inf),
        (
            r"targets: expected an even last dimension.*got \[4, 3\]",
            (hidden.view(4, 3, 5), weight, other.view(4, 3)),
            1,
        ),
        (r"targets: expected an even last dimension.*got \[\]", (hidden[0, 0], weight, targets[0, 0]), 1.0),
        (r"targets\[7\]: expected 0 as the token before, which is its other pass, got 2", (hidden, weight, other), 1.0),
    ):
        with pytest.raises(ValueError, match=message):
            linear_cross_entropy(*arguments, divergence=divergence)
