"""What `nmt plan` says, beside what `nmt train` then takes.

    python benchmarks/plan.py CONFIG [CONFIG ...] [--set section.key=value ...] [--steps 60] [--json FILE]

Each config is planned, then trained for some steps in a folder that is removed again, its data prepared anew. The peak
is the resident memory of the training process at its highest (VmHWM), the speed that of its steps without validation.
A ratio is measured / predicted. Load on the machine moves the speeds: run it on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import write_json
from rich.console import Console
from rich.table import Table


def main() -> None:
    """Plan, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [compare(config, arguments.overrides, arguments.steps) for config in arguments.configs]
    table = Table("config", "number", "predicted", "measured", "ratio")
    for row in rows:
        for name, unit in (("peak", 2**20), ("speed", 1)):
            said, was = row[name]["predicted"], row[name]["measured"]
            label = f"{name}, {'MiB' if name == 'peak' else 'target tokens/s'}"
            table.add_row(row["config"], label, f"{said / unit:,.0f}", f"{was / unit:,.0f}", f"{was / said:.2f}")
    Console().print(table)
    write_json(arguments.json, rows)


def compare(config: Path, overrides: list[str], steps: int) -> dict[str, Any]:
    """Plan a config and train it for a few steps."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [*overrides, f"folder={folder}/model"]
        plan = nmt("plan", config, settings, "--json")[0]
        predicted = json.loads(plan)
        settings += [f"training.max_steps={steps}", f"training.validate_every={steps}", "training.max_minutes=60"]
        _, peak = nmt("train", config, settings)
        lines = (Path(folder) / "model" / "scores.jsonl").read_text().splitlines()
        speed = json.loads(lines[-1])["tokens_per_second"]
    return {
        "config": str(config),
        "steps": steps,
        "peak": {"predicted": predicted["peak_bytes"], "measured": peak},
        "speed": {"predicted": predicted["target_tokens_per_second"], "measured": speed},
        "plan": predicted,
    }


def nmt(command: str, config: Path, settings: list[str], *options: str) -> tuple[str, int]:
    """Run a subcommand; returns its output, and the most memory that it had, in bytes."""
    line = [sys.executable, "-m", "nmt", command, str(config), *options]
    line += [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(line)}: exit code {process.returncode}")
    return output, usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
