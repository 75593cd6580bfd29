"""The engine beside torch, all sides interleaved in one run.

    python benchmarks/engine.py [--dtype float32] [--shapes L,T,B,H ...] [--threads 2] [--repeats 9] [--json FILE]

Three passes: forward (inference), forward+backward (x.requires_grad), and the same with memory="recompute". The peers
are torch.nn.LSTM and torch.nn.GRU, and for the other cells the faster of torch operations and the same under
torch.jit.script; the peer of a regulariser (`--cells`) is our own layer without it, in training. Rows of the table are
medians over the repeats; a ratio is the median over the repeats of peer time / engine time, with its smallest and
largest value; `of store` is recompute's time over our own store's. GFLOP/s counts the matrix products of the layers
alone: 8 B T H (I + H) a layer forward (the GRU 6), three times that with backward (what recompute does again does not
count). The arithmetic peak is measured in the same run, by independent fused multiply-adds on all threads. With
--dtype bfloat16 both sides are bfloat16 layers; `over float32` is the time of our own float32 layer with `store` over
ours.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = ["2,32,64,512", "4,64,32,512", "1,256,16,1024", "8,128,16,256"]


def mi_lstm_layer(x: Tensor, weights: list[Tensor]) -> Tensor:
    """The peer: one MI-LSTM layer in torch operations, with the input projection of all steps in one product."""
    w, u, b_w, b_u, alpha, beta1, beta2, b = weights
    a = nn.functional.linear(x, w, b_w)  # [T, B, 4H]
    shared = beta2 * a + b
    gain = alpha * a + beta1
    h = torch.zeros([x.shape[1], x.shape[2]], dtype=x.dtype, device=x.device)
    c = h
    outputs: list[Tensor] = []
    shared_steps = shared.unbind(0)
    gain_steps = gain.unbind(0)
    for t in range(x.shape[0]):
        r = nn.functional.linear(h, u, b_u)  # [B, 4H]
        gates = torch.addcmul(shared_steps[t], gain_steps[t], r).chunk(4, dim=1)
        c = torch.sigmoid(gates[1]) * c + torch.sigmoid(gates[0]) * torch.tanh(gates[2])
        h = torch.sigmoid(gates[3]) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def layer_norm_lstm_layer(x: Tensor, weights: list[Tensor]) -> Tensor:
    """The peer: one layer-norm LSTM layer in torch operations, with all of the input's part ahead of the steps."""
    w, u, b, gamma_ih, gamma_hh, gamma_c, beta_c = weights
    a = nn.functional.layer_norm(nn.functional.linear(x, w), gamma_ih.shape, gamma_ih, b)  # [T, B, 4H]
    h = torch.zeros([x.shape[1], x.shape[2]], dtype=x.dtype, device=x.device)
    c = h
    outputs: list[Tensor] = []
    a_steps = a.unbind(0)
    for t in range(x.shape[0]):
        r = nn.functional.layer_norm(nn.functional.linear(h, u), gamma_hh.shape, gamma_hh)  # [B, 4H]
        gates = (a_steps[t] + r).chunk(4, dim=1)
        c = torch.sigmoid(gates[1]) * c + torch.sigmoid(gates[0]) * torch.tanh(gates[2])
        h = torch.sigmoid(gates[3]) * torch.tanh(nn.functional.layer_norm(c, gamma_c.shape, gamma_c, beta_c))
        outputs.append(h)
    return torch.stack(outputs)


class TorchLayers(nn.Module):
    """A stack of such layers; `layer`: one of them or its script; `vectors`: widths, in H, and first values."""

    def __init__(self, size: int, layers: int, vectors: list[tuple[int, float]], layer: Callable[..., Tensor]) -> None:
        super().__init__()
        bound = size**-0.5
        self.layer = layer
        self.weights = nn.ModuleList()
        for _ in range(layers):
            matrices = [torch.empty(4 * size, size).uniform_(-bound, bound) for _ in range(2)]
            filled = [torch.full((width * size,), value) for width, value in vectors]
            self.weights.append(nn.ParameterList([*matrices, *filled]))

    def forward(self, x: Tensor) -> Tensor:
        """Runs all layers on x [T, B, H]."""
        for weights in self.weights:
            x = self.layer(x, list(weights))  # type: ignore[call-overload]
        return x


