"""Output layer and label-smoothed loss beside torch's: time and memory of forward + backward.

    python benchmarks/linear_cross_entropy.py [--dtype bfloat16] [--shapes M,E,V ...] [--threads 1] [--repeats 7]
        [--json FILE]

M tokens, E features, V classes. The peer is F.linear followed by F.cross_entropy. The two are measured in turn; a ratio
is the median over the repeats of peer time / engine time, with its smallest and largest value. GFLOP/s counts the three
matrix products alone: 6 M E V.

In bfloat16, hidden vectors are of that type, weight and bias are float32, and both sides run under torch.autocast; the
peer's logits are widened for its F.cross_entropy. The engine in float32 takes its turn, too: "over float32" is its time
over that in bfloat16.

Memory is what a fresh process grows by at its peak (VmHWM) during one forward + backward, less the gradients of the
hidden vectors, the weight and the bias; beside it stands what the engine's plan says. Linux only.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = ["4096,512,32000", "2000,512,8000", "700,256,6000"]
SMOOTHING = 0.1


def engine_loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The engine's loss, summed."""
    return rnn_engine.linear_cross_entropy(
        hidden, weight, targets, bias, label_smoothing=SMOOTHING, reduction="sum"
    ).loss


def torch_loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The peer's."""
    logits = functional.linear(hidden, weight, bias).float()
    return functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum")


SIDES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"engine": engine_loss, "torch": torch_loss}


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_inputs(shape: tuple[int, int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden vectors, weight and bias, which want gradients, and targets."""
    tokens, features, vocabulary = shape
    torch.manual_seed(0)
    hidden = torch.randn(tokens, features).to(dtype).requires_grad_()
    weight = torch.randn(vocabulary, features).mul_(features**-0.5).requires_grad_()
    return hidden, weight, torch.zeros(vocabulary, requires_grad=True), torch.randint(0, vocabulary, (tokens,))


def step(side: str, inputs: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """One forward and backward pass, in the type of the hidden vectors."""
    dtype = inputs[0].dtype
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = SIDES[side](*inputs)
    loss.backward()


def seconds(side: str, inputs: tuple[Tensor, Tensor, Tensor, Tensor]) -> float:
    """Time of one step."""
    start = time.perf_counter()
    step(side, inputs)
    elapsed = time.perf_counter() - start
    for tensor in inputs[:3]:
        tensor.grad = None
    return elapsed


def peak_bytes() -> int:
    """Most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def grown_bytes(side: str, shape: tuple[int, int, int], dtype: torch.dtype) -> int:
    """What this process, which must be fresh, grows by in one step, less the gradients."""
    step(side, make_inputs((8, 8, 8), dtype))  # what is only loaded or started once
    inputs = make_inputs(shape, dtype)
    before = peak_bytes()
    step(side, inputs)
    return peak_bytes() - before - sum(t.grad.nbytes for t in inputs if t.grad is not None)


def measure_memory(side: str, text: str, arguments: argparse.Namespace) -> int:
    """`grown_bytes` of a process of its own."""
    command = [sys.executable, __file__, "--shapes", text, "--memory-of", side]
    command += ["--threads", str(arguments.threads), "--dtype", arguments.dtype]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def parse(text: str) -> tuple[int, int, int]:
    """A shape from "M,E,V"."""
    tokens, features, vocabulary = (int(n) for n in text.split(","))
    return tokens, features, vocabulary


def measure_times(
    shape: tuple[int, int, int], dtype: torch.dtype, repeats: int
) -> tuple[list[float], list[float], list[float]]:
    """Seconds of the engine, of torch, and (unless that is it) of the engine in float32, by round."""
    inputs, single = make_inputs(shape, dtype), make_inputs(shape, torch.float32)
    ours: list[float] = []
    theirs: list[float] = []
    plain: list[float] = []
    for _ in range(repeats + 1):
        ours.append(seconds("engine", inputs))
        theirs.append(seconds("torch", inputs))
        if dtype != torch.float32:
            plain.append(seconds("engine", single))
    return ours[1:], theirs[1:], plain[1:]  # the first round only warms up


def spread(numerators: list[float], denominators: list[float]) -> tuple[float, float, float]:
    """The median of the ratios, the least and the largest."""
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def measure(text: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of a shape."""
    shape = tokens, features, vocabulary = parse(text)
    ours, theirs, plain = measure_times(shape, DTYPES[arguments.dtype], arguments.repeats)
    problem = native.LossProblem(
        dtype=native.DTYPES[arguments.dtype],
        gradients=7,
        tokens=tokens,
        features=features,
        vocabulary=vocabulary,
        ignore_index=-100,
        smoothing=SMOOTHING,
    )
    row: dict[str, Any] = {
        "shape": list(shape),
        "engine_ms": statistics.median(ours) * 1e3,
        "torch_ms": statistics.median(theirs) * 1e3,
        **dict(zip(("ratio", "ratio_min", "ratio_max"), spread(theirs, ours), strict=True)),
        "gflops": 6e-9 * tokens * features * vocabulary / statistics.median(ours),
        "engine_bytes": measure_memory("engine", text, arguments),
        "planned_bytes": native.context(arguments.threads).loss_workspace(problem),
        "torch_bytes": measure_memory("torch", text, arguments),
    }
    if plain:
        row["float32_ms"] = statistics.median(plain) * 1e3
        row |= zip(("over_float32", "over_float32_min", "over_float32_max"), spread(plain, ours), strict=True)
    return row


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    line = (
        f"{','.join(map(str, row['shape'])):>18} {row['engine_ms']:10.1f} {row['torch_ms']:9.1f} "
        f"{row['ratio']:7.2f} ({row['ratio_min']:.2f}-{row['ratio_max']:.2f}) {row['gflops']:8.0f} "
        f"{row['engine_bytes'] / 1e6:10.1f} {row['planned_bytes'] / 1e6:11.1f} {row['torch_bytes'] / 1e6:9.1f}"
    )
    if "over_float32" in row:
        line += f" {row['over_float32']:9.2f} ({row['over_float32_min']:.2f}-{row['over_float32_max']:.2f})"
    return line


def main() -> None:
    """Measures all shapes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--shapes", nargs="+", default=DEFAULT_SHAPES, metavar="M,E,V")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--memory-of", choices=SIDES, help="only print the bytes that one step takes, in this process")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(grown_bytes(arguments.memory_of, parse(arguments.shapes[0]), DTYPES[arguments.dtype]))
        return

    isa, rows = native.context(arguments.threads).isa, []
    print(f"{isa}, {arguments.dtype}, {arguments.threads} threads, torch {torch.__version__}", file=sys.stderr)
    print(
        f"{'(M, E, V)':>18} {'engine ms':>10} {'torch ms':>9} {'ratio (min-max)':>20} "
        f"{'GFLOP/s':>8} {'engine MB':>10} {'planned MB':>11} {'torch MB':>9}"
        + (f" {'over float32 (min-max)':>22}" if arguments.dtype != "float32" else "")
    )
    for text in arguments.shapes:
        rows.append(measure(text, arguments))
        print(line_of(rows[-1]), flush=True)
    if arguments.json:
        result = {
            "date": date.today().isoformat(),
            "machine": platform.processor() or platform.machine(),
            "isa": isa,
            "dtype": arguments.dtype,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
