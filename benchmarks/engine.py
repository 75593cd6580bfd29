"""The engine beside torch: forward, and forward + backward (x.requires_grad), float32, interleaved in one run.

    python benchmarks/engine.py [--shapes L,T,B,H ...] [--threads 2] [--repeats 9] [--json FILE]

Rows of the table are medians over the repeats; a ratio is the median over the repeats of peer time / engine time, with
its smallest and largest value. GFLOP/s counts the matrix products alone: 8 B T H (I + H) a layer forward, three times
that with backward. The arithmetic peak is measured in the same run, by independent fused multiply-adds on all threads.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = ["2,32,64,512", "4,64,32,512", "1,256,16,1024", "8,128,16,256"]


class TorchMILSTM(nn.Module):
    """The peer: an MI-LSTM in torch operations, with the input projection of all steps in one product."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        bound = size**-0.5
        self.layers = nn.ModuleList()
        for _ in range(layers):
            layer = nn.ParameterDict(
                {
                    "w": torch.empty(4 * size, size).uniform_(-bound, bound),
                    "u": torch.empty(4 * size, size).uniform_(-bound, bound),
                    "b_w": torch.zeros(4 * size),
                    "b_u": torch.zeros(4 * size),
                    "alpha": torch.ones(4 * size),
                    "beta1": torch.ones(4 * size),
                    "beta2": torch.ones(4 * size),
                    "b": torch.zeros(4 * size),
                }
            )
            self.layers.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Runs all layers on x [T, B, H]."""
        for p in self.layers:
            a = nn.functional.linear(x, p["w"], p["b_w"])  # [T, B, 4H]
            shared = p["beta2"] * a + p["b"]
            gain = p["alpha"] * a + p["beta1"]
            h = c = x.new_zeros(x.shape[1], x.shape[2])
            outputs = []
            for shared_t, gain_t in zip(shared.unbind(0), gain.unbind(0), strict=True):
                r = nn.functional.linear(h, p["u"], p["b_u"])  # [B, 4H]
                i, f, g, o = torch.addcmul(shared_t, gain_t, r).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                outputs.append(h)
            x = torch.stack(outputs)
        return x


def median_seconds(work: Callable[[], None], at_least: float) -> float:
    """Seconds of one call: the mean over enough calls to fill `at_least` seconds."""
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


def measure_peak(threads: int) -> float:
    """Arithmetic peak of the machine in GFLOP/s."""
    context, best = native.context(threads), 0.0
    for _ in range(5):
        start = time.perf_counter()
        operations = context.peak(4_000_000)
        best = max(best, operations / (time.perf_counter() - start) / 1e9)
    return best


def main() -> None:
    """Measures all shapes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=DEFAULT_SHAPES, metavar="L,T,B,H", help="I = H in every layer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=0.2, help="least time of one measurement")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    peak = measure_peak(arguments.threads)
    isa = native.context(arguments.threads).isa
    print(f"{isa}, {arguments.threads} threads, torch {torch.__version__}, peak {peak:.0f} GFLOP/s", file=sys.stderr)
    rows = []
    print(
        f"{'(L, T, B, H)':>18} {'cell':>8} {'pass':>17} {'engine ms':>10} {'torch ms':>9} "
        f"{'ratio (min-max)':>20} {'GFLOP/s':>8} {'of peak':>8}"
    )
    for text in arguments.shapes:
        layers, steps, batch, hidden = (int(n) for n in text.split(","))
        x = torch.randn(steps, batch, hidden)
        peers = {
            "lstm": (rnn_engine.LSTM(hidden, hidden, layers), nn.LSTM(hidden, hidden, layers)),
            "mi_lstm": (rnn_engine.MILSTM(hidden, hidden, layers), TorchMILSTM(hidden, layers)),
        }
        for cell, pair in peers.items():
            for backward in (False, True):
                work = [make_work(module, x, backward) for module in pair]
                for w in work:
                    w()
                times: list[list[float]] = [[], []]
                for _ in range(arguments.repeats):
                    for index, w in enumerate(work):
                        times[index].append(median_seconds(w, arguments.seconds))
                ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
                ours, theirs = (statistics.median(t) for t in times)
                flops = layers * steps * 16.0 * batch * hidden * hidden * (3 if backward else 1)
                row = {
                    "shape": [layers, steps, batch, hidden],
                    "cell": cell,
                    "pass": "forward+backward" if backward else "forward",
                    "engine_ms": ours * 1e3,
                    "torch_ms": theirs * 1e3,
                    "ratio": statistics.median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "gflops": flops / ours / 1e9,
                    "of_peak": flops / ours / 1e9 / peak,
                }
                rows.append(row)
                print(
                    f"{text:>18} {cell:>8} {row['pass']:>17} {row['engine_ms']:10.2f} {row['torch_ms']:9.2f} "
                    f"{row['ratio']:7.2f} ({row['ratio_min']:.2f}-{row['ratio_max']:.2f}) "
                    f"{row['gflops']:8.0f} {row['of_peak']:8.0%}",
                    flush=True,
                )
    for cell in ("lstm", "mi_lstm"):
        for name in ("forward", "forward+backward"):
            chosen = [row["ratio"] for row in rows if row["cell"] == cell and row["pass"] == name]
            print(f"geometric mean, {cell} {name}: {statistics.geometric_mean(chosen):.2f}")
    if arguments.json:
        result = {
            "date": date.today().isoformat(),
            "machine": platform.processor() or platform.machine(),
            "isa": isa,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "peak_gflops": peak,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
