"""What `nmt plan` says, beside what `nmt train` then takes.

    python benchmarks/plan.py CONFIG [CONFIG ...] [--precisions float32 bfloat16] [--set section.key=value ...]
        [--steps 60] [--json FILE]

Each config is planned, then trained for some steps in a folder that is removed again, its data prepared anew; it saves
ten times, and validates at the end. The peak is the resident memory of the training process at its highest (VmHWM), at
the end, and when a tenth and nine tenths of the steps were done: the difference of these is what shapes that came later
added. The speed is that of its steps without validation. A ratio is measured / predicted. Load on the machine moves the
speeds: run it on an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import write_json
from rich.console import Console
from rich.table import Table


def main() -> None:
    """Plan, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = Table("config", "precision", "number", "predicted", "measured", "ratio")
    rows = []
    for config in arguments.configs:
        for precision in arguments.precisions:
            row = compare(config, [*arguments.overrides, f"training.precision={precision}"], arguments.steps)
            rows.append({"config": str(config), "precision": precision, **row})
            for name, unit in (("peak", 2**20), ("speed", 1)):
                said, was = row[name]["predicted"], row[name]["measured"]
                label = f"{name}, {'MiB' if name == 'peak' else 'target tokens/s'}"
                table.add_row(
                    str(config), precision, label, f"{said / unit:,.0f}", f"{was / unit:,.0f}", f"{was / said:.2f}"
                )
            for part in ("first", "last"):
                peak = f"{row['peak'][part] / 2**20:,.0f}"
                table.add_row("", "", f"peak until the {part} saving before validation, MiB", "", peak, "")
    Console(width=120).print(table)
    write_json(arguments.json, rows)


def compare(config: Path, overrides: list[str], steps: int) -> dict[str, Any]:
    """Plan a config and train it for some steps."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [*overrides, f"folder={folder}/model"]
        predicted = json.loads(planned(config, settings))
        settings += [f"training.max_steps={steps}", f"training.validate_every={steps}", "training.epochs=1000"]
        settings += [f"training.checkpoint_every={max(1, steps // 10)}", "training.max_minutes=600"]
        peaks = trained(config, settings, Path(folder, "model"))
        lines = Path(folder, "model", "scores.jsonl").read_text().splitlines()
        speed = json.loads(lines[-1])["tokens_per_second"]
    return {
        "steps": steps,
        "peak": {"predicted": predicted["peak_bytes"], "measured": peaks[-1], "first": peaks[0], "last": peaks[-2]},
        "speed": {"predicted": predicted["target_tokens_per_second"], "measured": speed},
        "plan": predicted,
    }


def started(command: str, config: Path, settings: list[str], *options: str) -> subprocess.Popen[str]:
    """Start a subcommand."""
    line = [sys.executable, "-m", "nmt", command, str(config), *options]
    line += [part for setting in settings for part in ("--set", setting)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def planned(config: Path, settings: list[str]) -> str:
    """What `nmt plan` prints."""
    process = started("plan", config, settings, "--json")
    output = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"nmt plan {config}: exit code {process.returncode}")
    return output


def trained(config: Path, settings: list[str], folder: Path) -> list[int]:
    """The most bytes that `nmt train` had had at each saving before it validated, and at its end."""
    process = started("train", config, settings)
    peaks: dict[str, int] = {}
    while True:
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            break
        saved = sorted(path.name for path in folder.glob("checkpoints/*[0-9]*"))
        match = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
        if saved and match and not (folder / "scores.jsonl").exists():
            peaks.setdefault(saved[-1], 1024 * int(match[1]))
        time.sleep(0.2)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"nmt train {config}: exit code {process.returncode}")
    return [*peaks.values(), usage.ru_maxrss * 1024]


if __name__ == "__main__":
    main()
