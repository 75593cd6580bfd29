"""What the benchmarks share: their options, times and memory, and the facts that stand beside the figures."""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnn_engine import native

Work = Callable[[], Any]
Clock = Callable[[], float]


def parser(text: str | None, *, threads: int | list[int] = 2, repeats: int = 5) -> argparse.ArgumentParser:
    """The options that all have; `--threads` takes several numbers where the default is a list."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--threads", type=int, default=threads, nargs="+" if isinstance(threads, list) else None)
    found.add_argument("--repeats", type=int, default=repeats, help="interleaved rounds")
    found.add_argument("--json", type=Path, help="also write the figures here")
    return found


def numbers(text: str) -> tuple[int, ...]:
    """Sizes from "4,256,64,512"."""
    return tuple(int(number) for number in text.split(","))


def write_json(path: Path | None, rows: list[Any], **facts: Any) -> None:
    """Write the figures with date, machine and versions, a row a line; nothing where there is no path."""
    if path is None:
        return
    facts = {
        "date": date.today().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "isa": native.context(1).isa,
        "torch": torch.__version__,
        **facts,
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in facts.items()]
    table = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    path.write_text("\n".join(["{", *lines, ' "rows": [', table, " ]", "}"]) + "\n")


def seconds_of(work: Work, at_least: float = 0.0, clock: Clock = time.perf_counter) -> float:
    """Seconds of one call, after one that is not counted: the mean over enough calls to fill `at_least` seconds."""
    work()  # whoever ran before may have left caches and free memory of other sizes
    calls, start = 0, clock()
    while True:
        work()
        calls += 1
        elapsed = clock() - start
        if elapsed >= at_least:
            return elapsed / calls


def interleaved(
    works: Sequence[Work], rounds: int, at_least: float = 0.0, clock: Clock = time.perf_counter
) -> list[list[float]]:
    """Seconds of each work in each round; in a round they take turns, so that load falls on all of them alike."""
    times = [[seconds_of(work, at_least, clock) for work in works] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def spread(above: list[float], below: list[float], name: str = "ratio") -> dict[str, float]:
    """The median over the rounds of one side's time over another's, the least and the largest."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {name: statistics.median(ratios), f"{name}_min": min(ratios), f"{name}_max": max(ratios)}


def spread_text(row: dict[str, Any], name: str = "ratio") -> str:
    """The same as text."""
    return f"{row[name]:7.2f} ({row[f'{name}_min']:.2f}-{row[f'{name}_max']:.2f})"


def layer_call(module: nn.Module, x: Tensor, backward: bool) -> Work:
    """One forward pass, or one forward and backward pass with x's gradient, of a layer on x."""
    if not backward:

        def forward() -> None:
            with torch.inference_mode():
                module(x)

        return forward
    x = x.clone().requires_grad_()

    def output() -> Tensor:
        y = module(x)
        first: Tensor = y[0] if isinstance(y, tuple) else y
        return first

    with torch.no_grad():
        dy = torch.randn_like(output())

    def forward_backward() -> None:
        output().backward(dy)
        x.grad = None
        module.zero_grad(set_to_none=True)

    return forward_backward


def status_bytes(field: str) -> int:
    """A line of /proc/self/status: VmRSS, what this process holds; VmHWM, the most that it ever held. Linux only."""
    match = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return 1024 * int(match[1])


def in_fresh_process(script: str, *options: object) -> Any:
    """What a benchmark prints, as JSON, that runs with other options in a process of its own."""
    command = [sys.executable, script, *map(str, options)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
