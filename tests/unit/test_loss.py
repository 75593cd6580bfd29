"""The loss against torch's own, and its gradient against finite differences."""

import pytest
import torch
from torch.nn import functional

from nmt.training.loss import smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_same_as_torch(smoothing):
    torch.manual_seed(0)
    targets = torch.randint(0, 11, (7,))
    logits = torch.randn(7, 11, dtype=torch.float64, requires_grad=True)
    loss, nll = smoothed_cross_entropy(logits, targets, smoothing)
    (3.0 * loss).backward()

    again = logits.detach().clone().requires_grad_()
    expected = functional.cross_entropy(again, targets, reduction="sum", label_smoothing=smoothing)
    (3.0 * expected).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert nll.item() == pytest.approx(functional.cross_entropy(again, targets, reduction="sum").item(), rel=1e-12)
    torch.testing.assert_close(logits.grad, again.grad, rtol=1e-10, atol=1e-12)


def test_gradient():
    torch.manual_seed(1)
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 4, 2, 2])
    assert torch.autograd.gradcheck(lambda x: smoothed_cross_entropy(x, targets, 0.1)[0], (logits,))


def test_large_logits_do_not_overflow():
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    loss, _ = smoothed_cross_entropy(logits, torch.tensor([0, 1]), 0.0)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(logits.grad).all()
