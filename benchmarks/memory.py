"""Memory and time of one training step of an LSTM or MI-LSTM: torch, each policy, and budgets from the least to store.

    python benchmarks/memory.py [--shape L,T,B,H] [--cell lstm] [--budgets 10] [--threads 2] [--repeats 3] [--json FILE]

Every row is a fresh process: it makes the layer, x and dy, runs a call of one step to load the code, and resets the
peak of its resident memory; then comes the first step (forward and backward, with x's gradient). `peak` is how far the
process rose over its state before that step. `predicted` is the plan's reserve and workspace, and the outputs and
gradients that the step leaves behind. `ms` is the least of some further steps; `digest` is of outputs and gradients.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import in_fresh_process, numbers, parser, status_bytes, write_json
from torch import Tensor, nn

import rnn_engine

CELLS = {"lstm": rnn_engine.LSTM, "mi_lstm": rnn_engine.MILSTM}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One row, in this process."""
    layers, steps, batch, hidden = arguments.shape
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.row == "torch":
        layer: Any = nn.LSTM(hidden, hidden, layers)
    else:
        memory: str | int = int(arguments.row) if arguments.row.isdigit() else arguments.row
        layer = CELLS[arguments.cell](hidden, hidden, layers, memory=memory)
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    dy = torch.randn(steps, batch, hidden)

    def step(x: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
        y, (hn, cn) = layer(x)
        y.backward(dy)
        return y, hn, cn

    warm = torch.zeros(1, 1, hidden, requires_grad=True)
    if arguments.row.isdigit():
        layer(warm, memory="store")[0].backward(torch.zeros(1, 1, hidden))
    else:
        step(warm, torch.zeros(1, 1, hidden))
    layer.zero_grad()
    plan = None
    if arguments.row != "torch":
        rnn_engine.memory.pool.clear()
        plan = rnn_engine.plan(layer, steps=steps, batch=batch, memory=layer.memory, threads=arguments.threads)
    ctypes.CDLL(None).malloc_trim(0)  # what the warm-up freed must not serve the step unseen
    before = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    outputs = step(x, dy)
    peak = status_bytes("VmHWM") - before
    assert x.grad is not None
    gradients = [x.grad, *(p.grad for p in layer.parameters())]
    digest = hashlib.sha256()
    for tensor in (*outputs, *gradients):
        digest.update(np.ascontiguousarray(tensor.detach().numpy()).data)
    result: dict[str, Any] = {"row": arguments.row, "peak": peak, "digest": digest.hexdigest()[:12]}
    if plan is not None:
        predicted = plan.peak_bytes + sum(tensor.nbytes for tensor in (*outputs, *gradients))
        result |= {
            "reserve": plan.reserve_bytes,
            "workspace": plan.workspace_bytes,
            "predicted": predicted,
            "policies": list(plan.policies),
            "steps": plan.steps,
            "predicted_ms": 1e3 * plan.seconds,
        }
    times = []
    for _ in range(arguments.repeats):
        layer.zero_grad()
        x.grad = None
        started = time.perf_counter()
        step(x, dy)
        times.append(time.perf_counter() - started)
    return result | {"ms": 1e3 * min(times)}


def kept_by_torch(shape: Sequence[int]) -> int:
    """Bytes that torch.nn.LSTM's graph saves beyond parameters, inputs and outputs."""
    layers, steps, batch, hidden = shape
    layer = nn.LSTM(hidden, hidden, layers)
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = layer(x)
    own = [x, outputs[0], *outputs[1], *layer.parameters()]
    for tensor in own:
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(saved.values())


def run_row(arguments: argparse.Namespace, row: str) -> dict[str, Any]:
    """One row, in a fresh process."""
    options = ["--row", row, "--shape", ",".join(map(str, arguments.shape)), "--cell", arguments.cell]
    options += ["--threads", arguments.threads, "--repeats", arguments.repeats]
    result: dict[str, Any] = in_fresh_process(__file__, *options)
    return result


def least_budget(arguments: argparse.Namespace) -> int:
    """The fewest bytes that would do, from the planner's message."""
    layers, steps, batch, hidden = arguments.shape
    layer = CELLS[arguments.cell](hidden, hidden, layers)
    try:
        rnn_engine.plan(layer, steps=steps, batch=batch, memory=1, threads=arguments.threads)
    except ValueError as error:
        match = re.search(r"at least (\d+) bytes", str(error))
        assert match is not None
        return int(match[1])
    return 1


def main() -> None:
    """Prints the table."""
    options = parser(__doc__, repeats=3)
    options.add_argument("--shape", type=numbers, default=(4, 256, 64, 512), metavar="L,T,B,H")
    options.add_argument("--cell", choices=CELLS, default="lstm")
    options.add_argument("--budgets", type=int, default=10)
    options.add_argument("--row", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.row:
        print(json.dumps(measure(arguments)))
        return
    least = least_budget(arguments)
    rows = [run_row(arguments, name) for name in ("torch", "store", "recompute", "checkpoint")]
    most = rows[1]["reserve"] + rows[1]["workspace"]
    for i in range(arguments.budgets):
        rows.append(run_row(arguments, str(least + (most - least) * i // max(1, arguments.budgets - 1))))
    torch_kept = kept_by_torch(arguments.shape)
    print(f"(L, T, B, H) = {arguments.shape}, {arguments.cell}, {arguments.threads} threads; MiB", end="")
    print(f"; torch.nn.LSTM keeps {torch_kept / 2**20:.1f} MiB")
    print(
        f"{'row':>12} {'reserve':>7} {'workspace':>9} {'peak':>8} {'predicted':>9} {'error':>6} {'ms':>8}  digest, "
        "policies"
    )
    for row in rows:
        name = f"{int(row['row']) / 2**20:.1f} MiB" if row["row"].isdigit() else row["row"]
        line = f"{name:>12} "
        if "reserve" in row:
            row["error"] = row["predicted"] / row["peak"] - 1
            line += f"{row['reserve'] / 2**20:7.1f} {row['workspace'] / 2**20:9.1f} {row['peak'] / 2**20:8.1f} "
            line += f"{row['predicted'] / 2**20:9.1f} {row['error']:+6.1%} {row['ms']:8.1f}  {row['digest']} "
            line += f"{'+'.join(row['policies'])} K={row['steps']}"
        else:
            line += f"{'':16} {row['peak'] / 2**20:8.1f} {'':16} {row['ms']:8.1f}"
        print(line)
    facts = {"threads": arguments.threads, "shape": arguments.shape, "cell": arguments.cell}
    write_json(arguments.json, rows, **facts, torch_kept=torch_kept)


if __name__ == "__main__":
    main()
