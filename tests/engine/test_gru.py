"""`rnn_engine.GRU` in torch.nn.GRU's place."""

import pytest
import torch
from test_layers import assert_same
from torch import nn
from torch.nn.utils.rnn import pack_sequence

import rnn_engine


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 3, "bias": False}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}],
    ids=str,
)
def test_a_gru_is_torchs(options):
    """The same seed draws the same weights; one state goes in and comes out, in every form of the input."""
    layers = []
    for kind in (rnn_engine.GRU, nn.GRU):
        torch.manual_seed(1)
        layers.append(kind(5, 7, **options).double())
    ours, theirs = layers
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    torch.manual_seed(2)
    batches = [torch.randn(6, 4, 5), torch.randn(6, 5)]
    batches.append(pack_sequence([torch.randn(n, 5, dtype=torch.float64) for n in (2, 6, 3, 3)], enforce_sorted=False))
    for given in batches:
        ragged = not isinstance(given, torch.Tensor)
        x = given if ragged else given.double()
        batch = 4 if ragged else x.shape[0 if options.get("batch_first") else 1]
        h0 = torch.randn(ours.spec.pseudo_layers, *([batch] if ragged or x.dim() == 3 else []), 7, dtype=torch.float64)
        results = []
        for layer in layers:
            start = h0.clone().requires_grad_()
            y, hn = layer(x, start)
            rows = y.data if ragged else y
            gradients = torch.autograd.grad(rows.square().sum() + hn.sum(), [start, *layer.parameters()])
            results.append((rows, hn, *gradients, layer(x)[1]))
        assert_same(*results)


def test_a_grus_stepper_windows_and_errors():
    layer, x = rnn_engine.GRU(3, 8, 2), torch.randn(6, 2, 3)
    y, hn = layer(x)
    stepper, state = layer.stepper(), None
    for t, step in enumerate(x):
        output, state = stepper(step, state)
        assert torch.equal(output, y[t])
    assert torch.equal(state, hn)
    assert torch.equal(torch.cat([window for window, _ in layer.windows(x, 4)]), y)
    with pytest.raises(ValueError, match="proj_size: expected 0 for a gru, got 2"):
        rnn_engine.GRU(3, 4, proj_size=2)
    with pytest.raises(ValueError, match=r"zoneout of c: expected 0 for a gru, which has no c, got 0\.1"):
        rnn_engine.GRU(3, 4, zoneout=(0.1, 0.1))
    zoned = rnn_engine.GRU(3, 8, zoneout=(0.0, 1.0))
    h0 = torch.randn(1, 2, 8)
    assert torch.equal(zoned(x, h0)[1], h0)
