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
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from measuring import interleaved, layer_call, numbers, parser, spread, spread_text, write_json
from torch import nn
from torch_layers import torch_layers

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = [(2, 32, 64, 512), (4, 64, 32, 512), (1, 256, 16, 1024), (8, 128, 16, 256)]
CELLS: dict[str, Any] = {
    "lstm": rnn_engine.LSTM,
    "mi_lstm": rnn_engine.MILSTM,
    "layer_norm_lstm": rnn_engine.LayerNormLSTM,
    "gru": rnn_engine.GRU,
}
REGULARISERS: dict[str, Any] = {
    "lstm + recurrent_dropout": partial(rnn_engine.LSTM, recurrent_dropout=0.2),
    "lstm + zoneout": partial(rnn_engine.LSTM, zoneout=(0.1, 0.1)),
}
PASSES = ("forward", "forward+backward", "recompute")


def peers_of(cell: str, hidden: int, layers: int) -> list[nn.Module]:
    """What a cell is measured beside."""
    if cell in REGULARISERS:
        return [rnn_engine.LSTM(hidden, hidden, layers)]
    if cell in ("lstm", "gru"):
        return [getattr(nn, cell.upper())(hidden, hidden, layers)]
    return [*torch_layers(cell, hidden, layers)]


def measure_peak(threads: int, dtype: str) -> float:
    """Arithmetic peak of the machine in GFLOP/s."""
    context, best = native.context(threads), 0.0
    for _ in range(5):
        start = time.perf_counter()
        operations = context.peak(4_000_000, native.DTYPES[dtype])
        best = max(best, operations / (time.perf_counter() - start) / 1e9)
    return best


def measure_cell(cell: str, shape: tuple[int, ...], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of one cell and shape."""
    layers, steps, batch, hidden = shape
    dtype = getattr(torch, arguments.dtype)
    x = torch.randn(steps, batch, hidden)
    make = (CELLS | REGULARISERS)[cell]
    store, recompute = (make(hidden, hidden, layers, memory=memory) for memory in ("store", "recompute"))
    peers = peers_of(cell, hidden, layers)
    single = [copy.deepcopy(store)] if dtype == torch.bfloat16 else []
    for module in (store, recompute, *peers):
        module.to(dtype)
    for backward in (False, True):
        own = [store, recompute] if backward else [store]  # policies concern backward
        works = [layer_call(module, x.to(dtype), backward) for module in (*own, *peers)]
        works += [layer_call(module, x, backward) for module in single]
        for work in works:
            work()
        times = interleaved(works, arguments.repeats, arguments.seconds)
        theirs = times[len(own) : len(own) + len(peers)]
        fastest = min(theirs, key=statistics.median)
        for name, ours in zip(PASSES[1:] if backward else PASSES[:1], times, strict=False):
            gates = 3 if cell == "gru" else 4
            flops = layers * steps * 4.0 * gates * batch * hidden * hidden * (3 if backward else 1)
            row: dict[str, Any] = {
                "shape": shape,
                "cell": cell,
                "pass": name,
                "engine_ms": statistics.median(ours) * 1e3,
                "peer_ms": statistics.median(fastest) * 1e3,
                "peers_ms": [statistics.median(t) * 1e3 for t in theirs],
                **spread(fastest, ours),
                "gflops": flops / statistics.median(ours) / 1e9,
            }
            if single:
                row["over_float32"] = spread(times[-1], ours)["ratio"]
            if name == "recompute":
                row["of_store"] = spread(ours, times[0])["ratio"]
            yield row


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    line = f"{','.join(map(str, row['shape'])):>18} {row['cell']:>24} {row['pass']:>17} {row['engine_ms']:10.2f} "
    line += f"{row['peer_ms']:9.2f} {spread_text(row)} "
    line += f"{row['of_store']:8.2f}" if "of_store" in row else " " * 8
    line += f" {row['gflops']:8.0f} {row['of_peak']:8.0%}"
    return line + (f" {row['over_float32']:12.2f}" if "over_float32" in row else "")


def main() -> None:
    """Measures all shapes and prints the table."""
    options = parser(__doc__, repeats=9)
    options.add_argument(
        "--shapes", nargs="+", type=numbers, default=DEFAULT_SHAPES, metavar="L,T,B,H", help="I = H in every layer"
    )
    options.add_argument("--cells", nargs="+", choices=(*CELLS, *REGULARISERS), default=list(CELLS))
    options.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options.add_argument("--seconds", type=float, default=0.2, help="least time of one measurement")
    arguments = options.parse_args()
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
    for shape in arguments.shapes:
        for cell in arguments.cells:
            for row in measure_cell(cell, shape, arguments):
                row["of_peak"] = row["gflops"] / peak
                rows.append(row)
                print(line_of(row), flush=True)
    for cell in arguments.cells:
        for name in PASSES:
            chosen = [row["ratio"] for row in rows if row["cell"] == cell and row["pass"] == name]
            print(f"geometric mean, {cell} {name}: {statistics.geometric_mean(chosen):.2f}")
    write_json(arguments.json, rows, threads=arguments.threads, dtype=arguments.dtype, peak_gflops=peak)


if __name__ == "__main__":
    main()
