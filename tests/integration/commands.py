"""Commands on a network that takes milliseconds, for tests of what a user sees."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

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


def forked(*arguments: str | Path, before: Callable[[], None] = lambda: None) -> Done:
    """Run `nmt` in a process of its own that need not import torch: a copy of this one.

    Args:
        arguments: Of the command.
        before: Is called in the new process.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = os.fork()
        if not process:  # the child must not come back into pytest
            code = 99
            try:
                sys.stdout, sys.stderr = (
                    io.TextIOWrapper(os.fdopen(os.dup(file.fileno()), "wb"), encoding="utf-8", write_through=True)
                    for file in (output, errors)
                )
                os.dup2(errors.fileno(), 2)
                sys.argv = ["nmt", *map(str, arguments)]
                torch.set_num_threads(1)
                before()
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
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
