"""`linear_cross_entropy` on CUDA: the way for cards, on the emulated library. No test here has seen a card."""

import math

import pytest
import torch
from emulated import use_emulated
from torch.nn import functional

from rnn_engine import linear_cross_entropy

IGNORED = -100
SHAPES = [(1, 1, 2), (7, 5, 3), (40, 16, 33), (130, 33, 70), (300, 8, 1000)]


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    use_emulated(monkeypatch)


def make(tokens, features, vocabulary, dtype=torch.float64, bias=True):
    generator = torch.Generator().manual_seed(tokens * features + vocabulary)
    hidden = torch.randn(tokens, features, generator=generator, dtype=torch.float64)
    weight = torch.randn(vocabulary, features, generator=generator, dtype=torch.float64)
    offset = torch.randn(vocabulary, generator=generator, dtype=torch.float64) if bias else None
    targets = torch.randint(0, vocabulary, (tokens,), generator=generator)
    targets[torch.rand(tokens, generator=generator) < 0.2] = IGNORED
    targets[0] = 0
    inputs = [None if t is None else t.to(dtype).requires_grad_() for t in (hidden, weight, offset)]
    return *inputs, targets


def expected(hidden, weight, bias, targets, smoothing, reduction):
    logits = functional.linear(hidden, weight, bias)
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction=reduction)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_torch(shape, bias, reduction):
    *inputs, targets = make(*shape, bias=bias)
    ours = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2], label_smoothing=0.1, reduction=reduction)
    theirs = expected(*inputs, targets, 0.1, reduction)
    torch.testing.assert_close(ours.loss, theirs, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(ours.nll, expected(*inputs, targets, 0.0, reduction).detach(), rtol=1e-11, atol=1e-11)
    counted = targets != IGNORED
    best = functional.linear(*inputs).argmax(1)
    assert ours.target_is_argmax.item() == (best == targets)[counted].sum()
    assert ours.tokens.item() == counted.sum()
    leaves = [leaf for leaf in inputs if leaf is not None]
    torch.testing.assert_close(
        torch.autograd.grad(3 * ours.loss, leaves), torch.autograd.grad(3 * theirs, leaves), rtol=1e-10, atol=1e-11
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_rounds_no_worse_than_plain_operations(shape, dtype):
    """Root mean square errors of the loss and all gradients together, at most twice those of torch's own."""
    *inputs, targets = make(*shape, dtype=dtype)
    exact = [leaf.detach().double().requires_grad_() for leaf in inputs]
    truth = [*torch.autograd.grad(expected(*exact, targets, 0.1, "sum"), exact)]
    ours = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2], label_smoothing=0.1, reduction="sum")
    assert ours.loss.dtype == torch.float32
    torch.testing.assert_close(ours.loss.double(), expected(*exact, targets, 0.1, "sum").detach(), rtol=2e-3, atol=1e-2)
    plain = torch.autograd.grad(expected(*inputs, targets, 0.1, "sum"), inputs)
    found = torch.autograd.grad(ours.loss, inputs)
    errors = [
        sum(((g.double() - t) / (t.abs().max() + 1e-30)).square().mean() for g, t in zip(grads, truth, strict=True))
        for grads in (found, plain)
    ]
    eps = torch.finfo(dtype).eps
    assert errors[0].sqrt() <= 2 * max(errors[1].sqrt(), eps)


@pytest.fixture
def allow_tf32():
    """Sets what torch's `linear` asks; off again after the test, as it is by default."""
    yield lambda allowed: setattr(torch.backends.cuda.matmul, "allow_tf32", allowed)
    torch.backends.cuda.matmul.allow_tf32 = False


def test_tf32_follows_torch_and_rounds_to_ten_bits(allow_tf32):
    """Forward and backward by the setting of the forward call, as the layers."""
    *inputs, targets = make(40, 64, 33, torch.float32)
    results = []
    for allowed in (False, True):
        allow_tf32(allowed)
        loss = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2]).loss
        first = torch.autograd.grad(loss, inputs, retain_graph=True)
        allow_tf32(not allowed)
        again = torch.autograd.grad(loss, inputs)
        assert all(map(torch.equal, first, again))
        results.append([loss, *first])
    for exact, rounded in zip(*results, strict=True):
        assert 0 < (exact - rounded).abs().max() < 2**-6 * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_rounds_the_inputs_and_not_the_weights_gradient(dtype):
    *lower, targets = make(40, 16, 33, dtype=dtype)
    single = [leaf.detach().float().requires_grad_() for leaf in lower]
    with torch.autocast("cpu", dtype):
        ours = linear_cross_entropy(single[0], single[1], targets, single[2], reduction="sum").loss
    theirs = linear_cross_entropy(lower[0], lower[1], targets, lower[2], reduction="sum").loss
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs)
    found, expected = (torch.autograd.grad(loss, leaves) for loss, leaves in ((ours, single), (theirs, lower)))
    for mine, rounded in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        assert torch.equal(mine.to(dtype), rounded)
    assert not torch.equal(found[1], expected[1].float()), "more digits than the rounded type has"


def test_nothing_waits_for_the_device(monkeypatch):
    *inputs, targets = make(40, 16, 33, torch.float32)

    def waits(self, *_):
        raise AssertionError("a number was looked at")

    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "cpu", "numpy", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, waits)
    for reduction in ("sum", "mean"):
        result = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2], reduction=reduction)
        result.loss.backward()


def test_a_target_out_of_bounds_gives_nan():
    *inputs, targets = make(40, 16, 33)
    targets[3] = 33
    result = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2])
    result.loss.backward()
    assert result.loss.isnan()
    assert inputs[1].grad.isnan().all()


def test_no_tokens():
    hidden, weight, bias, _ = make(4, 3, 5)
    targets = torch.full((4,), IGNORED)
    for reduction in ("sum", "mean"):
        result = linear_cross_entropy(hidden, weight, targets, bias, reduction=reduction)
        gradients = torch.autograd.grad(result.loss, (hidden, weight, bias))
        assert math.isnan(result.loss.item()) == (reduction == "mean")
        assert not any(gradient.any() for gradient in gradients)
    empty = linear_cross_entropy(hidden[:0], weight, targets[:0], bias, reduction="sum")
    assert (empty.loss, empty.tokens) == (0, 0)


def test_a_second_backward():
    *inputs, targets = make(40, 16, 33)
    loss = linear_cross_entropy(inputs[0], inputs[1], targets, inputs[2]).loss
    first = [g.clone() for g in torch.autograd.grad(loss, inputs, retain_graph=True)]
    torch.testing.assert_close(torch.autograd.grad(2 * loss, inputs), tuple(2 * g for g in first))


def test_tensors_elsewhere_are_refused():
    hidden, weight, bias, targets = make(4, 3, 5)
    for arguments, name in (
        ((hidden.to("meta"), weight, targets, bias), "hidden"),
        ((hidden, weight, targets.to("meta"), bias), "targets"),
        ((hidden, weight, targets, bias.to("meta")), "bias"),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected a tensor on cpu as weight, got one on meta"):
            linear_cross_entropy(*arguments)
