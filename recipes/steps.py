"""What the recipes share: their options, and the steps from a config to scores.

It runs before there is an environment with the project, on the standard library alone: `nmt` and `python` are programs
here, those of the environment once `start` has made it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from summary import summary

PROJECT = Path(__file__).resolve().parents[1]

SYNTHETIC = ("--precision", "int8")
"""How text is translated that a model is to learn from."""


def say(text: str) -> None:
    """Tell the user what happens."""
    print(f"run.sh: {text}", file=sys.stderr)


def fail(text: str) -> NoReturn:
    """End with an error that is not one of the command line."""
    say(f"error: {text}")
    sys.exit(1)


def option_parser(usage: str, description: str) -> argparse.ArgumentParser:
    """The options of every recipe: `settings`, each SECTION.KEY=VALUE, in the order in which they were given."""
    parser = argparse.ArgumentParser(
        "run.sh", usage, description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )

    def add(option: str, metavar: str, setting: Callable[[str], str], text: str) -> None:
        parser.add_argument(
            option, dest="settings", metavar=metavar, action="append", default=[], type=setting, help=text
        )

    add("--folder", "FOLDER", lambda path: f"folder={Path.cwd() / Path(path).expanduser()}", "where the model goes")
    add("--minutes", "N", lambda text: f"training.max_minutes={positive(float, text)}", "train for at most N minutes")
    add("--threads", "N", lambda text: f"training.threads={positive(int, text)}", "CPU threads")
    add("--set", "SECTION.KEY=VALUE", assignment, "any setting; may be given many times (nmt config lists them)")
    return parser


def positive(kind: type[int] | type[float], text: str) -> str:
    """A number as it was written, if it is one above zero: said at once, not after minutes with the text."""
    try:
        fits = 0 < kind(text) < float("inf")
    except ValueError:
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(f"expected a {'whole ' * (kind is int)}number above 0, got {text!r}")
    return text.strip()


def assignment(text: str) -> str:
    """A setting as it was written, if it looks like one."""
    key, equals, _ = text.partition("=")
    if not (key.strip() and equals):
        raise argparse.ArgumentTypeError(f"expected SECTION.KEY=VALUE, such as model.dropout=0.3, got {text!r}")
    return text


def last_value(settings: Sequence[str], key: str, default: str) -> str:
    """What the last setting of a key says."""
    return next((each.partition("=")[2] for each in reversed(settings) if each.startswith(f"{key}=")), default)


def start(**variables: str) -> None:
    """Go to the project's top, and put its Python environment first in PATH, made if it is not there.

    Args:
        variables: What the config's paths refer to, by name.
    """
    os.chdir(PROJECT)
    script = "source recipes/environment.sh; use_environment >&2; env -0"
    made = run("bash", "-euo", "pipefail", "-c", script, "run.sh", capture=True)
    os.environ.clear()
    os.environ.update(dict(entry.split("=", 1) for entry in made.split("\0") if "=" in entry) | variables)


def run(*command: str | Path, record: Path | None = None, capture: bool = False) -> str:
    """Run a program, and end as it did if that was not well.

    Args:
        command: The program and its arguments.
        record: Gets a line of JSON about the time and the memory that it took.
        capture: Whether its output is wanted, and not shown.

    Returns:
        The output, if it was wanted.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE if capture else None)
    # Ctrl-C reaches the program itself, which decides when to end; what reaches only this process is passed on.
    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: lambda *_: process.terminate()}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    process.returncode = os.waitstatus_to_exitcode(status)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode  # as a shell gives it
    if record is not None:
        row = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": [str(part) for part in command[:2]],
            "exit": code,
            "seconds": round(time.monotonic() - started, 1),
            "peak_mib": round(usage.ru_maxrss / 1024),  # Linux counts in KiB
        }
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    if code:
        sys.exit(code)
    return os.fsdecode(output)


def check(settings: Iterable[str]) -> None:
    """End with what `nmt` says if there is no such setting or value: at once, not after minutes with the text."""
    for setting in settings:
        run("nmt", "config", setting, capture=True)


def options_of(settings: Iterable[str]) -> list[str]:
    """Settings as `nmt` takes them."""
    return [part for setting in settings for part in ("--set", setting)]


def train(config: str | Path, model: Path, settings: Sequence[str]) -> None:
    """Prepare and train, or go on where that stopped."""
    run("nmt", "prepare", config, *options_of(settings))
    run("nmt", "train", config, *options_of(settings), record=model / "runs.jsonl")


def train_seeds(config: str | Path, folders: Sequence[Path], settings: Sequence[str]) -> None:
    """Train a model in each folder, or go on where that stopped; they differ by their seeds."""
    for seed, folder in enumerate(folders, 1):
        train(config, folder, [*settings, f"training.seed={seed}", f"folder={folder}"])


def distill(
    config: str | Path, model: Path, settings: Sequence[str], teachers: Sequence[Path], start: Path | None = None
) -> None:
    """Train a student, or go on where that stopped.

    It learns the training text and, of each line, the one of the teachers' four best translations that is nearest to
    its reference.

    Args:
        config: Of the student.
        model: The student's folder.
        settings: Of the student; the user's are the last.
        teachers: Their folders.
        start: The one of them as which the student begins, if it does.
    """
    given = [part for folder in teachers for part in ("--teacher", folder)]
    given += ["--from", start] if start else []
    options: list[str | Path] = [*given, "--mix", "--n-best", "4", *SYNTHETIC, *threads_of(settings)]
    run("nmt", "distill", config, *options, *options_of(settings), record=model / "runs.jsonl")


def translate_back(config: str | Path, folder: Path, settings: Sequence[str], text: str) -> Path:
    """Train a model of the opposite direction, and let it translate the target side of the training text.

    Args:
        config: Of that model.
        folder: It comes to be here.
        settings: Of that model; the user's are the last.
        text: What it translates, a file.

    Returns:
        The file of pairs: what it said, and the line that it said it of.
    """
    train(config, folder, [*settings, f"folder={folder}"])
    pairs = folder / "pairs.tsv"
    options = ["--input", text, "--output", str(pairs), *SYNTHETIC, *threads_of(settings)]
    run("nmt", "backtranslate", folder, *options, record=folder / "runs.jsonl")
    return pairs


def threads_of(settings: Sequence[str]) -> list[str]:
    """The option that gives a translation as many threads as a training."""
    threads = last_value(settings, "training.threads", "")
    return ["--threads", threads] if threads else []


def score(model: Path, tests: Sequence[str], settings: Sequence[str]) -> dict[str, Path]:
    """Translate and score test sets that the config names, unless done for this model already; then tell all results.

    Returns:
        The translation of each test set.
    """
    target = last_value(settings, "data.target_language", "")
    outputs = {test: model / f"{test.replace(':', '.')}{target and f'.{target}'}.txt" for test in tests}
    for test, output in outputs.items():
        if not newer(output, model / "model.safetensors"):
            run("nmt", "evaluate", model, "--test", test, "--output", output, *threads_of(settings), capture=True)
    print(summary(model, tests), flush=True)
    return outputs


def newer(path: Path, other: Path) -> bool:
    """Whether a file is there, and was written after another."""
    return path.exists() and path.stat().st_mtime_ns > other.stat().st_mtime_ns
