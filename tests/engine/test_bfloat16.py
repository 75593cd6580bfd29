"""bfloat16: stored rounded, computed in float32. Errors, layers and autocast."""

import numpy as np
import pytest
import torch
from cases import CASES, Case, make
from roundings import of_each_rounding
from running import rounded, run_engine, run_plain, run_reference
from torch.nn.utils.rnn import pack_padded_sequence

import rnn_engine
from rnn_engine import native
from rnn_engine.planning import plan
from rnn_engine.spec import CELLS

BF16 = torch.bfloat16
ROUNDINGS = of_each_rounding(native.available_isas())
LAYERS = [rnn_engine.LSTM, rnn_engine.MILSTM]


@pytest.fixture(params=ROUNDINGS)
def isa(request, monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_ISA", request.param)
    return request.param


class Stored(torch.autograd.Function):
    """A value that is stored in bfloat16, and so is its gradient."""

    @staticmethod
    def forward(ctx, tensor):
        return tensor.to(BF16).to(tensor.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.to(BF16).to(gradient.dtype)


@pytest.mark.parametrize("cell", CELLS)
def test_rounds_no_worse_than_plain_operations(cell, isa):
    """As for float32: root mean square errors over all cases, at most twice those of plain float32 operations that
    store h and what backward reads, and their gradients, in bfloat16."""
    ours = plain = 0.0
    for case in (case for case in CASES if case.cell == cell):
        arrays = rounded(make(case), BF16)
        engine, operations = run_engine(case, arrays, BF16), run_plain(case, arrays, stored=Stored.apply)
        for name, exact in run_reference(case, arrays).items():
            scale = np.abs(exact).max() or 1.0
            ours += np.mean(((engine[name].double().numpy() - exact) / scale) ** 2)
            nearest = operations[name].to(BF16).double().numpy()
            plain += np.mean(((nearest - exact) / scale) ** 2)
    assert ours <= 2**2 * plain


@pytest.mark.parametrize("layer", LAYERS)
def test_a_sequence_alone_gives_the_bits_of_the_batch(layer):
    rnn, x = layer(9, 33, 2).bfloat16(), torch.randn(7, 5, 9, dtype=BF16)
    lengths = [7, 3, 5, 1, 6]
    with torch.no_grad():
        packed, _ = rnn(pack_padded_sequence(x, lengths, enforce_sorted=False))
        dense, (hn, cn) = rnn(x, lengths=lengths)
        for row, length in enumerate(lengths):
            y, (h, c) = rnn(x[:length, row : row + 1])
            assert torch.equal(dense[:length, row : row + 1], y)
            assert torch.equal(hn[:, row : row + 1], h)
            assert torch.equal(cn[:, row : row + 1], c)
    assert packed.data.dtype == dense.dtype == hn.dtype == cn.dtype == BF16


@pytest.mark.parametrize("layer", LAYERS)
def test_the_stepper_gives_the_bits_of_the_layer(layer):
    rnn, x = layer(9, 33).bfloat16(), torch.randn(1, 5, 9, dtype=BF16)
    with torch.no_grad():
        y, (h, c) = rnn(x)
        stepped, (h1, c1) = rnn.stepper()(x[0])
    assert torch.equal(y[0], stepped)
    assert torch.equal(h, h1)
    assert torch.equal(c, c1)


@pytest.mark.parametrize("layer", LAYERS)
def test_autocast_rounds_the_weights_and_not_their_gradients(layer):
    single = layer(9, 33, 2, bidirectional=True)
    with torch.no_grad():
        for parameter in single.parameters():
            parameter.copy_(parameter.to(BF16))
    half = layer(9, 33, 2, bidirectional=True).bfloat16()
    half.load_state_dict({name: value.to(BF16) for name, value in single.state_dict().items()})
    x = torch.randn(5, 3, 9, dtype=BF16)
    inputs = x.float().requires_grad_(), x.clone().requires_grad_()
    with torch.autocast("cpu", BF16):
        y, (hn, cn) = single(inputs[0])
    expected, (h, c) = half(inputs[1])
    for mine, theirs in ((y, expected), (hn, h), (cn, c)):
        assert mine.dtype == BF16
        assert torch.equal(mine, theirs)
    y.backward(torch.ones_like(y))
    expected.backward(torch.ones_like(y))
    assert inputs[0].grad.dtype == torch.float32
    assert torch.equal(inputs[0].grad.to(BF16), inputs[1].grad)
    for mine, theirs in zip(single.parameters(), half.parameters(), strict=True):
        assert mine.grad.dtype == torch.float32
        assert torch.equal(mine.grad.to(BF16), theirs.grad)


def test_autocast_takes_states_of_either_dtype():
    rnn, x = rnn_engine.LSTM(4, 6), torch.randn(3, 2, 4)
    state = torch.randn(1, 2, 6), torch.randn(1, 2, 6)
    with torch.autocast("cpu", BF16):
        first, _ = rnn(x, state)
        second, _ = rnn(x.to(BF16), tuple(half.to(BF16) for half in state))
    assert torch.equal(first, second)
    assert rnn(x, state)[0].dtype == torch.float32


def test_store_keeps_gates_and_h_in_half_the_bytes():
    case = Case(cell="lstm", T=8, B=4, I=6, H=10, L=2)
    buffers = plan(case.spec, steps=8, batch=4, dtype="bfloat16").buffers
    u = 8 * 4 * 10 * 2  # bytes of one [T, B, H] array in bfloat16
    reserve = sum(buffer.bytes for buffer in buffers if buffer.arena == "reserve")
    assert reserve == 2 * (4 + 2) * u + u  # gates, and c in float32, of both layers; h of the first


def test_errors_name_the_dtypes():
    with pytest.raises(ValueError, match=r"float64, torch\.bfloat16 or torch\.float16, got torch\.int8"):
        rnn_engine.LSTM(2, 2, dtype=torch.int8)
    half = torch.zeros(1, 1, 2, dtype=torch.float16)
    with pytest.raises(ValueError, match=r"weights: expected .* or torch\.bfloat16 on cpu, got torch\.float16"):
        rnn_engine.LSTM(2, 2, dtype=torch.float16)(half)
    with pytest.raises(ValueError, match=r"input: expected torch\.bfloat16 as the weights, got torch\.float32"):
        rnn_engine.LSTM(2, 2, dtype=BF16)(torch.zeros(1, 1, 2))
