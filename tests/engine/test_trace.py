"""RNN_ENGINE_VERBOSE=1: a line for every call."""

import re
import subprocess
import sys

import pytest
from emulated import LIBRARY, need_emulated

CALLS = """
import sys
import torch
import rnn_engine
if len(sys.argv) > 1:
    from rnn_engine.nn import devices
    devices._FACES["cpu"] = lambda index: devices.Cuda(0, torch.device("cpu"))
layer = rnn_engine.LSTM(5, 7, 2, bidirectional=True, memory="recompute")
layer(torch.randn(4, 3, 5), lengths=[4, 1, 2])[0].sum().backward()
with torch.no_grad():
    rnn_engine.GRU(5, (7, 9), 2)(torch.randn(4, 3, 5))
rnn_engine.linear_cross_entropy(torch.randn(6, 5, requires_grad=True), torch.randn(9, 5), torch.zeros(6, dtype=int))
queries = torch.randn(4, 3, 6, requires_grad=True)
rnn_engine.attention(queries, torch.randn(5, 3, 6), torch.randn(5, 3, 2), heads=2).sum().backward()
"""
LINES = [
    r"forward lstm float32 T=4 B=3 ragged I=5 H=7 L=2 D=2 \| \d+ tiles, .*recompute K=\d+, reserve \d+, workspace",
    r"backward lstm float32 T=4 B=3 ragged I=5 H=7 L=2 D=2 \| \d+ tiles, .*recompute K=\d+, reserve \d+, workspace",
    r"forward gru float32 T=4 B=3 I=5 H=7,9 L=2 D=1 \| 2 tiles, layer by layer, workspace \d+ bytes",
    r"linear_cross_entropy float32 tokens=6 E=5 V=9",
    r"attention forward float32 T=4 B=3 S=5 A=6 C=2 heads=2",
    r"attention backward float32 T=4 B=3 S=5 A=6 C=2 heads=2",
]


def lines_of(monkeypatch, verbose, *arguments):
    monkeypatch.setenv("RNN_ENGINE_VERBOSE", verbose)
    run = subprocess.run([sys.executable, "-c", CALLS, *arguments], check=True, capture_output=True, text=True)
    return run.stderr.splitlines()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_call_says_what_it_does_and_how_fast(device, monkeypatch):
    arguments, end = [], r" \| \w+, \d+ threads \| [\d.]+ ms, [\d.]+ GFLOP/s"
    if device == "cuda":
        need_emulated()
        monkeypatch.setenv("RNN_ENGINE_CUDA_LIBRARY", str(LIBRARY))
        monkeypatch.setenv("RNN_ENGINE_CUBLAS", "off")
        arguments, end = ["cuda"], r" \| sm_\d+, own products.* \| handed over in [\d.]+ ms"
    found = lines_of(monkeypatch, "1", *arguments)
    assert len(found) == len(LINES)
    for line, expected in zip(found, LINES, strict=True):
        assert re.fullmatch(f"rnn_engine: {expected}.*{end}", line), line


def test_nothing_is_said_unless_asked(monkeypatch):
    assert lines_of(monkeypatch, "0") == []
