"""Schedules of the engine, layer by layer and in a wavefront, beside what `auto` takes.

    python benchmarks/schedules.py [--threads 1 2] [--seconds 0.3] [--json FILE]

Every shape runs under all three in turn, for so many seconds in all, forward alone and with gradients, as LSTM layers
called from torch. A time is the median over the rounds; `auto / best` is the better of the two schedules' times over
that of `auto`: below 1, `auto` lost. `predicted` is what the plan says of the schedule that it took. Run it on an idle
machine: threads that wait for each other at every step feel any load.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

import torch
from measuring import interleaved, layer_call, parser, write_json
from rich.console import Console
from rich.table import Table

import rnn_engine
from rnn_engine import native
from rnn_engine.spec import SCHEDULES

SHAPES: Final = [
    (1, 64, 4, 256, 1), (1, 256, 1, 128, 2), (1, 64, 16, 512, 2), (2, 32, 1, 64, 1), (2, 64, 8, 128, 1),
    (2, 64, 1, 256, 2), (2, 64, 16, 128, 2), (2, 32, 64, 512, 1), (2, 16, 16, 1024, 1), (3, 64, 8, 96, 1),
    (3, 128, 2, 192, 1), (4, 64, 1, 64, 1), (4, 256, 1, 128, 1), (4, 64, 4, 64, 1), (4, 64, 32, 256, 1),
    (4, 32, 8, 512, 1), (6, 128, 4, 128, 1), (8, 128, 1, 64, 1), (8, 64, 16, 256, 1), (8, 256, 2, 96, 1),
]  # fmt: skip
"""L, T, B, H and directions D: L 1 to 8, T 16 to 256, B 1 to 64, H 64 to 1024; layers are as wide as their input."""


def main() -> None:
    """Measure, and print the table."""
    options = parser(__doc__, threads=[1, native.cpu_count()], repeats=9)
    options.add_argument("--seconds", type=float, default=0.3, help="for each shape, with and without gradients")
    arguments = options.parse_args()
    rows = [
        measure(shape, threads, training, arguments.repeats, arguments.seconds)
        for threads in arguments.threads
        for training in (False, True)
        for shape in SHAPES
    ]
    columns = ("threads", "gradients", "L, T, B, H, D", *(f"{name}, ms" for name in SCHEDULES))
    table = Table(*columns, "groups", "predicted, ms", "layers / wavefront", "auto / best")
    for row in rows:
        table.add_row(
            str(row["threads"]),
            "yes" if row["training"] else "no",
            ", ".join(map(str, row["shape"])),
            *(f"{1e3 * row['seconds'][name]:.2f}" for name in SCHEDULES),
            str(row["groups"]["auto"]),
            f"{1e3 * row['predicted']['auto']:.2f}",
            f"{row['seconds']['layers'] / row['seconds']['wavefront']:.2f}",
            f"{row['ratio']:.2f}",
        )
    console = Console(width=140)
    console.print(table)
    worst = min(rows, key=lambda row: row["ratio"])
    console.print(f"auto / best: least {worst['ratio']:.2f}, mean {statistics.mean(row['ratio'] for row in rows):.2f}")
    write_json(arguments.json, rows)


def measure(shape: tuple[int, ...], threads: int, training: bool, repeats: int, seconds: float) -> dict[str, Any]:
    """All schedules of one shape in turn."""
    layers, steps, batch, hidden, directions = shape
    torch.set_num_threads(threads)
    x, works, plans = torch.randn(steps, batch, hidden), [], {}
    for name in SCHEDULES:
        layer = rnn_engine.LSTM(hidden, hidden, layers, bidirectional=directions == 2, schedule=name)
        works.append(layer_call(layer, x, training))
        plans[name] = rnn_engine.plan(
            layer, steps=steps, batch=batch, schedule=name, training=training, threads=threads
        )
    times = interleaved(works, repeats, seconds / repeats / len(works))
    medians = dict(zip(SCHEDULES, map(statistics.median, times), strict=True))
    return {
        "threads": threads,
        "training": training,
        "shape": shape,
        "seconds": medians,
        "ratio": min(medians["layers"], medians["wavefront"]) / medians["auto"],
        "groups": {name: plan.groups for name, plan in plans.items()},
        "predicted": {name: plan.seconds for name, plan in plans.items()},
    }


if __name__ == "__main__":
    main()