MI_VECTORS = [(4, 0.0), (4, 0.0), (4, 1.0), (4, 1.0), (4, 1.0), (4, 0.0)]
LAYER_NORM_VECTORS = [(4, 0.0), (4, 1.0), (4, 1.0), (1, 1.0), (1, 0.0)]


def peers_of(cell: str, hidden: int, layers: int) -> tuple[nn.Module, nn.Module, list[nn.Module]]:
    """The engine's layer with `store`, the same with `recompute`, and its peers."""
    peers: list[nn.Module]
    if cell in REGULARISERS:
        ours: Any = partial(rnn_engine.LSTM, **REGULARISERS[cell])
        peers = [rnn_engine.LSTM(hidden, hidden, layers)]
    elif cell == "lstm":
        ours = rnn_engine.LSTM
        peers = [nn.LSTM(hidden, hidden, layers)]
    elif cell == "gru":
        ours = rnn_engine.GRU
        peers = [nn.GRU(hidden, hidden, layers)]
    elif cell == "mi_lstm":
        ours = rnn_engine.MILSTM
        peers = [TorchLayers(hidden, layers, MI_VECTORS, layer) for layer in (mi_lstm_layer, SCRIPTED)]
    else:
        ours = rnn_engine.LayerNormLSTM
        kinds = (layer_norm_lstm_layer, SCRIPTED_LAYER_NORM)
        peers = [TorchLayers(hidden, layers, LAYER_NORM_VECTORS, layer) for layer in kinds]
    return ours(hidden, hidden, layers), ours(hidden, hidden, layers, memory="recompute"), peers


SCRIPTED = torch.jit.script(mi_lstm_layer)
SCRIPTED_LAYER_NORM = torch.jit.script(layer_norm_lstm_layer)
CELLS = ("lstm", "mi_lstm", "layer_norm_lstm", "gru")
REGULARISERS: dict[str, dict[str, Any]] = {
    "lstm + recurrent_dropout": {"recurrent_dropout": 0.2},
    "lstm + zoneout": {"zoneout": (0.1, 0.1)},
}
PASSES = ("forward", "forward+backward", "recompute")


def median_seconds(work: Callable[[], None], at_least: float) -> float:
    """Seconds of one call, after one that is not counted: the mean over enough calls to fill `at_least` seconds."""
    work()  # whoever ran before may have left caches and free memory of other sizes
    calls, start = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / calls


def make_work(module: nn.Module, x: Tensor, backward: bool) -> Callable[[], None]:
    """One forward pass, or one forward and backward pass, of `module` on x."""
    if not backward:

        def forward() -> None:
            with torch.inference_mode():
                module(x)

        return forward
    x = x.clone().requires_grad_()
    with torch.no_grad():
        y = module(x)
    dy = torch.randn_like(y[0] if isinstance(y, tuple) else y)

    def forward_backward() -> None:
        y = module(x)
        (y[0] if isinstance(y, tuple) else y).backward(dy)
        x.grad = None
        module.zero_grad(set_to_none=True)

    return forward_backward


def measure_peak(threads: int, dtype: str) -> float:
    """Arithmetic peak of the machine in GFLOP/s."""
    context, best = native.context(threads), 0.0
    for _ in range(5):
        start = time.perf_counter()
        operations = context.peak(4_000_000, native.DTYPES[dtype])
        best = max(best, operations / (time.perf_counter() - start) / 1e9)
    return best


