"""Output layer and loss against torch's own, and their gradients against finite differences."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.readout import loss_workspace, output_loss


def make(rows: int, width: int, vocabulary: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((rows, width), (vocabulary, width), (vocabulary,))
    )
    return hidden, weight, bias, torch.randint(0, vocabulary, (rows,))


@pytest.mark.parametrize("rows", [1, 7, 600])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_same_as_torch(smoothing, rows):
    *inputs, targets = make(rows, 3, 11)
    loss, nll, tokens = output_loss(*inputs, targets, smoothing)
    assert tokens == rows
    gradients = torch.autograd.grad(3.0 * loss, inputs)

    logits = functional.linear(*inputs)
    expected = functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert nll.item() == pytest.approx(functional.cross_entropy(logits, targets, reduction="sum").item(), rel=1e-12)
    torch.testing.assert_close(gradients, torch.autograd.grad(3.0 * expected, inputs), rtol=1e-10, atol=1e-12)


def test_padding_is_left_out():
    hidden, weight, bias, targets = make(6, 3, 5)
    targets = targets.view(2, 3)
    real = targets != 0
    loss, nll, tokens = output_loss(hidden.view(2, 3, 3), weight, bias, targets, 0.1, padding=0)
    expected = output_loss(hidden[real.view(-1)], weight, bias, targets[real], 0.1)
    assert tokens == real.sum() == expected[2]
    assert 0 < tokens < 6
    assert loss.item() == expected[0].item()
    assert nll.item() == expected[1].item()


def test_gradient():
    *inputs, targets = make(4, 2, 5)
    assert torch.autograd.gradcheck(lambda *x: output_loss(*x, targets, 0.1)[0], inputs)


def test_without_gradients():
    *inputs, targets = make(4, 2, 5)
    with torch.inference_mode():
        loss, *_ = output_loss(*inputs, targets, 0.1)
    assert loss.item() == pytest.approx(output_loss(*inputs, targets, 0.1)[0].item(), rel=1e-12)


def test_large_logits_do_not_overflow():
    hidden = torch.tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    loss, *_ = output_loss(hidden, torch.eye(2), torch.zeros(2), torch.tensor([0, 1]), 0.0)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(hidden.grad).all()


def test_workspace_is_that_of_the_type_that_is_computed_in():
    weight = torch.zeros(800, 64)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = loss_workspace(weight, 500)
    half = loss_workspace(weight.bfloat16(), 500)
    assert mixed == half + 2 * weight.numel()  # and the rounded weight
    assert half != loss_workspace(weight, 500)
