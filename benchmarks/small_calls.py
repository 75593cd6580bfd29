"""Calls that are done sooner than they are made: one step of one sequence, beside torch.nn.LSTM.

    python benchmarks/small_calls.py [--threads 1 2] [--hidden 16 64 256] [--json FILE]

`forward` records what a backward pass needs, `inference` does not, `both` is forward and backward with the weights'
gradients, and `step` is a call of `layer.stepper()` with the last state. Ratios are ours over torch's time for the
same, in the same round: the median, the least and the largest; that of the step is over torch's forward pass. Run it on
an idle machine.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from measuring import Work, interleaved, parser, spread, spread_text, write_json
from torch import nn

import rnn_engine
from rnn_engine import native


def main() -> None:
    """Measure, and print the table."""
    options = parser(__doc__, threads=[1, native.cpu_count()], repeats=15)
    options.add_argument("--hidden", type=int, nargs="+", default=[16, 64, 128, 256])
    arguments = options.parse_args()
    rows = [measure(hidden, threads, arguments.repeats) for threads in arguments.threads for hidden in arguments.hidden]
    names = ("forward", "inference", "both", "step")
    names = ("forward", "inference", "both", "step")
    print("threads    H   torch's forward and both, us" + "".join(f"{name:>20}" for name in names))
    for row in rows:
        times = f"{row['torch_forward_us']:16.0f} {row['torch_both_us']:13.0f}"
        print(f"{row['threads']:7} {row['hidden']:4} {times}" + "".join(spread_text(row, name) for name in names))
    write_json(arguments.json, rows)


def measure(hidden: int, threads: int, rounds: int) -> dict[str, Any]:
    """All works of one width in turn."""
    torch.set_num_threads(threads)
    x = torch.randn(1, 1, hidden)
    ours, theirs = rnn_engine.LSTM(hidden, hidden), nn.LSTM(hidden, hidden)
    stepper = ours.stepper()
    y, state = stepper(x[0])
    works = [_forward(ours, x), _forward(theirs, x), _inference(ours, x), _inference(theirs, x), _both(ours, x)]
    works += [_both(theirs, x), lambda: stepper(y, state)]
    forward, torch_forward, inference, torch_inference, both, torch_both, step = interleaved(works, rounds, 0.02)
    return {
        "threads": threads,
        "hidden": hidden,
        "torch_forward_us": 1e6 * statistics.median(torch_forward),
        "torch_both_us": 1e6 * statistics.median(torch_both),
        **spread(forward, torch_forward, "forward"),
        **spread(inference, torch_inference, "inference"),
        **spread(both, torch_both, "both"),
        **spread(step, torch_forward, "step"),
    }


def _forward(layer: nn.Module, x: torch.Tensor) -> Work:
    return lambda: layer(x)


def _inference(layer: nn.Module, x: torch.Tensor) -> Work:
    def run() -> None:
        with torch.no_grad():
            layer(x)

    return run


def _both(layer: nn.Module, x: torch.Tensor) -> Work:
    def run() -> None:
        layer(x)[0].sum().backward()
        layer.zero_grad()

    return run


if __name__ == "__main__":
    main()
