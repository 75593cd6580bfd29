"""Commands in processes of their own, and what must be true of each, whatever it was given."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sacrebleu  # noqa: F401  (so that no copy of this process has to import it, as the commands below)
from commands import become_program

from nmt.cli import main
from nmt.commands import average, compare, config, evaluate, info, prepare, score, train, translate  # noqa: F401

CPU_SECONDS = 10
"""What a command may take that has nothing to do but refuse what it was given."""
_WALL_SECONDS = 120  # a machine may be busy; who waits for a pipe waits longer
_MEMORY = 1_000_000  # KiB; a process that has torch begins with a third of it
_CODES = {0, 1, 2, 130}


@dataclass(frozen=True)
class Attempt:
    """What became of a command."""

    arguments: tuple[str, ...]
    code: int
    """Negative for a signal."""
    output: str
    errors: str
    memory: int
    """KiB at most."""

    def problem(self) -> str | None:
        """Say what should not have been, if anything."""
        lines = (self.output + self.errors).split("\n")
        strange = [line for line in lines if not line.replace("\t", " ").isprintable()]
        faults = {
            "hangs": self.code in (-signal.SIGXCPU, -signal.SIGKILL),
            f"ends with {self.code}": self.code not in _CODES,
            "traceback": "Traceback" in self.errors,
            f"takes {self.memory:,} KiB": self.memory > _MEMORY,
            "fails without a word": self.code in (1, 2)
            and "nmt: error: " not in self.errors
            and "Error: " not in self.errors,
            f"a line that a terminal cannot show: {strange[:1]!r}": bool(strange),
            "a line of more than 2,000 characters": any(len(line) > 2000 for line in self.errors.split("\n")),
        }
        return next((fault for fault, is_so in faults.items() if is_so), None)


def attempt(
    *arguments: str | Path,
    folder: Path | None = None,
    stdin: bytes = b"",
    before: Callable[[], None] = lambda: None,
) -> Attempt:
    """Run a command in a copy of this process.

    Args:
        arguments: Of `nmt`.
        folder: Where it runs; None stays here.
        stdin: What it reads.
        before: Is called in the new process.
    """
    words = tuple(os.fspath(each) for each in arguments)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)

        def work() -> None:
            sys.argv = ["nmt", *words]
            if folder is not None:
                os.chdir(folder)
            used = int(time.process_time())
            resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, used + CPU_SECONDS))
            before()
            main()

        process = os.fork()
        if not process:
            for number, file in enumerate((given, output, errors)):
                os.dup2(file.fileno(), number)
            become_program(work)
        status, usage = _wait(process)
        output.seek(0)
        errors.seek(0)
        texts = (file.read(4_000_000).decode(errors="replace") for file in (output, errors))
        return Attempt(words, os.waitstatus_to_exitcode(status), *texts, usage.ru_maxrss)


def _wait(process: int) -> tuple[int, resource.struct_rusage]:
    """Wait for the end of a child, which is killed when it has waited long enough."""
    end, pause = time.monotonic() + _WALL_SECONDS, 0.002
    while True:
        found, status, usage = os.wait4(process, os.WNOHANG)
        if found:
            return status, usage
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def contents(folder: Path, without: Path | None = None) -> dict[str, str]:
    """Sum up every file below a folder, but for one folder: to see that a command changed none of them."""
    found = {}
    for place, folders, names in os.walk(folder):
        if without is not None and Path(place) == without:
            folders.clear()
            continue
        for name in (*names, *folders):
            path = Path(place) / name
            is_plain = path.is_file() and not path.is_symlink()
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if is_plain else str(path.lstat().st_mode)
    return found
