"""Commands on a network that takes milliseconds, for tests of what a user sees."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import matplotlib.backends.backend_agg  # noqa: F401  (training imports it late, and so would every fork)
import torch
import torch._dynamo
from synthetic import make_pairs, write_corpus

from nmt.cli import main

Done = subprocess.CompletedProcess[str]


def nmt(*arguments: str | Path) -> Done:
    """Run `nmt` as a user does."""
    command = [sys.executable, "-m", "nmt", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300, check=False, text=True)


def become_program(work: Callable[[], object]) -> NoReturn:
    """Run `work` as all that this process, a fork, is for: on the streams 0, 1 and 2, and then end it.

    Args:
        work: What a program does; may raise SystemExit.
    """
    code = 99
    try:  # a fork must not come back into pytest
        sys.stdin, sys.stdout, sys.stderr = (
            io.TextIOWrapper(os.fdopen(os.dup(number), mode), encoding="utf-8", write_through=True)
            for number, mode in enumerate(("rb", "wb", "wb"))
        )
        torch.set_num_threads(1)  # a fork has none of its parent's other threads
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def forked(*arguments: str | Path, before: Callable[[], None] = lambda: None, stdin: bytes = b"") -> Done:
    """Run `nmt` in a process of its own that need not import torch: a copy of this one.

    Args:
        arguments: Of the command.
        before: Is called in the new process.
        stdin: What it reads.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)

        def work() -> None:
            sys.argv = ["nmt", *map(str, arguments)]
            before()
            main()

        process = os.fork()
        if not process:
            for number, file in enumerate((given, output, errors)):
                os.dup2(file.fileno(), number)
            become_program(work)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        output.seek(0)
        errors.seek(0)
        return Done(arguments, code, output.read().decode(), errors.read().decode())


def error_of(done: Done) -> str:
    """The error of a command that failed as it should: exit code 1, nothing on stdout, one line, no traceback."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("nmt: ")]
    assert len(errors) == 1, done.stderr
    assert errors == done.stderr.splitlines()[-1:], done.stderr
    assert "Traceback" not in done.stderr
    return errors[0].removeprefix("nmt: error: ")


def write_config(folder: Path, **training: object) -> Path:
    """Write text and a config file for a tiny network."""
    source, target = write_corpus(folder / "text", make_pairs(60, seed=1))
    files = f"['{source}', '{target}']"
    lines = {"batch_tokens": 200, "threads": 1, "epochs": 1000, "max_steps": 6, "validate_every": 3, **training}
    path = folder / "config.toml"
    path.write_text(
        f"folder = '{folder}/model'\n"
        f"[data]\ntrain = {files}\nvalid = {files}\nvocabulary_size = 90\n"
        "[model]\nembedding_size = 16\nhidden_size = 16\nencoder_layers = 2\n"
        "[training]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
    )
    return path
