"""training.precision: what runs in bfloat16, and what stays in float32."""

from types import SimpleNamespace

import pytest
import torch
from small import make_batch, make_config

import nmt.training.loss
from nmt.model.readout import loss_workspace, output_loss
from nmt.model.seq2seq import Seq2Seq
from nmt.training.footprint import Footprint
from nmt.training.loss import batch_loss
from nmt.training.precision import mixed
from rnn_engine import native
from rnn_engine.nn.devices import Cuda


@pytest.mark.parametrize("cell", ["lstm", "mi_lstm"])
def test_bfloat16_is_near_and_its_gradients_are_float32(cell):
    torch.manual_seed(0)
    model, batch = Seq2Seq.from_config(make_config(cell=cell, hidden_size=16, embedding_size=12), 20, 20), make_batch()
    loss, _, tokens = batch_loss(model, batch, 0.1)
    loss.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    rounded, nll, same = batch_loss(model, batch, 0.1, "bfloat16")
    rounded.backward()
    assert (rounded.dtype, nll.dtype, same) == (torch.float32, torch.float32, tokens)
    assert rounded.item() == pytest.approx(loss.item(), rel=1e-2)
    assert rounded.item() != loss.item()
    for name, parameter in model.named_parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
        error = (parameter.grad - expected[name]).norm() / expected[name].norm()
        assert error < 0.1, name


def test_the_output_layer_gets_what_was_rounded(monkeypatch):
    seen = []

    def spy(hidden, weight, *rest, **options):
        seen.append((hidden.dtype, weight.dtype, torch.is_autocast_enabled("cpu")))
        return output_loss(hidden, weight, *rest, **options)

    monkeypatch.setattr(nmt.training.loss, "output_loss", spy)
    model = Seq2Seq.from_config(make_config(hidden_size=16, embedding_size=12), 20, 20)
    for precision in ("float32", "bfloat16"):
        batch_loss(model, make_batch(), 0.1, precision)
    assert seen == [(torch.float32, torch.float32, False), (torch.bfloat16, torch.float32, True)]


def test_the_footprint_is_that_of_the_precision():
    config = make_config(hidden_size=16, embedding_size=12)
    model = Seq2Seq.from_config(config, 20, 20)
    single, half = (
        Footprint(model, config.model, precision).need([7, 5, 3], [6, 6, 6]).output
        for precision in ("float32", "bfloat16")
    )
    weight, _ = model.output_layer
    with torch.autocast("cpu", torch.bfloat16):
        expected = loss_workspace(weight, 18)
    assert half - single == expected - loss_workspace(weight, 18) != 0


@pytest.mark.parametrize("isa", native.ISAS)
def test_auto_is_what_the_processor_multiplies_fastest(monkeypatch, isa):
    monkeypatch.setattr(native, "context", lambda threads: SimpleNamespace(isa=isa))
    multiplies = isa in ("amx_bf16", "avx512_bf16")
    with mixed(torch.device("cpu"), "auto"):
        assert torch.is_autocast_enabled("cpu") == multiplies
        assert not multiplies or torch.get_autocast_dtype("cpu") == torch.bfloat16


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_auto_is_what_the_card_multiplies_fastest(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    assert Cuda(0).fastest == expected
