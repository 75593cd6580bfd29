"""Recurrent dropout and zoneout as the layers offer them; their numbers are in the table of cases."""

import pytest
import torch
from test_layers import CELLS

import rnn_engine


@pytest.mark.parametrize("options", [{"recurrent_dropout": 0.4}, {"zoneout": (0.3, 0.2)}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_masks_inside_layers_are_repeatable_and_off_in_evaluation(cell, options):
    layer, x = cell(6, 20, 2, bidirectional=True, **options), torch.randn(9, 5, 6)
    torch.manual_seed(5)
    first = layer(x)[0]
    torch.manual_seed(5)
    assert torch.equal(layer(x)[0], first)
    with torch.no_grad():
        torch.manual_seed(5)
        assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x)[0], first)
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    parameters = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    expected = rnn_engine.Stack(layer.spec, parameters)(x.numpy())[0]
    assert torch.equal(layer(x)[0].detach(), torch.from_numpy(expected))


def test_zoneout_in_evaluation_is_the_mean_of_what_training_draws():
    """To first order in the probability, for a single step."""
    torch.manual_seed(3)
    layer = rnn_engine.LSTM(4, 30, zoneout=(0.2, 0.3))
    x, hx = torch.randn(1, 1, 4), (torch.randn(1, 1, 30), torch.randn(1, 1, 30))
    many = torch.stack([torch.cat(layer(x, hx)[1]) for _ in range(4000)]).mean(0)
    layer.eval()
    torch.testing.assert_close(many, torch.cat(layer(x, hx)[1]), rtol=0, atol=0.1)
    zoned = rnn_engine.LSTM(4, 30, zoneout=(1.0, 1.0))
    y, (hn, cn) = zoned(torch.randn(5, 1, 4), hx)
    assert torch.equal(hn, hx[0])
    assert torch.equal(cn, hx[1])
    assert torch.equal(y, hx[0].expand(5, 1, 30))


def test_recurrent_dropout_is_one_mask_for_all_steps():
    """With U and the inputs as one number, h' passes U or does not, for the whole sequence."""
    layer = rnn_engine.LSTM(1, 1, recurrent_dropout=0.5)
    plain = rnn_engine.LSTM(1, 1)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(6, 64, 1)
    with torch.no_grad():
        got = layer(x)[0]
        plain.weight_hh_l0.zero_()
        dropped = plain(x)[0]
        plain.weight_hh_l0.copy_(2 * layer.weight_hh_l0)
        scaled = plain(x)[0]
    is_dropped, is_scaled = ((got - other).abs().amax((0, 2)) < 1e-6 for other in (dropped, scaled))
    assert (is_dropped ^ is_scaled).all()
    assert 16 < is_dropped.sum() < 48
