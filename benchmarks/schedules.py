"""Schedules of the engine, layer by layer and in a wavefront, beside what `auto` takes.

    python benchmarks/schedules.py [--threads 1 2] [--seconds 0.3] [--json FILE]

Every shape runs under all three in turn, again and again for so many seconds, forward alone and with gradients. A time
is the median; `auto / best` is the median of the better of the two schedules over that of `auto`: below 1, `auto` lost.
`predicted` is what the plan says of the schedule that it took. Run it on an idle machine: threads that wait for each
other at every step feel any load.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rnn_engine import native
from rnn_engine.spec import SCHEDULES, StackSpec


class Shape(NamedTuple):
    """A stack whose layers are as wide as their input, and its batch."""

    layers: int
    steps: int
    batch: int
    hidden: int
    directions: int = 1


SHAPES: Final = (
    Shape(1, 64, 4, 256),
    Shape(1, 256, 1, 128, 2),
    Shape(1, 64, 16, 512, 2),
    Shape(2, 32, 1, 64),
    Shape(2, 64, 8, 128),
    Shape(2, 64, 1, 256, 2),
    Shape(2, 64, 16, 128, 2),
    Shape(2, 32, 64, 512),
    Shape(2, 16, 16, 1024),
    Shape(3, 64, 8, 96),
    Shape(3, 128, 2, 192),
    Shape(4, 64, 1, 64),
    Shape(4, 256, 1, 128),
    Shape(4, 64, 4, 64),
    Shape(4, 64, 32, 256),
    Shape(4, 32, 8, 512),
    Shape(6, 128, 4, 128),
    Shape(8, 128, 1, 64),
    Shape(8, 64, 16, 256),
    Shape(8, 256, 2, 96),
)
"""L 1 to 8, T 16 to 256, B 1 to 64, H 64 to 1024."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, native.cpu_count()])
    parser.add_argument("--seconds", type=float, default=0.3, help="for each shape, with and without gradients")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [
        measure(shape, threads, training, arguments.seconds)
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
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def measure(shape: Shape, threads: int, training: bool, seconds: float) -> dict[str, Any]:
    """All schedules of one problem in turn."""
    context = native.context(threads)
    context.calibrate()
    arrays = Arrays(shape, training)
    plans = {name: arrays.plan(context, name) for name in SCHEDULES}
    times: dict[str, list[float]] = {name: [] for name in SCHEDULES}
    runs = {name: arrays.runner(plan) for name, plan in plans.items()}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["auto"]) < 5:
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return {
        "threads": threads,
        "training": training,
        "shape": shape,
        "seconds": medians,
        "ratio": min(medians["layers"], medians["wavefront"]) / medians["auto"],
        "groups": {name: plan.groups for name, plan in plans.items()},
        "predicted": {name: plan.seconds for name, plan in plans.items()},
    }


class Arrays:
    """Everything that calls of one shape read and write."""

    def __init__(self, shape: Shape, training: bool) -> None:
        self.shape, self.training = shape, training
        self.spec = StackSpec("lstm", shape.hidden, shape.hidden, shape.layers, bidirectional=shape.directions == 2)
        self._random = np.random.default_rng(0)
        lanes = [self.spec.pseudo_layer_parameters(lane).values() for lane in range(self.spec.lanes)]
        self.weights = [[None if size is None else self._values(*size) for size in lane] for lane in lanes]
        self.gradients = [[None if p is None else np.zeros_like(p) for p in lane] for lane in self.weights]
        rows, states = shape.steps * shape.batch, self.spec.lanes * shape.batch * shape.hidden
        self.x, self.dx = self._values(rows, shape.hidden), self._values(rows, shape.hidden)
        self.y, self.dy = (self._values(rows, self.spec.output_size) for _ in range(2))
        self.states = [self._values(states) for _ in range(4)]

    def _values(self, *size: int) -> NDArray[np.float32]:
        return (0.1 * self._random.standard_normal(size)).astype(np.float32)

    def plan(self, context: native.Context, schedule: str) -> native.Plan:
        """A plan of one call."""
        problem = native.make_problem(
            self.spec,
            "float32",
            steps=self.shape.steps,
            batch=self.shape.batch,
            training=self.training,
            input_gradient=self.training,
            schedule=schedule,
        )
        return native.Plan(context, problem)

    def runner(self, plan: native.Plan) -> Callable[[], None]:
        """Runs the plan, forward and, in training, backward, with memory of its own."""
        reserve, workspace = (aligned(size) for size in (plan.reserve_bytes, plan.workspace_bytes))
        hn, cn, dh0, dc0 = self.states

        def run() -> None:
            plan.forward(self.weights, None, self.x, None, None, self.y, None, hn, cn, reserve, workspace)
            if self.training:
                given = (self.x, None, None, self.y, self.dy, None, None, None)
                plan.backward(
                    self.weights, self.gradients, *given, self.dx, dh0, dc0, reserve, workspace, overwrite=True
                )

        return run


def aligned(size: int) -> NDArray[np.uint8]:
    """Bytes whose address is a multiple of 64."""
    whole = np.zeros(size + 64, np.uint8)
    start = -whole.ctypes.data % 64
    return whole[start : start + size]


if __name__ == "__main__":
    main()
