"""How `benchmarks/training_beside.py` talks to a trainer: lines of JSON, between processes with their own environments.

A trainer's script ends with `serve(path, step)`, step(pairs) being one step of training. Each line of its input is a
number of steps, which it answers with their seconds, CPU seconds and the most memory held so far. Nothing but NumPy is
needed here.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """A batch: time-major ids, pad = 0, of which the longest source comes first."""

    source: Integers
    """[S, B], with eos."""
    source_lengths: Integers
    """[B], eos included."""
    target: Integers
    """[T + 1, B], with bos and eos."""
    target_lengths: Integers
    """[B], with one of bos and eos."""


def options() -> argparse.Namespace:
    """Read the command line that all trainers have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batches", help="NumPy file with source_N, source_lengths_N, target_N and target_lengths_N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--config", help="settings of ours, as TOML")
    parser.add_argument("--set", action="append", default=[], help="change one of them")
    return parser.parse_args()


def read(path: str) -> list[Pairs]:
    """Read the batches."""
    with np.load(path) as arrays:
        names = list(Pairs.__dataclass_fields__)
        count = len(arrays.files) // len(names)
        return [Pairs(*(arrays[f"{name}_{number}"] for name in names)) for number in range(count)]


def serve(path: str, step: Callable[[Pairs], object]) -> None:
    """Answer requests until the input ends."""
    batches, done = read(path), 0
    for line in sys.stdin:
        started, before = time.perf_counter(), time.process_time()
        for number in range(done, done + int(line)):
            step(batches[number % len(batches)])
        done += int(line)
        used = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - before}
        used["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(used), flush=True)
