"""Linear layers of several inputs, and dropout, beside torch's operations: time of forward + backward.

    python benchmarks/linear.py [--dtype bfloat16] [--shapes M,I,O ...] [--threads 2] [--repeats 15] [--json FILE]

M rows, I columns of two inputs together (two thirds of them the first's), O outputs, tanh and dropout of 0.3. The peer
is torch.cat, F.linear, torch.tanh and F.dropout. The sides are measured in turn; a ratio is the median over the repeats
of peer time / engine time, with its smallest and largest value. GFLOP/s counts the three matrix products: 6 M I O.

Then dropout by itself on [M, I]: GB/s counts what a pass must read and write, forward and backward: 4 M I values.

In bfloat16, inputs are of that type, weight and bias are float32, and both sides run under torch.autocast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measuring import interleaved, numbers, parser, spread, spread_text, write_json
from torch import Tensor
from torch.nn import functional

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = [(1600, 960, 320), (1600, 960, 512), (6400, 960, 512), (1600, 320, 320)]
DROPOUT = 0.3
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Side = Callable[[list[Tensor], Tensor, Tensor], Tensor]


def engine_linear(inputs: list[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """The engine's layer."""
    return rnn_engine.linear(inputs, weight, bias, activation="tanh", dropout=DROPOUT)


def torch_linear(inputs: list[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """The peer's."""
    return functional.dropout(torch.tanh(functional.linear(torch.cat(inputs, -1), weight, bias)), DROPOUT)


def step(run: Side, inputs: list[Tensor], weight: Tensor, bias: Tensor, gradient: Tensor) -> None:
    """One forward and backward pass."""
    for tensor in (*inputs, weight, bias):
        tensor.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=gradient.dtype == torch.bfloat16):
        y = run(inputs, weight, bias)
    y.backward(gradient)


def drop(run: Callable[[Tensor, float], Tensor], x: Tensor, gradient: Tensor) -> None:
    """The same of dropout alone."""
    x.grad = None
    run(x, DROPOUT).backward(gradient)


def measure(shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of a shape."""
    rows, width, outputs = shape
    dtype = DTYPES[arguments.dtype]
    torch.manual_seed(0)
    first = width * 2 // 3
    inputs = [torch.randn(rows, each).to(dtype).requires_grad_() for each in (first, width - first)]
    weight = torch.randn(outputs, width).mul_(width**-0.5).requires_grad_()
    given = inputs, weight, torch.zeros(outputs, requires_grad=True), torch.randn(rows, outputs).to(dtype)
    ours, theirs = interleaved([partial(step, run, *given) for run in (engine_linear, torch_linear)], arguments.repeats)
    x = torch.randn(rows, width).to(dtype).requires_grad_()
    works = [partial(drop, run, x, torch.ones_like(x)) for run in (rnn_engine.dropout, functional.dropout)]
    dropping, their_dropping = interleaved(works, arguments.repeats)
    return {
        "shape": shape,
        "engine_ms": statistics.median(ours) * 1e3,
        "torch_ms": statistics.median(theirs) * 1e3,
        **spread(theirs, ours),
        "gflops": 6e-9 * rows * width * outputs / statistics.median(ours),
        "best_gflops": 6e-9 * rows * width * outputs / min(ours),
        "dropout_ms": statistics.median(dropping) * 1e3,
        "torch_dropout_ms": statistics.median(their_dropping) * 1e3,
        **spread(their_dropping, dropping, "dropout_ratio"),
        "dropout_gbs": 4e-9 * rows * width * dtype.itemsize / statistics.median(dropping),
    }


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    return (
        f"{','.join(map(str, row['shape'])):>16} {row['engine_ms']:10.2f} {row['torch_ms']:9.2f} {spread_text(row)} "
        f"{row['gflops']:8.0f} {row['best_gflops']:6.0f} {row['dropout_ms']:11.2f} {row['torch_dropout_ms']:9.2f} "
        f"{spread_text(row, 'dropout_ratio')} {row['dropout_gbs']:6.1f}"
    )


def main() -> None:
    """Measures all shapes and prints the table."""
    options = parser(__doc__, threads=2, repeats=15)
    options.add_argument("--dtype", choices=DTYPES, default="float32")
    options.add_argument("--shapes", nargs="+", type=numbers, default=DEFAULT_SHAPES, metavar="M,I,O")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    isa, rows = native.context(arguments.threads).isa, []
    print(f"{isa}, {arguments.dtype}, {arguments.threads} threads, torch {torch.__version__}", file=sys.stderr)
    print(
        f"{'(M, I, O)':>16} {'engine ms':>10} {'torch ms':>9} {'ratio (min-max)':>20} {'GFLOP/s':>8} {'best':>6} "
        f"{'dropout ms':>11} {'torch ms':>9} {'ratio (min-max)':>20} {'GB/s':>6}"
    )
    for shape in arguments.shapes:
        rows.append(measure(shape, arguments))
        print(line_of(rows[-1]), flush=True)
    write_json(arguments.json, rows, threads=arguments.threads, dtype=arguments.dtype)


if __name__ == "__main__":
    main()
