"""R-Drop: the divergence of devices whose loss has none against torch's, and a batch run twice against two batches."""

import numpy as np
import pytest
import torch
from small import make_batch, make_config
from torch import Tensor
from torch.nn import functional

from nmt.model import divergence
from nmt.model.divergence import output_divergence
from nmt.model.readout import loss_workspace, output_loss
from nmt.model.seq2seq import Seq2Seq
from nmt.training.footprint import Footprint
from nmt.training.loss import batch_loss


def expected_divergence(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    logs = [functional.log_softmax(functional.linear(side, weight, bias), -1) for side in (one, other)]
    there, back = (functional.kl_div(*pair, reduction="sum", log_target=True) for pair in (logs, logs[::-1]))
    return there + back


@pytest.mark.parametrize("tokens", [1, 2, 13])
@pytest.mark.parametrize("block", [1, 80, 1 << 22])
def test_same_as_torch_in_float64(tokens, block, monkeypatch):
    monkeypatch.setattr(divergence, "_BLOCK", block)
    torch.manual_seed(tokens)
    exact = [torch.randn(shape, dtype=torch.float64) for shape in ((tokens, 5), (tokens, 5), (37, 5), (37,))]
    inputs = [each.float().requires_grad_() for each in exact]
    exact = [each.detach().double().requires_grad_() for each in inputs]
    expected, found = expected_divergence(*exact), output_divergence(*inputs)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    wanted, gradients = (torch.autograd.grad(3 * loss, to) for loss, to in ((expected, exact), (found, inputs)))
    for gradient, want in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient.double(), want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


def test_equal_predictions_do_not_diverge():
    hidden, weight = torch.randn(4, 3, requires_grad=True), torch.randn(7, 3)
    loss = output_divergence(hidden, hidden.detach(), weight, torch.zeros(7))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert hidden.grad.abs().max() < 1e-5


def make_network(dropout: float) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq.from_config(make_config(hidden_size=16, embedding_size=12, dropout=dropout), 20, 20).train()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_without_dropout_it_is_the_plain_loss(precision):
    model, batch = make_network(0.0), make_batch()
    plain, twice = batch_loss(model, batch, 0.1, precision), batch_loss(model, batch, 0.1, precision, rdrop=5.0)
    assert twice[0].item() == pytest.approx(plain[0].item(), rel=1e-3)
    assert twice[1].item() == pytest.approx(plain[1].item(), rel=1e-3)
    assert twice[2] == plain[2]


def test_it_is_the_mean_of_two_passes_and_their_divergence(monkeypatch):
    model, batch = make_network(0.5), make_batch()
    seen = []

    def spy(hidden, weight, bias, targets, smoothing, *, padding, divergence):
        passes = (hidden[:, first::2][targets[:, first::2] != padding].double() for first in (0, 1))
        seen.append(expected_divergence(*passes, weight.double(), bias.double()).item())
        return output_loss(hidden, weight, bias, targets, smoothing, padding=padding, divergence=divergence)

    monkeypatch.setattr("nmt.training.loss.output_loss", spy)
    losses = []
    for rdrop in (1e-9, 8.0):
        torch.manual_seed(3)
        loss, *_ = batch_loss(model, batch, 0.1, rdrop=rdrop)
        losses.append(loss)
    assert seen[0] == seen[1] > 0.1, "two passes have other masks"
    assert losses[1].item() - losses[0].item() == pytest.approx(8.0 / 4 * seen[0], rel=1e-4)
    losses[1].backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_the_footprint_counts_both_passes():
    model, shape = make_network(0.5), make_config(hidden_size=16, embedding_size=12).model
    one, both = (Footprint(model, shape, rdrop=rdrop) for rdrop in (False, True))
    lengths = [7, 5, 3], [6, 6, 6]
    plain = one.need(*(np.repeat(side, 2).tolist() for side in lengths))
    need = both.need(*lengths)
    weight = model.output_layer[0]
    added = loss_workspace(weight, 36, divergence=True) - loss_workspace(weight, 36)
    assert need.output == plain.output + added > plain.output
    assert (need.reserve, need.activations) == (plain.reserve, plain.activations)
    assert need.total <= both.bound(7, 6, 3)
