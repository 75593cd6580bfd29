"""Ctrl-C, and the command that proves that going on changes nothing."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import forked, write_config
from warm import warm_programs

from nmt.commands import verify_resume
from nmt.commands.verify_resume import different_tensors
from nmt.training.checkpoint import Checkpoints
from nmt.training.interrupts import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_the_second_an_order(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupts() as interrupted:
        signal.raise_signal(number)
        assert interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    config = write_config(tmp_path, max_steps=1_000_000, patience=100_000, validate_every=5)
    command = [sys.executable, "-m", "nmt", "train", str(config), "--set", "data.source_language=my language"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        checkpoints = Checkpoints(tmp_path / "model")
        while not checkpoints.steps() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, ""), errors
    assert "stopping after this step; once more stops at once" in errors
    state = checkpoints.latest_state()
    assert state is not None
    assert f"nmt train: interrupted after {state.step} steps" in errors
    last = errors.splitlines()[-1]
    assert last == f"nmt train: to go on: nmt train {config} --set 'data.source_language=my language'"
    again = shlex.split(last.partition("to go on: ")[2])
    done = forked(*again[1:], "--set", f"training.max_steps={state.step + 2}")
    assert done.returncode == 0, done.stderr
    assert f"continuing at step {state.step}" in done.stderr
    assert f"finished after {state.step + 2} steps" in done.stderr


def test_resuming_is_proved(tmp_path: Path) -> None:
    config = write_config(tmp_path, max_minutes=5, subword_regularization=0.5, ema_decay=0.9, accumulate=2)
    with warm_programs() as programs:
        python = str(programs / "python")
        done = forked("train", config, "--verify-resume", before=lambda: setattr(sys, "executable", python))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "bit-equal"
    assert lines[0].startswith("checkpoint of step 4: ")
    assert lines[-2] == "scores.jsonl: 2 validations, without their times"
    assert "training.max_minutes is left out" in done.stderr
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [".lock", "data", "joint.spm"]


def test_a_difference_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)

    def run_trial(original: Path, folder: Path, kill_after: int = 0) -> None:
        if kill_after:
            return
        if folder.name == "stopped":  # a training that forgets: it starts from other weights
            text = original.read_text()
            original.write_text(text.replace('"seed": 1', '"seed": 2'))
        verify_resume.trial(original, folder, 0)

    monkeypatch.setattr(verify_resume, "_run_trial", run_trial)
    with pytest.raises(verify_resume.TrainingError, match=r"changes the result:\nstep 4: .* values differ") as caught:
        verify_resume.run(config, [])
    assert len(str(caught.value).splitlines()) < 20
    assert "bit-equal" not in capsys.readouterr().out


def test_tensors_are_compared_bit_by_bit() -> None:
    one = {"a": torch.tensor([0.0, 1.0, torch.nan]), "b": torch.zeros(2, 2), "c": torch.tensor(3.0)}
    assert different_tensors(one, {name: tensor.clone() for name, tensor in one.items()}) == []
    other = {"a": torch.tensor([-0.0, 1.5, torch.nan]), "b": torch.zeros(4), "d": torch.tensor(3.0)}
    lines = different_tensors(one, other)
    assert lines[:2] == ["c: only in one of the two", "d: only in one of the two"]
    assert lines[2].startswith("a: 2 of 3 values differ")
    assert lines[3] == "b: [2, 2] torch.float32 and [4] torch.float32"
