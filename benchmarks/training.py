"""Where a training step spends its time: real steps of a real model, under torch's profiler.

    python benchmarks/training.py CONFIG [--set section.key=value ...] [--steps 30] [--layers torch] [--json FILE]

The data are those of the config, prepared if they are not yet. Every operation's own time goes to the part of the step
that called it; an operation of the backward pass goes to the part whose forward operation it differentiates. Speed is
measured before, without the profiler. `--layers torch` puts torch.nn.LSTM in the engine's place, for comparison.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from measuring import write_json
from rich.console import Console
from rich.table import Table
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # torch does not say that it is for others
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from torch_layers import ResidualLSTM

from nmt.config_file import load_config
from nmt.data.batching import TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.model import recurrent
from nmt.model.device import use_threads
from nmt.training.trainer import Trainer, build_model

MARK = "part: "
BACKWARD = "autograd::engine::evaluate_function"
RECURRENT, ATTENTION, OUTPUT = "recurrent layers", "attention", "output layer + loss"
CALLS = {"_LinearCrossEntropy": OUTPUT, "_Linear": "attentional vector", "_Dropout": "dropout"}
"""Calls of the engine that stand in no mark, by the first letters of their nodes, the longest first."""
PARTS = (RECURRENT, ATTENTION, "attentional vector", "dropout", "embedding", OUTPUT, "optimiser", "data")
REST = "rest"
WARMUP = 3


def main() -> None:
    """Measure, profile, print."""
    arguments = parse()
    if arguments.layers == "torch":
        recurrent.CELLS["lstm"] = ResidualLSTM
    trainer = make_trainer(arguments)
    source = trainer.data.batches(0)
    for _ in range(WARMUP):
        trainer.step(next(source))
    started = time.perf_counter()
    tokens = sum(trainer.step(next(source)).tokens for _ in range(arguments.steps))
    seconds = time.perf_counter() - started

    mark_parts(trainer)
    source = trainer.data.batches(0, start=WARMUP)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        started = time.perf_counter()
        for _ in range(arguments.steps):
            with record_function(MARK + "data"):
                batch = next(source)
            trainer.step(batch)
        profiled = time.perf_counter() - started
    events = [event for event in profiler.events() or [] if event.device_type == DeviceType.CPU]
    result = {
        "layers": arguments.layers,
        "cell": trainer.config.model.cell,
        "threads": torch.get_num_threads(),
        "steps": arguments.steps,
        "milliseconds_per_step": 1e3 * seconds / arguments.steps,
        "target_tokens_per_second": tokens / seconds,
        "profiled_milliseconds_per_step": 1e3 * profiled / arguments.steps,
        "share": shares(events, 1e6 * profiled),
    }
    show(result)
    write_json(arguments.json, [result])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Where a training step spends its time.")
    parser.add_argument("config", type=Path, help="TOML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--steps", type=int, default=30, help="steps to measure (default 30)")
    parser.add_argument("--layers", choices=("engine", "torch"), default="engine", help="whose recurrent layers")
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    return parser.parse_args()


def make_trainer(arguments: argparse.Namespace) -> Trainer:
    """Set up training as `nmt train` does, without starting it."""
    config = load_config(arguments.config, arguments.set)
    prepare(config)
    data = PreparedData.open(config)
    use_threads(config.training.threads)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = TrainingBatches(data.train, config.training.batch_tokens, config.training.seed)
    available = batches.number_of_batches(0)
    if available < WARMUP + arguments.steps:
        raise SystemExit(f"--steps: expected at most {available - WARMUP} (one epoch), got {arguments.steps}")
    return Trainer(config, model, batches, validation_batches(data.valid, config.training.batch_tokens), None, {})


def mark_parts(trainer: Trainer) -> None:
    """Wrap the parts of a step so that the profiler's events lie inside a mark."""
    model = trainer.model
    parts: list[tuple[Any, str, str]] = [
        (model.encoder.layers, "forward", RECURRENT),
        *((stack, "forward", RECURRENT) for stack in model.decoder.layers),
        (model.decoder.attention, "look", ATTENTION),
        (model.decoder.attention, "memory", ATTENTION),
        *((table, "forward", "embedding") for table in {model.source_embedding, model.target_embedding}),
        (trainer.optimizer, "step", "optimiser"),
        (trainer.optimizer, "zero_grad", "optimiser"),
        (trainer.clipper, "clip", "optimiser"),
        (trainer.average, "update", "optimiser"),
    ]
    for owner, name, part in parts:
        setattr(owner, name, marked(getattr(owner, name), part))


def marked(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """Let a function run inside a mark."""

    @wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        with record_function(MARK + part):
            return function(*arguments, **named)

    return run


def shares(events: Iterable[FunctionEvent], wall_microseconds: float) -> dict[str, float]:
    """Add up every event's own time by part and direction, as shares of the wall time.

    The profiler sees operations; Python between them, and whatever lies outside the marks, is the rest.
    """
    events = [event for event in events if not event.is_user_annotation or event.name.startswith(MARK)]
    forward_part: dict[int, str] = {}
    for event in events:
        if event.sequence_nr >= 0 and backward_root(event) is None:
            forward_part.setdefault(event.sequence_nr, part_above(event))
    totals: dict[str, float] = defaultdict(float)
    for event in events:
        root = backward_root(event)
        if root is None:
            part, direction = part_above(event), "forward"
        else:
            part, direction = forward_part.get(root.sequence_nr, REST), "backward"
        split = part not in (OUTPUT, "optimiser", "data", REST)  # the loss differentiates itself in its forward pass
        totals[f"{part}, {direction}" if split else part] += event.self_cpu_time_total / wall_microseconds
    totals[REST] = 1.0 - sum(share for part, share in totals.items() if part != REST)
    order = {part: index for index, part in enumerate(PARTS)}
    return dict(sorted(totals.items(), key=lambda item: order.get(item[0].split(", ")[0], len(order))))


def around(event: FunctionEvent) -> Iterator[FunctionEvent]:
    """An event and those that it lies in, from the inside out."""
    above: FunctionEvent | None = event
    while above is not None:
        yield above
        above = above.cpu_parent


def part_above(event: FunctionEvent) -> str:
    """Find the innermost mark around an event."""
    names = [above.name for above in around(event)]
    marks = [name.removeprefix(MARK) for name in names if name.startswith(MARK)]
    if marks:
        return marks[0]
    return next((part for name in names for start, part in CALLS.items() if name.startswith(start)), REST)


def backward_root(event: FunctionEvent) -> FunctionEvent | None:
    """Find the node of the backward pass that an event belongs to."""
    return next((above for above in around(event) if above.name.startswith(BACKWARD)), None)


def show(result: dict[str, Any]) -> None:
    """Print the numbers as a table."""
    title = (
        f"{result['cell']}, {result['layers']} layers, {result['threads']} thread(s): "
        f"{result['milliseconds_per_step']:.0f} ms per step, {result['target_tokens_per_second']:,.0f} target tokens/s"
    )
    table = Table("part of the step", title=title)
    table.add_column("share", justify="right")
    table.add_column("ms", justify="right")
    for part, share in result["share"].items():
        table.add_row(part, f"{100 * share:.1f} %", f"{share * result['profiled_milliseconds_per_step']:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
