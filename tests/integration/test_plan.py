"""`nmt plan` says what `nmt train` then takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import forked
from synthetic import make_pairs, write_corpus

from nmt.commands import plan, plan_trial
from nmt.config_file import load_config
from nmt.data.batching import TrainingBatches
from nmt.data.preparation.prepare import PreparedData

WITH_PEAK = """
import atexit, re, runpy, sys
from pathlib import Path
status = Path("/proc/self/status")
atexit.register(lambda: sys.stderr.write(re.search("VmHWM:.*", status.read_text())[0] + "\\n"))
runpy.run_module("nmt", run_name="__main__")
"""


def trained(*arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run `nmt train`; returns also the most memory that it had, in bytes."""
    command = [sys.executable, "-c", WITH_PEAK, "train", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
    assert peak is not None, done.stderr
    return done, 1024 * int(peak[1])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    pairs = make_pairs(400, seed=1)
    source, target = write_corpus(folder / "text", [*pairs, (" ".join(a for a, _ in pairs[:9]), pairs[0][1])])
    valid = list(map(str, write_corpus(folder / "valid", pairs[:40])))
    path = folder / "config.toml"
    path.write_text(
        f"folder = '{folder}/model'\n"
        f"[data]\ntrain = ['{source}', '{target}']\nvalid = {valid}\nvocabulary_size = 90\n"
        "[model]\nembedding_size = 64\nhidden_size = 128\n"
        "[training]\nepochs = 9\nbatch_tokens = 2000\nthreads = 1\nmax_steps = 8\nvalidate_every = 4\n"
        "[decoding]\nmax_length_extra = 3\n"
    )
    return path


@pytest.fixture(scope="module")
def said(config: Path) -> dict[str, Any]:
    """What `nmt plan` says of the settings as they stand."""
    return planned(config, "model.memory=store")


def planned(config: Path, *settings: str) -> dict[str, Any]:
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "nmt", "plan", str(config), "--json", *options]  # forked it had the tests' memory
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("memory", "fed"), [("store", "false"), ("1KiB", "false"), ("store", "true")])
def test_it_says_what_training_takes(config: Path, said: dict[str, Any], tmp_path: Path, memory: str, fed: str) -> None:
    settings = ["--set", f"folder={tmp_path}/model", "--set", f"model.memory={memory}"]
    settings += ["--set", f"model.input_feeding={fed}"]
    if (memory, fed) != ("store", "false"):
        said = planned(config, *settings[1::2])
        assert {path.name for path in (tmp_path / "model").iterdir()} <= {"data", "joint.spm", ".lock"}

    loaded = load_config(config, settings[1::2])
    done, peak = trained(config, *settings)
    assert done.returncode == 0, done.stderr
    batches = TrainingBatches(PreparedData.open(loaded).train, 2000, loaded.training.seed)
    assert said["batches"] == len(list(batches.batches(0)))
    assert said["target_tokens"] == sum(batch.target_tokens for batch in batches.batches(0))
    assert sum(said["memory"].values()) == said["peak_bytes"]
    assert all(size >= 0 for size in said["memory"].values()), said["memory"]
    policies = {row["layers"][0] for row in said["stacks"].values()}
    assert policies == {"store": {"store"}, "1KiB": {"recompute", "checkpoint"}}[memory]
    assert abs(peak / said["peak_bytes"] - 1) < 0.05


def test_several_processes(config: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    loaded = load_config(config, [])
    found = dict(said)
    plan_trial.add_processes(found, loaded, 4, 0.1)
    told = found["processes"]
    assert 0 <= told["sent_bytes_per_step"] / (1.5 * 4 * said["parameters"]) - 1 < 0.05
    assert told["imbalance"] >= 1
    assert told["step_seconds"] > told["compute_seconds"]
    assert told["target_tokens_per_second"] < 4 * said["target_tokens_per_second"]
    plan_trial.add_processes(found, load_config(config, ["training.gradient_precision=bfloat16"]), 4, 0.1)
    assert found["processes"]["sent_bytes_per_step"] == told["sent_bytes_per_step"] / 2
    assert found["processes"]["step_seconds"] < told["step_seconds"]
    plan_trial.add_processes(
        found, load_config(config, ["training.outer_every=8", "training.validate_every=8"]), 4, 0.1
    )
    assert found["processes"]["sent_bytes_per_step"] == pytest.approx(told["sent_bytes_per_step"] / 8, abs=1)
    assert found["processes"]["step_seconds"] < told["step_seconds"]
    monkeypatch.setattr(plan, "trial", lambda *_: found)
    plan.run(config, [], as_json=False, processes=4, gigabits=0.1)
    shown = capsys.readouterr().out
    assert "4 processes" in shown
    assert "over 0.1 Gbit/s" in shown


def test_for_people(config: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(plan, "trial", lambda *_: said)
    plan.run(config, [], as_json=False)
    shown = capsys.readouterr().out
    for part in ("parameters", "optimiser and averages", "recurrent layers, kept", "peak, measured", "an epoch"):
        assert part in shown
    assert "decoder" in shown
    assert "model.memory is store" in shown


def test_what_cannot_be_planned_is_one_line(config: Path, tmp_path: Path) -> None:
    for settings, message in (
        (["model.memory=lots"], "a number of bytes such as 256MiB"),
        ([f"data.valid=['{tmp_path}/no.en', '{tmp_path}/no.de']", f"folder={tmp_path}/other"], "no.en"),
    ):
        done = forked("plan", config, *(part for setting in settings for part in ("--set", setting)))
        assert done.returncode in (1, 2)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
