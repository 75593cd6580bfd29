"""Output layer and label-smoothed loss beside torch's: time and memory of forward + backward, float32.

    python benchmarks/linear_cross_entropy.py [--shapes M,E,V ...] [--threads 1] [--repeats 7] [--json FILE]

M tokens, E features, V classes. The peer is F.linear followed by F.cross_entropy. The two are measured in turn; a ratio
is the median over the repeats of peer time / engine time, with its smallest and largest value. GFLOP/s counts the three
matrix products alone: 6 M E V.

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
    logits = functional.linear(hidden, weight, bias)
    return functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING, reduction="sum")


SIDES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"engine": engine_loss, "torch": torch_loss}


def make_inputs(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden vectors, weight and bias, which want gradients, and targets."""
    tokens, features, vocabulary = shape
    torch.manual_seed(0)
    hidden = torch.randn(tokens, features).requires_grad_()
    weight = torch.randn(vocabulary, features).mul_(features**-0.5).requires_grad_()
    return hidden, weight, torch.zeros(vocabulary, requires_grad=True), torch.randint(0, vocabulary, (tokens,))


def step(side: str, inputs: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """One forward and backward pass."""
    SIDES[side](*inputs).backward()


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


def grown_bytes(side: str, shape: tuple[int, int, int]) -> int:
    """What this process, which must be fresh, grows by in one step, less the gradients."""
    step(side, make_inputs((8, 8, 8)))  # what is only loaded or started once
    inputs = make_inputs(shape)
    before = peak_bytes()
    step(side, inputs)
    return peak_bytes() - before - sum(t.grad.nbytes for t in inputs if t.grad is not None)


def measure_memory(side: str, text: str, threads: int) -> int:
    """`grown_bytes` of a process of its own."""
    command = [sys.executable, __file__, "--shapes", text, "--threads", str(threads), "--memory-of", side]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def parse(text: str) -> tuple[int, int, int]:
    """A shape from "M,E,V"."""
    tokens, features, vocabulary = (int(n) for n in text.split(","))
    return tokens, features, vocabulary


def main() -> None:
    """Measures all shapes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=DEFAULT_SHAPES, metavar="M,E,V")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7, help="interleaved rounds")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--memory-of", choices=SIDES, help="only print the bytes that one step takes, in this process")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(grown_bytes(arguments.memory_of, parse(arguments.shapes[0])))
        return

    context, rows = native.context(arguments.threads), []
    print(f"{context.isa}, {arguments.threads} threads, torch {torch.__version__}", file=sys.stderr)
    print(
        f"{'(M, E, V)':>18} {'engine ms':>10} {'torch ms':>9} {'ratio (min-max)':>20} "
        f"{'GFLOP/s':>8} {'engine MB':>10} {'planned MB':>11} {'torch MB':>9}"
    )
    for text in arguments.shapes:
        shape = tokens, features, vocabulary = parse(text)
        inputs = make_inputs(shape)
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for repeat in range(arguments.repeats + 1):
            for side, taken in times.items():
                elapsed = seconds(side, inputs)
                if repeat > 0:  # the first round only warms up
                    taken.append(elapsed)
        ratios = [theirs / ours for ours, theirs in zip(times["engine"], times["torch"], strict=True)]
        ours, theirs = (statistics.median(taken) for taken in times.values())
        problem = native.LossProblem(
            dtype=native.DTYPES["float32"],
            gradients=7,
            tokens=tokens,
            features=features,
            vocabulary=vocabulary,
            ignore_index=-100,
            smoothing=SMOOTHING,
        )
        row = {
            "shape": list(shape),
            "engine_ms": ours * 1e3,
            "torch_ms": theirs * 1e3,
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "gflops": 6e-9 * tokens * features * vocabulary / ours,
            "engine_bytes": measure_memory("engine", text, arguments.threads),
            "planned_bytes": context.loss_scratch(problem),
            "torch_bytes": measure_memory("torch", text, arguments.threads),
        }
        rows.append(row)
        print(
            f"{text:>18} {row['engine_ms']:10.1f} {row['torch_ms']:9.1f} "
            f"{row['ratio']:7.2f} ({row['ratio_min']:.2f}-{row['ratio_max']:.2f}) {row['gflops']:8.0f} "
            f"{row['engine_bytes'] / 1e6:10.1f} {row['planned_bytes'] / 1e6:11.1f} {row['torch_bytes'] / 1e6:9.1f}",
            flush=True,
        )
    if arguments.json:
        result = {
            "date": date.today().isoformat(),
            "machine": platform.processor() or platform.machine(),
            "isa": context.isa,
            "threads": arguments.threads,
            "torch": torch.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
