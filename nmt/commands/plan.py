"""`nmt plan`: what a training will need, in memory and time, before it is run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from nmt.commands.trials import run_trial
from nmt.config_file import load_config
from nmt.data.preparation.prepare import check
from nmt.experiment import prepared_data
from nmt.lock import locked
from nmt.terminal import tell
from nmt.values import shown_bytes


def run(path: Path, overrides: Sequence[str], as_json: bool, processes: int = 1, gigabits: float = 1.0) -> None:
    """Train a few steps in a process of its own, and print what a whole training will take.

    Args:
        path: The TOML file.
        overrides: `section.key=value` each.
        as_json: Print one JSON object.
        processes: How many are to train together.
        gigabits: A second, of the connection of each.

    Raises:
        ConfigError: A setting is wrong.
        CorpusError, SubwordError, PreparedError: The data cannot be prepared, or is of other settings.
        TrainingError: The steps failed.
        OSError: A file cannot be read or written.
    """
    config = load_config(path, overrides)
    if check(config).state == "missing":
        with locked(config.folder):
            prepared_data(config)
    tell("nmt plan", "training some steps on real batches")
    found = trial(path, overrides, processes, gigabits)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show(found, Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120))


def trial(path: Path, overrides: Sequence[str], processes: int = 1, gigabits: float = 1.0) -> dict[str, Any]:
    """Measure in a fresh process; see `run`.

    Raises:
        TrainingError: It failed; with its last line.
    """
    output = run_trial("nmt.commands.plan_trial", str(path), str(processes), str(gigabits), *overrides)
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _where(found: Mapping[str, Any]) -> str:
    return f"with {found['threads']} threads" if found["device"] == "cpu" else f"on {found['device']}"


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print it for people."""
    memory = Table("memory", box=box.SIMPLE_HEAD, title_justify="left")
    memory.add_column("size", justify="right")
    memory.add_column("share", justify="right")
    peak = found["peak_bytes"]
    for part, size in found["memory"].items():
        memory.add_row(part, shown_bytes(size), f"{size / max(peak, 1):.0%}")
    memory.add_section()
    memory.add_row("peak, measured", shown_bytes(peak), "")
    console.print(memory)

    stacks = Table("recurrent layers", "policy", box=box.SIMPLE_HEAD)
    stacks.add_column("kept", justify="right")
    stacks.add_column("workspace", justify="right")
    stacks.add_column("why")
    for name, row in found["stacks"].items():
        policies = ", ".join(row["layers"]) or "-"
        stacks.add_row(
            name, policies, shown_bytes(row["reserve_bytes"]), shown_bytes(row["workspace_bytes"]), row["why"]
        )
    console.print(stacks)

    largest, limit, available = found["largest_batch"], found["batch_limit_bytes"], found["available_bytes"]
    rows = {
        "largest batch": f"{largest['pairs']} pairs, {largest['source_steps']} source and {largest['target_steps']} "
        f"target steps, predicted to need {shown_bytes(found['predicted_batch_bytes'])}",
        "limit of a batch": "none" if limit is None else f"{shown_bytes(limit)} (training.batch_memory)",
        "available memory": "unknown" if available is None else shown_bytes(available),
        "largest batch_tokens": "unknown" if available is None else f"about {found['largest_batch_tokens']:,}",
        "speed": f"{found['target_tokens_per_second']:,.0f} target tokens/s {_where(found)}, "
        f"over {found['timed_steps']} steps",
        "an epoch": f"{found['batches']:,} batches, {found['target_tokens']:,} target tokens, "
        f"{found['minutes_per_epoch']:.1f} minutes without validation",
    }
    if "processes" in found:
        rows |= _processes(found["processes"])
    for name, text in rows.items():
        console.print(f"{name:<22}{text}", markup=False, soft_wrap=True)
    for note in found["notes"]:
        console.print(note, markup=False, soft_wrap=True)


def _processes(found: Mapping[str, Any]) -> dict[str, str]:
    """What several processes will take."""
    size = found["processes"]
    return {
        f"{size} processes": f"steps of {found['batches_per_step']} batches; each process on cores of its own as those "
        f"here, and {shown_bytes(found['buffer_bytes'])} more memory than above",
        "sent in a step": f"{shown_bytes(found['sent_bytes_per_step'])} by each process, and as much received",
        "speed of all": f"about {found['target_tokens_per_second']:,.0f} target tokens/s over "
        f"{found['gigabits_per_second']:g} Gbit/s: {found['step_seconds']:.3f} s a step, of which the mean process "
        f"computes {found['compute_seconds']:.3f} s ({found['efficiency']:.0%})",
    }