def measure_cell(cell: str, shape: list[int], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of one cell and shape."""
    layers, steps, batch, hidden = shape
    dtype = getattr(torch, arguments.dtype)
    x = torch.randn(steps, batch, hidden)
    store, recompute, peers = peers_of(cell, hidden, layers)
    single = [copy.deepcopy(store)] if dtype == torch.bfloat16 else []
    for module in (store, recompute, *peers):
        module.to(dtype)
    for group in (("forward",), ("forward+backward", "recompute")):
        backward = group[0] != "forward"
        work = [make_work(module, x.to(dtype), backward) for module in (store, recompute, *peers)]
        work += [make_work(module, x, backward) for module in single]
        if not backward:
            work[1] = work[0]  # policies concern backward
        for w in work:
            w()
        times: list[list[float]] = [[] for _ in work]
        for _ in range(arguments.repeats):
            for index, w in enumerate(work):
                if index != 1 or backward:
                    times[index].append(median_seconds(w, arguments.seconds))
        theirs = times[2 : 2 + len(peers)]
        fastest = min(theirs, key=statistics.median)
        for name, ours in zip(group, times, strict=False):
            ratios = [other / mine for mine, other in zip(ours, fastest, strict=True)]
            gates = 3 if cell == "gru" else 4
            flops = layers * steps * 4.0 * gates * batch * hidden * hidden * (3 if backward else 1)
            row: dict[str, Any] = {
                "shape": shape,
                "cell": cell,
                "pass": name,
                "engine_ms": statistics.median(ours) * 1e3,
                "peer_ms": statistics.median(fastest) * 1e3,
                "peers_ms": [statistics.median(t) * 1e3 for t in theirs],
                "ratio": statistics.median(ratios),
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "gflops": flops / statistics.median(ours) / 1e9,
            }
            if single:
                row["over_float32"] = statistics.median(a / b for a, b in zip(times[-1], ours, strict=True))
            if name == "recompute":
                row["of_store"] = statistics.median(a / b for a, b in zip(ours, times[0], strict=True))
            yield row


def main() -> None:
    """Measures all shapes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=DEFAULT_SHAPES, metavar="L,T,B,H", help="I = H in every layer")
    parser.add_argument("--cells", nargs="+", choices=(*CELLS, *REGULARISERS), default=list(CELLS))
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=0.2, help="least time of one measurement")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    peak = measure_peak(arguments.threads, arguments.dtype)
    isa = native.context(arguments.threads).isa
    print(f"{isa}, {arguments.threads} threads, torch {torch.__version__}, peak {peak:.0f} GFLOP/s", file=sys.stderr)
    rows = []
    print(
        f"{'(L, T, B, H)':>18} {'cell':>24} {'pass':>17} {'engine ms':>10} {'peer ms':>9} "
        f"{'ratio (min-max)':>20} {'of store':>8} {'GFLOP/s':>8} {'of peak':>8}"
        f"{' over float32' if arguments.dtype == 'bfloat16' else ''}"
    )
    for text in arguments.shapes:
        shape = [int(n) for n in text.split(",")]
        for cell in arguments.cells:
            for row in measure_cell(cell, shape, arguments):
                row["of_peak"] = row["gflops"] / peak
                rows.append(row)
                of_store = f"{row['of_store']:8.2f}" if "of_store" in row else " " * 8
                print(
                    f"{text:>18} {cell:>24} {row['pass']:>17} {row['engine_ms']:10.2f} {row['peer_ms']:9.2f} "
                    f"{row['ratio']:7.2f} ({row['ratio_min']:.2f}-{row['ratio_max']:.2f}) {of_store} "
                    f"{row['gflops']:8.0f} {row['of_peak']:8.0%}"
                    f"{' {:12.2f}'.format(row['over_float32']) if 'over_float32' in row else ''}",
                    flush=True,
                )
    for cell in arguments.cells:
        for name in PASSES:
            chosen = [row["ratio"] for row in rows if row["cell"] == cell and row["pass"] == name]
            print(f"geometric mean, {cell} {name}: {statistics.geometric_mean(chosen):.2f}")
    if arguments.json:
        result = {
            "date": date.today().isoformat(),
            "machine": platform.processor() or platform.machine(),
            "isa": isa,
            "dtype": arguments.dtype,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "peak_gflops": peak,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
