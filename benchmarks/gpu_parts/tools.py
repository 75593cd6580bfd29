"""What is run as a program of its own: the sanitizer over a small case, and the card's latencies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpu_parts.meter import Meter

_HERE = Path(__file__).parent
_SHOWN = 400  # characters of a failing program's output


def sanitizer(meter: Meter) -> list[dict[str, Any]]:
    """Memcheck and racecheck over `correctness.small_case`; in a dry run that case alone."""
    command = [sys.executable, str(_HERE.parent / "gpu.py"), "--small-case", *(["--dry-run"] if meter.dry else [])]
    if meter.dry:
        return [_run("no sanitizer", command, meter)]
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    rows = []
    for tool in ("memcheck", "racecheck"):
        options = ["--tool", tool, "--error-exitcode", "9", "--target-processes", "application-only"]
        rows.append(_run(tool, [program, *options, *command], meter))
    return rows


def latencies(meter: Meter) -> dict[str, Any]:
    """Launches, graph launches, hand-overs by flags and by the grid's barrier, in microseconds; broadcast from the
    second cache to all processors, in terabytes a second, by number of groups. A dry run compiles the program only."""
    compiler = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "latency"
        target = ["-arch=sm_80"] if meter.dry else ["-arch=native"]
        compiled = _run("compile", [compiler, "-O3", *target, "-o", str(program), str(_HERE / "latency.cu")], meter)
        if compiled["error"] or meter.dry:
            return compiled
        done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            return {"error": done.stderr.strip()[:_SHOWN]}
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def _run(name: str, command: list[str], meter: Meter) -> dict[str, Any]:
    """How a program ended; at most half of the time that is left is given to it."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=max(20.0, meter.left() / 2), env=os.environ
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"what": name, "error": f"{type(error).__name__}: {error}"[:_SHOWN]}
    output = (done.stdout + done.stderr).strip()
    return {"what": name, "error": None if done.returncode == 0 else output[-_SHOWN:] or f"exit {done.returncode}"}
