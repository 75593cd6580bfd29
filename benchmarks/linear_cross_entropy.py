"""Output layer and label-smoothed loss beside torch's: time and memory of forward + backward.

    python benchmarks/linear_cross_entropy.py [--dtype bfloat16] [--shapes M,E,V ...] [--threads 1] [--repeats 7]
        [--json FILE]

M tokens, E features, V classes. The peer is F.linear followed by F.cross_entropy. The two are measured in turn; a ratio
is the median over the repeats of peer time / engine time, with its smallest and largest value. GFLOP/s counts the three
matrix products alone: 6 M E V.

In bfloat16, hidden vectors are of that type, weight and bias are float32, and both sides run under torch.autocast; the
peer's logits are widened for its F.cross_entropy. The engine in float32 takes its turn, too: "over float32" is its time
over that in bfloat16.

Where M is even, tokens come in pairs of one target, and "with divergence" is the engine's time with how far the two
passes of each pair lie apart in its loss, over that without.

Memory is what a fresh process grows by at its peak (VmHWM) during one forward + backward, less the gradients of the
hidden vectors, the weight and the bias; beside it stands what the engine's plan says. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measuring import (
    in_fresh_process,
    interleaved,
    numbers,
    parser,
    spread,
    spread_text,
    status_bytes,
    write_json,
)
from torch import Tensor
from torch.nn import functional

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = [(4096, 512, 32000), (2000, 512, 8000), (700, 256, 6000)]
SMOOTHING, DIVERGENCE = 0.1, 2.5
RATIOS = {"float32": "over_float32", "divergence": "with_divergence"}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def engine_loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, divergence: float = 0.0) -> Tensor:
    """The engine's loss, summed."""
    return rnn_engine.linear_cross_entropy(
        hidden, weight, targets, bias, label_smoothing=SMOOTHING, reduction="sum", divergence=divergence
    ).loss


def torch_loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The peer's."""
    logits = functional.linear(hidden, weight, bias).float()
    return functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum")


SIDES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"engine": engine_loss, "torch": torch_loss}
CALLS = SIDES | {"pairs": partial(engine_loss, divergence=DIVERGENCE)}


def make_inputs(shape: tuple[int, ...], dtype: torch.dtype) -> Inputs:
    """Hidden vectors, weight and bias, which want gradients, and targets."""
    tokens, features, vocabulary = shape
    torch.manual_seed(0)
    hidden = torch.randn(tokens, features).to(dtype).requires_grad_()
    weight = torch.randn(vocabulary, features).mul_(features**-0.5).requires_grad_()
    targets = torch.randint(0, vocabulary, (tokens,))
    targets[1::2] = targets[: tokens // 2 * 2 : 2]
    return hidden, weight, torch.zeros(vocabulary, requires_grad=True), targets


def step(side: str, inputs: Inputs) -> None:
    """One forward and backward pass, in the type of the hidden vectors."""
    for tensor in inputs[:3]:
        tensor.grad = None
    dtype = inputs[0].dtype
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = CALLS[side](*inputs)
    loss.backward()


def grown_bytes(side: str, shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """What this process, which must be fresh, grows by in one step, less the gradients."""
    step(side, make_inputs((8, 8, 8), dtype))  # what is only loaded or started once
    inputs = make_inputs(shape, dtype)
    before = status_bytes("VmHWM")
    step(side, inputs)
    return status_bytes("VmHWM") - before - sum(t.grad.nbytes for t in inputs if t.grad is not None)


def measure(shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of a shape."""
    tokens, features, vocabulary = shape
    dtype = DTYPES[arguments.dtype]
    inputs = make_inputs(shape, dtype)
    works = [partial(step, side, inputs) for side in SIDES]
    others: dict[str, Callable[[], None]] = {}
    if dtype != torch.float32:
        others["float32"] = partial(step, "engine", make_inputs(shape, torch.float32))
    if tokens % 2 == 0:
        others["divergence"] = partial(step, "pairs", inputs)
    ours, theirs, *rest = interleaved([*works, *others.values()], arguments.repeats)
    problem = native.LossProblem(
        dtype=native.DTYPES[arguments.dtype],
        gradients=7,
        tokens=tokens,
        features=features,
        vocabulary=vocabulary,
        ignore_index=-100,
        smoothing=SMOOTHING,
    )
    same = ["--shapes", ",".join(map(str, shape)), "--threads", arguments.threads, "--dtype", arguments.dtype]
    row: dict[str, Any] = {
        "shape": shape,
        "engine_ms": statistics.median(ours) * 1e3,
        "torch_ms": statistics.median(theirs) * 1e3,
        **spread(theirs, ours),
        "gflops": 6e-9 * tokens * features * vocabulary / statistics.median(ours),
        "planned_bytes": native.context(arguments.threads).loss_workspace(problem),
        **{f"{side}_bytes": in_fresh_process(__file__, *same, "--memory-of", side) for side in SIDES},
    }
    for name, times in zip(others, rest, strict=True):
        row |= {f"{name}_ms": statistics.median(times) * 1e3, **spread(times, ours, RATIOS[name])}
    return row


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    line = (
        f"{','.join(map(str, row['shape'])):>18} {row['engine_ms']:10.1f} {row['torch_ms']:9.1f} "
        f"{spread_text(row)} {row['gflops']:8.0f} "
        f"{row['engine_bytes'] / 1e6:10.1f} {row['planned_bytes'] / 1e6:11.1f} {row['torch_bytes'] / 1e6:9.1f}"
    )
    return line + "".join(f" {spread_text(row, name)}" for name in RATIOS.values() if name in row)


def main() -> None:
    """Measures all shapes and prints the table."""
    options = parser(__doc__, threads=1, repeats=7)
    options.add_argument("--dtype", choices=DTYPES, default="float32")
    options.add_argument("--shapes", nargs="+", type=numbers, default=DEFAULT_SHAPES, metavar="M,E,V")
    options.add_argument("--memory-of", choices=SIDES, help="only print the bytes that one step takes, in this process")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(grown_bytes(arguments.memory_of, arguments.shapes[0], DTYPES[arguments.dtype]))
        return

    isa, rows = native.context(arguments.threads).isa, []
    print(f"{isa}, {arguments.dtype}, {arguments.threads} threads, torch {torch.__version__}", file=sys.stderr)
    print(
        f"{'(M, E, V)':>18} {'engine ms':>10} {'torch ms':>9} {'ratio (min-max)':>20} "
        f"{'GFLOP/s':>8} {'engine MB':>10} {'planned MB':>11} {'torch MB':>9}"
        + (f" {'over float32 (min-max)':>22}" if arguments.dtype != "float32" else "")
        + f" {'with divergence (min-max)':>25}"
    )
    for shape in arguments.shapes:
        rows.append(measure(shape, arguments))
        print(line_of(rows[-1]), flush=True)
    write_json(arguments.json, rows, threads=arguments.threads, dtype=arguments.dtype)


if __name__ == "__main__":
    main()
