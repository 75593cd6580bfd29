"""The measuring half of `nmt plan`: a process of its own, so that its memory is that of a fresh `nmt train`.

    python -m nmt.commands.plan_trial CONFIG PROCESSES GIGABITS [section.key=value ...]

Real training steps on real batches; prints one JSON object. Writes nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.batching import Batch, TrainingBatches, validation_batches
from nmt.data.lexicon import estimate_lexicon
from nmt.data.preparation.prepare import PreparedData
from nmt.experiment import training_batches, validation_bleu
from nmt.model.device import release_memory, use_threads
from nmt.model.recurrent import describe
from nmt.process import map_large_blocks
from nmt.training.checkpoint import Checkpoints
from nmt.training.curves import CURVES_FILE, draw_curves
from nmt.training.device_memory import DeviceMemory, memory_of
from nmt.training.exchange_time import Link, imbalance, round_seconds, sent_bytes, step_seconds
from nmt.training.footprint import Need
from nmt.training.gradients import make_buckets
from nmt.training.microbatching import MicroBatching, memory_limit, take
from nmt.training.precision import mixed
from nmt.training.trainer import Trainer, build_model
from nmt.training.validation import run_validation

_SECONDS, _STEPS, _LEAST = 8.0, 40, 3
"""The timed steps: how long they may take, how many they are at most and at least."""
_CANDIDATES = 20
"""Batches, largest first by a fast bound, of which the largest is chosen exactly."""
_LAST_STEPS = 6
"""Steps on large batches at the end, for the peak."""
_LINES = 128
"""Lines of each validation set that are translated: two batches, of the longest."""
_LOOKED_AT = 2_000_000
"""Pairs of subwords from which a shortlist is estimated: some times as many as are in memory at a time."""
_MOST_BATCH_TOKENS = 1_000_000


@dataclass(frozen=True)
class Pace:
    """What the timed steps gave."""

    tokens: int
    """Target tokens."""
    seconds: float
    """Time."""
    steps: int
    """How many."""


def measure(config: Config) -> dict[str, Any]:
    """Train a few steps; see `nmt.commands.plan.run` for what comes out.

    Args:
        config: The settings; their data are prepared.

    Returns:
        The numbers, ready for JSON.
    """
    threads = use_threads(config.training.threads)
    data = PreparedData.open(config)
    batches = training_batches(config, data)
    shapes = batches.shapes(0)
    valid = validation_batches(data.valid, config.training.batch_tokens)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    trainer = Trainer(config, model, batches, valid, None, {})
    told: list[str] = []
    memory = memory_of(model.device)
    limit = memory_limit(config.training, memory)
    available = memory.available()
    trainer.microbatching = MicroBatching(trainer.footprint, limit, told.append)
    torch.manual_seed(config.training.seed)

    values = sum(4 * parameter.numel() for parameter in model.parameters())
    copies = (3 if config.training.ema_decay else 2) + (2 if trainer.outer.every else 0)
    if trainer.outer.every:
        trainer.outer.step(trainer.state)  # allocates where a round begins, and the momentum
    trainer.step(_smallest(batches, shapes))  # loads code from the disk, and allocates moments and gradients
    base = max(0, (memory.resident() or 0) - (2 + copies) * values)

    largest = _largest(trainer, batches, shapes)
    pieces = trainer.microbatching.pieces(largest)
    if pieces:  # it runs in pieces
        largest = max(pieces, key=lambda piece: _need(trainer, piece).total)
    slope = _slope(trainer, memory, largest)
    trainer.step(largest)
    _between_the_steps(trainer, data)
    pace = _pace(trainer, batches, shapes)  # after a validation, as most steps are
    for batch in _large(trainer, batches, shapes, _LAST_STEPS):  # batches of different sizes fragment the memory
        trainer.step(batch)
    _end(data)
    peak = memory.peak() or memory.resident() or 0

    need = _need(trainer, largest)
    parts = {
        "Python, torch and data" if model.device.type == "cpu" else "other tensors": base,
        "parameters": values,
        "gradients": values,
        "optimiser and averages": copies * values,
        "recurrent layers, kept": need.reserve,
        "attention, kept": need.attention,
        "workspace of a call": need.workspace,
        "output layer and loss": need.output,
    }
    parts["between the layers, and the rest"] = peak - sum(parts.values())
    tokens = sum(shape[3] for shape in shapes)
    seconds = tokens * pace.seconds / max(pace.tokens, 1)
    lengths, steps = largest.source_lengths.tolist(), len(largest.target_input)
    pairs = len(largest.indices)
    with mixed(model.device, config.training.precision):
        stacks = {"encoder": describe(model.encoder.layers, lengths, pairs)}
        for number, stack in enumerate(model.decoder.layers, 1):
            name = "decoder" if len(model.decoder.layers) == 1 else f"decoder layer {number}"
            stacks[name] = describe(stack, steps, pairs)
    return {
        "device": str(model.device),
        "threads": threads,
        "parameters": model.number_of_parameters,
        "memory": parts,
        "peak_bytes": peak,
        "available_bytes": available,
        "batch_limit_bytes": limit,
        "predicted_batch_bytes": need.total,
        "largest_batch": {"source_steps": len(largest.source), "target_steps": steps, "pairs": pairs},
        "target_tokens_per_second": pace.tokens / pace.seconds,
        "timed_steps": pace.steps,
        "batches": len(shapes),
        "target_tokens": tokens,
        "minutes_per_epoch": seconds / 60,
        "largest_batch_tokens": _most_tokens(config, largest, slope, peak, base, available),
        "stacks": stacks,
        "notes": told,
    }


def add_processes(found: dict[str, Any], config: Config, processes: int, gigabits: float) -> None:
    """Tell what so many processes will take, from what was measured of one.

    Args:
        found: What `measure` gave; is added to.
        config: The settings.
        processes: How many there are.
        gigabits: A second, of each one's connection.
    """
    data = PreparedData.open(config)
    shapes = training_batches(config, data).shapes(0)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    dtype = getattr(torch, config.training.gradient_precision)
    buckets = [bucket.values.nbytes for bucket in make_buckets(list(model.parameters()), processes, dtype)]
    uneven = imbalance([source * pairs + target * pairs for source, target, pairs, _ in shapes], processes)
    each = config.training.accumulate
    tokens = found["target_tokens"] / len(shapes) * each
    compute = tokens / found["target_tokens_per_second"]
    every, link = config.training.outer_every, Link(1e9 * gigabits)
    seconds = (
        round_seconds(compute * uneven, buckets, processes, link, every)
        if every
        else step_seconds(compute * uneven, buckets, processes, link, each)
    )
    found["processes"] = {
        "processes": processes,
        "gigabits_per_second": gigabits,
        "sent_bytes_per_step": round(sent_bytes(buckets, processes) / max(1, every)),
        "buffer_bytes": 2 * sum(buckets),
        "compute_seconds": compute,
        "imbalance": uneven,
        "step_seconds": seconds,
        "efficiency": compute / seconds,
        "target_tokens_per_second": processes * tokens / seconds,
        "batches_per_step": processes * each,
    }


def _need(trainer: Trainer, batch: Batch) -> Need:
    return trainer.footprint.need(batch.source_lengths.tolist(), batch.target_lengths.tolist())


def _largest(trainer: Trainer, batches: TrainingBatches, shapes: list[tuple[int, int, int, int]]) -> Batch:
    """The batch that is predicted to need most."""
    return max(_large(trainer, batches, shapes, _CANDIDATES), key=lambda batch: _need(trainer, batch).total)


def _large(
    trainer: Trainer, batches: TrainingBatches, shapes: list[tuple[int, int, int, int]], count: int
) -> Iterator[Batch]:
    """The batches with the largest fast bounds."""
    bounds = [trainer.footprint.bound(*shape[:3]) for shape in shapes]
    for number in sorted(range(len(shapes)), key=lambda number: -bounds[number])[:count]:
        yield next(iter(batches.batches(0, start=number)))


def _smallest(batches: TrainingBatches, shapes: list[tuple[int, int, int, int]]) -> Batch:
    """One pair of the batch with the shortest."""
    number = min(range(len(shapes)), key=lambda number: shapes[number][:2])
    return take(next(iter(batches.batches(0, start=number))), np.arange(1))


def _slope(trainer: Trainer, memory: DeviceMemory, batch: Batch) -> float:
    """Bytes for each further padded token: from the peaks of two steps, with half of a batch's pairs and with all."""
    size = _padded(batch)
    expected = _need(trainer, batch).total / size
    pairs = len(batch.indices)
    half = take(batch, np.arange(0, pairs, 2)) if pairs > 1 else batch
    small = _peak_of_step(trainer, memory, half)
    large = _peak_of_step(trainer, memory, batch)
    if pairs < 2 or small is None or large is None or large <= small or _padded(half) == size:
        return expected
    # If the allocator took a large block for the smaller step already, the difference is too small; half of the
    # prediction is a safe bound.
    return max((large - small) / (size - _padded(half)), expected / 2)


