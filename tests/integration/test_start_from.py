"""Training that starts from a trained model: its subwords, its parameters, and other text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import error_of, forked
from safetensors.torch import load_file
from synthetic import make_pairs
from tiny import train_tiny

from nmt.config import CONTINUED


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder."""
    return train_tiny(tmp_path_factory.mktemp("before"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings that say nothing of the network."""
    units = "".join(
        f'<tu><tuv xml:lang="src"><seg>{source}</seg></tuv><tuv xml:lang="tgt"><seg>{target}</seg></tuv></tu>'
        for source, target in make_pairs(60, seed=9)
    )
    (tmp_path / "memory.tmx").write_text(f'<tmx version="1.4"><header/><body>{units}</body></tmx>')
    path = tmp_path / "config.toml"
    path.write_text(
        f"folder = '{tmp_path}/model'\n[data]\ntrain = '{tmp_path}/memory.tmx'\nvalid = '{tmp_path}/memory.tmx'\n"
        "[training]\nepochs = 2\nthreads = 1\nvalidate_every = 5\n"
    )
    return path


def test_it_goes_on_from_there(before, config, tmp_path):
    done = forked("train", config, "--from", before)
    assert done.returncode == 0, done.stderr
    assert f"taking the subwords of {before}" in done.stderr
    model = tmp_path / "model"
    assert (model / "joint.spm").read_bytes() == (before / "joint.spm").read_bytes()
    settings, old = (json.loads((folder / "config.json").read_text()) for folder in (model, before))
    assert settings["start_from"] == str(before)
    assert settings["model"] == old["model"]
    assert settings["decoding"] == old["decoding"]
    assert settings["training"]["learning_rate"] == CONTINUED["learning_rate"]
    assert settings["training"]["batch_tokens"] == old["training"]["batch_tokens"]

    rows = [json.loads(line) for line in (model / "scores.jsonl").read_text().splitlines()]
    validations = [row for row in rows if "loss" in row]
    assert validations[0]["step"] == 0, "what it starts from is scored, too"
    assert validations[-1]["loss"] < validations[0]["loss"] < 3, "random parameters would be worse"
    assert forked("translate", model, stdin=b"The dog sees the cat.\n").returncode == 0


def test_it_may_be_stopped_before_the_first_step(before, config, tmp_path):
    whole = forked("train", config, "--from", before, "--set", f"folder={tmp_path}/whole")
    assert whole.returncode == 0, whole.stderr
    assert forked("train", config, "--from", before, "--set", "training.max_steps=1").returncode == 0
    shutil.rmtree(tmp_path / "model/checkpoints/step_1")  # as if it had been killed after the first validation
    (tmp_path / "model/model.safetensors").unlink()
    assert "continuing at step 0" in forked("train", config, "--from", before).stderr
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "model"))
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["model.hidden_size=32"], "--set: model.hidden_size: expected 16, as {before} has it, got 32"),
        (["data.vocabulary_size=80"], "--set: data.vocabulary_size: expected 90, as {before} has it, got 80"),
        (["start_from=nowhere"], "--set: start_from: expected a model folder, got nowhere, which has no config.json"),
        (["start_from={before}/joint.spm"], "expected a model folder, got {before}/joint.spm, a file"),
        (["data.target_language=nl"], "--set: data.target_language: expected"),
    ],
)
def test_what_does_not_fit_is_told(before, config, changes, told):
    overrides = [part for change in changes for part in ("--set", change.format(before=before))]
    first = [] if "start_from" in changes[0] else ["--from", before]
    done = forked("train", config, *first, *overrides)
    assert done.returncode == 2
    assert told.format(before=before) in done.stderr
    assert not (config.parent / "model").exists()


def test_another_start_is_another_training(before, config, tmp_path):
    assert forked("train", config, "--from", before, "--set", "training.max_steps=1").returncode == 0
    other = tmp_path / "other"
    shutil.copytree(before, other)
    done = forked("train", config, "--from", other, "--set", "training.max_steps=3")
    assert f"was trained from {before}, the settings say {other}" in error_of(done)


def test_a_damaged_start_is_told(before, config, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(before, damaged)
    (damaged / "model.safetensors").write_bytes(b"")
    assert "model.safetensors" in error_of(forked("train", config, "--from", damaged))
