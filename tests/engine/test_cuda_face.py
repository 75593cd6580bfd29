"""The torch face on CUDA: the adapter's way for cards, on the emulated library. No test here has seen a card."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from cases import CASES, Case, make
from emulated import use_emulated
from running import rounded, run_engine, run_plain, run_reference
from test_bfloat16 import Stored
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnn_engine
from rnn_engine import native
from rnn_engine.nn import devices
from rnn_engine.spec import CELLS

LAYERS = [rnn_engine.LSTM, rnn_engine.MILSTM, rnn_engine.LayerNormLSTM, rnn_engine.LayerNormMILSTM, rnn_engine.GRU]
# Every third shape, another third with every cell: kernels have their own tests, test_cuda_kernels.py, of all of them.
SOME = [case for i, case in enumerate(CASES) if i % 3 == list(CELLS).index(case.cell) % 3]
HALVES = [torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    use_emulated(monkeypatch)


def normalised(cell):
    return cell.startswith("layer_norm")


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.id)
def test_float64_agrees_with_the_reference(case):
    """The policies by turns."""
    arrays, memory = make(case), ("store", "recompute", "checkpoint")[SOME.index(case) % 3]
    engine = run_engine(case, arrays, torch.float64, memory=memory)
    expected = run_reference(case, arrays)
    assert engine.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, np.abs(value).max()) if normalised(case.cell) else 1.0
        np.testing.assert_allclose(engine[name].numpy(), value, rtol=1e-11, atol=1e-11 * scale, err_msg=name)


@pytest.mark.parametrize(
    ("dtype", "memory"),
    [(torch.float32, "store"), (torch.bfloat16, "recompute"), (torch.float16, "store")],
    ids=["float32", "bfloat16", "float16"],
)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if not normalised(cell)])
def test_rounds_no_worse_than_plain_operations(cell, dtype, memory):
    """Root mean square errors relative to each tensor's largest value: at most twice those of plain float32 operations
    that store what the engine stores in `dtype`. (Layer norm, which takes an emulator long: test_cuda_kernels.py.)
    """
    ours = plain = 0.0
    stored = (lambda tensor: tensor) if dtype == torch.float32 else stored_in(dtype)
    for case in (case for case in SOME if case.cell == cell):
        arrays = rounded(make(case), dtype)
        engine = run_engine(case, arrays, dtype, memory=memory)
        operations = run_plain(case, arrays, stored=stored)
        for name, exact in run_reference(case, arrays).items():
            scale = np.abs(exact).max() or 1.0
            results = engine[name], operations[name].to(dtype)
            squares = [np.mean(((result.double().numpy() - exact) / scale) ** 2) for result in results]
            assert np.isfinite(squares[0]), (case.id, name)
            ours, plain = ours + squares[0], plain + squares[1]
    assert ours <= 2**2 * plain


def stored_in(dtype):
    if dtype == torch.bfloat16:
        return Stored.apply

    class StoredHalf(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor):
            return tensor.half().float()

        @staticmethod
        def backward(ctx, gradient):
            return gradient.half().float()

    return StoredHalf.apply


@pytest.mark.parametrize("layer", LAYERS)
def test_tf32_follows_torch_and_rounds_to_ten_bits(layer, monkeypatch):
    torch.manual_seed(0)
    rnn, x = layer(33, 65), torch.randn(5, 7, 33)
    exact = rnn(x)[0]
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    difference = (rnn(x)[0] - exact).abs().max()
    assert 0 < difference < 2**-6


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "rnn"), reason="this torch has one setting for all of cuDNN")
def test_tf32_set_for_recurrent_layers_alone(monkeypatch):
    face = devices.Cuda(0)
    assert not face.tf32
    monkeypatch.setattr(torch.backends.cudnn.rnn, "fp32_precision", "tf32")
    assert face.tf32


@pytest.mark.parametrize("layer", LAYERS)
def test_lengths_and_packed_sequences_in_any_order(layer):
    torch.manual_seed(0)
    rnn, lengths = layer(5, 9, 2, bidirectional=True), [3, 7, 1, 5]
    x = torch.randn(7, 4, 5)
    found = []
    for packed in (False, True):
        leaf = x.clone().requires_grad_()
        if packed:
            y, state = rnn(pack_padded_sequence(leaf, torch.tensor(lengths), enforce_sorted=False))
            y, _ = pad_packed_sequence(y)
        else:
            y, state = rnn(leaf, lengths=lengths)
        rnn.zero_grad()
        (y.square().sum() + sum(half.sum() for half in (state if isinstance(state, tuple) else [state]))).backward()
        found.append(
            [y, *(state if isinstance(state, tuple) else [state]), leaf.grad, *(p.grad for p in rnn.parameters())]
        )
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    for row, length in enumerate(lengths):
        assert not found[0][0][length:, row].any()


@pytest.mark.parametrize("layer", [rnn_engine.LSTM, rnn_engine.GRU])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_autocast_rounds_the_weights_and_not_their_gradients(layer, dtype):
    torch.manual_seed(0)
    single = layer(9, 33, 2, bidirectional=True)
    with torch.no_grad():
        for parameter in single.parameters():
            parameter.copy_(parameter.to(dtype))
    half = layer(9, 33, 2, bidirectional=True).to(dtype)
    half.load_state_dict({name: value.to(dtype) for name, value in single.state_dict().items()})
    x = torch.randn(5, 3, 9).to(dtype)
    with torch.autocast("cpu", dtype):
        y, _ = single(x.float())
    expected, _ = half(x)
    assert y.dtype == expected.dtype == dtype
    assert torch.equal(y, expected)
    y.backward(torch.ones_like(y))
    expected.backward(torch.ones_like(y))
    for mine, theirs in zip(single.parameters(), half.parameters(), strict=True):
        assert mine.grad.dtype == torch.float32
        assert torch.equal(mine.grad.to(dtype), theirs.grad)


def test_the_rest_of_a_layers_face():
    torch.manual_seed(0)
    rnn, x = rnn_engine.LSTM(4, 6, 2, dropout=0.3), torch.randn(9, 3, 4)
    torch.manual_seed(1)
    first, state, cells = rnn(x, return_cell_states=True)
    torch.manual_seed(1)
    second, _ = rnn(x, memory="recompute")
    torch.testing.assert_close(first, second)
    assert cells.shape == (9, 3, 6)
    gradients = torch.autograd.grad(first.sum(), rnn.parameters(), retain_graph=True)
    again = torch.autograd.grad(first.sum(), rnn.parameters())  # runs forward again
    torch.testing.assert_close(gradients, again)
    rnn.eval()
    with torch.no_grad():
        y, state = rnn(x)
        none, last = rnn(x, last_state_only=True)
        assert none is None
        torch.testing.assert_close(last, state)
        stepper, after = rnn.stepper(), None
        for step in range(9):
            h, after = stepper(x[step], after)
        torch.testing.assert_close(h, y[-1])
        torch.testing.assert_close(after, state)
        parts = [part for part, _ in rnn.windows(x, 4)]
        torch.testing.assert_close(torch.cat(parts), y)


def test_weights_packed_on_the_current_stream(monkeypatch):
    """Not that it saves time on a card: the C API has it."""
    torch.manual_seed(0)
    rnn, x = rnn_engine.LSTM(4, 6, 2).eval(), torch.randn(3, 4)
    h, state = rnn.stepper()(x)
    monkeypatch.setattr(devices.Cuda, "packs", True)
    asked = []
    monkeypatch.setattr(devices.Cuda, "stream", lambda self: asked.append(self) or 0)
    stepper = rnn.stepper()
    assert len(asked) == 1
    packed, after = stepper(x)
    assert len(asked) == 2
    assert torch.equal(packed, h)
    assert all(map(torch.equal, after, state))


def test_plans_and_budgets():
    case = Case("lstm", T=20, B=4, I=8, H=16, L=2)
    most, least = (
        rnn_engine.plan(case.spec, steps=20, batch=4, memory=memory, device="cuda").peak_bytes
        for memory in ("store", "recompute")
    )
    assert least < most
    assert rnn_engine.plan(case.spec, steps=20, batch=4, memory=(least + most) // 2, device="cuda:0").peak_bytes <= most
    text = rnn_engine.plan(case.spec, steps=20, batch=4, device="cuda:0", dtype="float16").explain()
    assert "float16" in text
    assert "cuda:0, sm_" in text
    with pytest.raises(ValueError, match=r"device: expected cpu, cuda or cuda:N, got 'gpu'"):
        rnn_engine.plan(case.spec, steps=20, batch=4, device="gpu")


def test_tensors_elsewhere_are_refused():
    rnn, x, meta = rnn_engine.LSTM(3, 4), torch.zeros(2, 2, 3), torch.device("meta")
    with pytest.raises(ValueError, match="input: expected a tensor on cpu as the weights, got one on meta"):
        rnn(x.to(meta))
    rnn.weight_hh_l0 = torch.nn.Parameter(rnn.weight_hh_l0.to(meta))
    with pytest.raises(ValueError, match=r"weights\[1\], weight_hh: expected a contiguous array on the CPU"):
        rnn(x)
    with pytest.raises(ValueError, match="x: expected a tensor on cpu as the weights, got one on meta"):
        rnn_engine.LSTM(3, 4).stepper()(x[0].to(meta))


def test_no_such_device(monkeypatch):
    monkeypatch.setitem(devices._FACES, "cpu", lambda index: devices.Cuda(7, torch.device("cpu")))
    with pytest.raises(rnn_engine.EngineError, match=r"cuda:7: .*expected 0 to 0, got 7.*nvidia-smi"):
        rnn_engine.LSTM(3, 4)(torch.zeros(2, 2, 3))


def test_one_context_a_device_for_all_threads():
    found, start = [], threading.Barrier(4)

    def work():
        start.wait()
        found.append(native.cuda_context(0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(context) for context in found}) == 1


FORK = """
import os, sys, torch
sys.path.insert(0, sys.argv[1])
from rnn_engine import native
from rnn_engine.nn import devices
import rnn_engine
devices._FACES["cpu"] = lambda index: devices.Cuda(0, torch.device("cpu"))
rnn, x = rnn_engine.LSTM(3, 4), torch.ones(2, 2, 3)
expected, context = rnn(x)[0], native.cuda_context(0, emulated=True)
if os.fork() == 0:
    os._exit(not (torch.equal(rnn(x)[0], expected) and native.cuda_context(0, emulated=True) is not context))
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_child_makes_a_context_of_its_own():
    command = [sys.executable, "-c", FORK, os.path.dirname(__file__)]  # noqa: PTH120
    assert subprocess.run(command, check=False, timeout=120).returncode == 0


def test_the_current_stream_is_torchs(monkeypatch):
    """What a card would be asked for, without one."""

    class Stream:
        cuda_stream = 0x5EED

    asked = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: asked.append(device) or Stream())
    assert devices.Cuda(1).stream() == 0x5EED
    assert asked == [torch.device("cuda", 1)]