def _padded(batch: Batch) -> int:
    """What `training.batch_tokens` counts."""
    return max(len(batch.source), len(batch.target_input)) * len(batch.indices)


def _peak_of_step(trainer: Trainer, memory: DeviceMemory, batch: Batch) -> int | None:
    """Bytes that there were at most while it did a step; None where the system does not say."""
    if not memory.forget_peak():
        return None
    trainer.step(batch)
    return memory.peak()


def _pace(trainer: Trainer, batches: TrainingBatches, shapes: list[tuple[int, int, int, int]]) -> Pace:
    """Time steps on batches spread evenly over the epoch's, from small to large, wherever it ends."""
    order = sorted(range(len(shapes)), key=lambda number: shapes[number][0] * shapes[number][2])
    tokens, steps, seconds = 0, 0, 0.0
    places = _spread()
    group_size = min(trainer.settings.accumulate, 8)
    while steps < _STEPS and (seconds < _SECONDS or steps < _LEAST):
        numbers = [order[int(next(places) * len(order))] for _ in range(group_size)]
        started = time.perf_counter()
        group = [next(iter(batches.batches(0, start=number))) for number in numbers]
        tokens += trainer.step(*group).tokens
        seconds += time.perf_counter() - started
        steps += 1
    return Pace(tokens, seconds, steps)


