"""Trials: processes of their own, in which a command trains for a few steps. No command itself."""

from __future__ import annotations

import os
import subprocess
import sys

from nmt.training import TrainingError


def run_trial(module: str, *arguments: str, expected: int = 0) -> bytes:
    """Run a module of this package as a program, with the module path of this process.

    So it is this package, whatever the folder is in which the command was called (`-P`), and however this package got
    into the path.

    Args:
        module: Its full name.
        arguments: Of the program.
        expected: How it must end: its exit code, or minus the signal.

    Returns:
        What it wrote to stdout.

    Raises:
        TrainingError: It ended otherwise; with the last line that it wrote to stderr.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != expected:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        instead = f", not {expected}" if expected else ""
        raise TrainingError(f"the trial ended with exit code {done.returncode}{instead}: {lines[-1]}")
    return done.stdout
