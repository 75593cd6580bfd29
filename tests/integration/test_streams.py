"""Commands among pipes, devices, full disks and signals."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest
from commands import become_program, write_config

from nmt.cli import main

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
GREEDY = ("--beam-size", "1", "--no-retry")


class Started(NamedTuple):
    """A command that runs."""

    process: int
    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO

    def end(self) -> tuple[int, bytes, bytes]:
        """Close its stdin; returns its exit code, or minus the signal that ended it, and what it still says."""
        self.stdin.close()
        with self.stdout, self.stderr:
            output, errors = self.stdout.read(), self.stderr.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), output, errors


def start(*arguments: str | Path, redirect: Callable[[], object] = lambda: None) -> Started:
    """Run `nmt` in a fork, with pipes for all of its streams, one of which `redirect` may replace."""
    pipes = [os.pipe() for _ in range(3)]
    process = os.fork()
    if not process:
        signal.alarm(120)
        for number, (end, beginning) in enumerate(pipes):
            os.dup2(beginning if number else end, number)
        for pipe in pipes:
            for descriptor in pipe:
                os.close(descriptor)
        redirect()
        sys.argv = ["nmt", *map(str, arguments)]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        become_program(main)
    os.close(pipes[0][0])
    os.close(pipes[1][1])
    os.close(pipes[2][1])
    streams = (os.fdopen(pipes[number][not number], "rb" if number else "wb", buffering=0) for number in range(3))
    return Started(process, *streams)  # type: ignore[arg-type]


def run(
    stdin: bytes, *arguments: str | Path, redirect: Callable[[], object] = lambda: None
) -> tuple[int, bytes, bytes]:
    started = start(*arguments, redirect=redirect)
    started.stdin.write(stdin)
    return started.end()


def onto(number: int, name: str) -> Callable[[], object]:
    """Open something in place of a standard stream."""
    return lambda: os.dup2(os.open(name, os.O_WRONLY), number)


def test_a_line_of_a_pipe_that_stays_open_is_answered() -> None:
    started = start("translate", MODEL, *GREEDY)
    answers, waits = [], []
    for line in (b"one\n", b"\n", b"\xe2\x98\x83\n", b"two three\n"):
        began = time.monotonic()
        started.stdin.write(line)
        answer = b""
        while not answer.endswith(b"\n"):
            answer += started.stdout.read(1)
        answers.append(answer)
        waits.append(time.monotonic() - began)
    assert answers[1:3] == [b"\n", b"\xe2\x98\x83\n"]
    assert min(waits[1:]) < 0.5  # the first waits for the model, any of them for a machine that is busy
    assert started.end() == (0, b"", b"")


def test_a_minus_is_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = run(b"one\n\ntwo\n", "translate", MODEL, *GREEDY)
    assert run(b"one\n\ntwo\n", "translate", MODEL, *GREEDY, "--input", "-", "--output", "-") == expected
    (tmp_path / "target").write_text("a\nb\n")
    code, output, _ = run(b"one\ntwo\n", "score", MODEL, "-", "target")
    assert (code, output.count(b"\n")) == (0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_signal_leaves_a_file(tmp_path: Path, number: int) -> None:
    (tmp_path / "out").write_text("old")
    started = start("translate", MODEL, *GREEDY, "--output", tmp_path / "out")
    started.stdin.write(b"one\n")
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(started.process, number)
    code, output, errors = started.end()
    told = b"interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}".encode()
    assert (code, output, errors) == (130 if number == signal.SIGINT else -number, b"", b"nmt: " + told + b"\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "old"


def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    started = start("translate", MODEL, *GREEDY, redirect=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    started.stdin.write(b"one\n")
    assert started.stdout.read(1)
    os.kill(started.process, signal.SIGHUP)
    assert started.end()[0] == 0


@pytest.mark.parametrize("redirect", [onto(2, "/dev/full"), lambda: os.close(2)], ids=["full", "closed"])
@pytest.mark.parametrize("work", ["translate", "train"])
def test_a_stderr_that_takes_nothing_is_not_missed(tmp_path: Path, redirect: Callable[[], object], work: str) -> None:
    if work == "translate":
        code, output, _ = run(b"one\n\xff\ntwo\n", "translate", MODEL, *GREEDY, redirect=redirect)
        assert (code, output.count(b"\n")) == (0, 3)
    else:
        code, _, _ = run(b"", "train", write_config(tmp_path), redirect=redirect)
        assert code == 0
        assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_reader_of_stderr_that_has_left_is_not_missed() -> None:
    started = start("translate", MODEL, *GREEDY)
    started.stderr.close()
    started.stdin.write(b"one\n\xff\ntwo\n")
    started.stdin.close()
    assert started.stdout.read().count(b"\n") == 3
    assert os.waitstatus_to_exitcode(os.waitpid(started.process, 0)[1]) == 0


@pytest.mark.parametrize("arguments", [[], ["--output", "/dev/full"]])
def test_a_full_disk_is_told(arguments: Sequence[str]) -> None:
    code, _, errors = run(b"one\n", "translate", MODEL, *GREEDY, *arguments, redirect=onto(1, "/dev/full"))
    assert code == 1
    assert errors == f"nmt: error: {'/dev/full: ' if arguments else ''}No space left on device\n".encode()


def test_a_reader_of_stdout_that_has_left_ends_it() -> None:
    started = start("translate", MODEL, *GREEDY)
    started.stdout.close()
    started.stdin.write(b"one\n")
    with started.stderr:
        assert started.stderr.read() == b""  # while the pipe to it stays open
    assert os.waitstatus_to_exitcode(os.waitpid(started.process, 0)[1]) == 1
    started.stdin.close()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("Grüße\nMünchen\n".encode("utf-16"), 1, "no UTF-8 in 3 of 3 lines"),
        ("Grüße\nMünchen\n".encode("latin-1"), 1, "no UTF-8 in 2 of 2 lines"),
        ("Grüße\n" * 5 + "M", 0, "no UTF-8 in 1 of 6 lines"),
    ],
)
def test_what_is_no_utf_8_is_told_and_has_a_status(tmp_path: Path, content: bytes | str, code: int, said: str) -> None:
    raw = content if isinstance(content, bytes) else content.encode() + b"\xfcnchen\n"
    (tmp_path / "in").write_bytes(raw)
    arguments = ("--input", tmp_path / "in", "--status")
    got, output, errors = run(b"", "translate", MODEL, *GREEDY, *arguments)
    lines = raw.split(b"\n")
    assert (got, output.count(b"\n")) == (code, len(lines) - (lines[-1] == b""))
    assert errors.startswith(f"nmt translate: warning: {said}, ".encode())
    assert errors.count(b"\n") == 1
    statuses = [line.rpartition(b"\t")[2] for line in output.splitlines()]
    bad = [place for place, line in enumerate(lines[: len(statuses)]) if not is_utf_8(line)]
    assert {statuses[place] for place in bad} <= {b"damaged", b"failed", b"copied"}


def is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_missing_folders_are_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\n")
    texts = ("--source", tmp_path / "text", "--reference", tmp_path / "text")
    out = tmp_path / "gone" / "out.svg"
    for arguments in (
        ("translate", MODEL, "--output", out),
        ("evaluate", MODEL, *texts, "--output", out),
        ("compare", MODEL, MODEL, *texts, "--html", out),
        ("translate", MODEL, "--plot", out),
    ):
        code, output, errors = run(b"one\n", *arguments)
        assert code == 1
        assert errors.splitlines()[-1] == f"nmt: error: {out.parent}: no such folder; make it first".encode()
        assert output == b"" or "--plot" in arguments
    assert not out.parent.exists()


def test_pairs_come_through_pipes(tmp_path: Path) -> None:
    """As in `nmt score MODEL <(zcat a.gz) <(zcat b.gz)`."""
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    started = start("score", MODEL, tmp_path / "a", tmp_path / "b")
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"one\ntwo\n")
    code, output, _ = started.end()
    assert (code, output.count(b"\n")) == (0, 2)