def _spread() -> Iterator[float]:
    """Places in [0, 1), any first n of them evenly spread.

    Source: van der Corput 1935; base 2.
    """
    number = 0
    while True:
        number += 1
        place, weight, rest = 0.0, 0.5, number
        while rest:
            place += weight * (rest & 1)
            weight, rest = weight / 2, rest >> 1
        yield place


def _between_the_steps(trainer: Trainer, data: PreparedData) -> None:
    """Do once, for its memory, what training does between steps: validate, on what is largest, and save."""
    largest = max(trainer.valid, key=_padded)
    run_validation(trainer.model, trainer.average, [largest], validation_bleu(trainer.config, data, _LINES))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), 1)
        checkpoints.save(trainer.model, trainer.optimizer, trainer.average, trainer.state)


def _end(data: PreparedData) -> None:
    """Do once, for its memory, what training ends with, when that of the steps is free; of a large corpus, a part."""
    release_memory()
    with tempfile.TemporaryDirectory() as folder:
        draw_curves([], Path(folder) / CURVES_FILE)
    release_memory()
    estimate_lexicon(data.train, (data.source_subwords.size, data.target_subwords.size), looked_at=_LOOKED_AT)


def _most_tokens(
    config: Config, largest: Batch, slope: float, peak: int, base: int, available: int | None
) -> int | None:
    """The largest `training.batch_tokens` that the memory holds, rounded down to two digits."""
    if available is None:
        return None
    room = base + available - peak
    most = int(_padded(largest) + room / max(slope, 1.0))
    most = max(0, min(most, _MOST_BATCH_TOKENS))
    step: int = 10 ** max(0, len(str(most)) - 2)
    return most // step * step


def main() -> None:
    """Measure what the arguments name, and print it."""
    map_large_blocks()  # as training does
    config, processes = load_config(Path(sys.argv[1]), sys.argv[4:]), int(sys.argv[2])
    result = measure(config)
    if processes > 1:
        add_processes(result, config, processes, float(sys.argv[3]))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
