"""What can go wrong in training: one clear line, exit code 1, and the last good checkpoint is still there."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import sys
from pathlib import Path

import pytest
from commands import error_of, forked, write_config

from nmt.lock import locked
from nmt.model_folder.weights import read_tensors, write_tensors
from nmt.training.checkpoint import Checkpoints, _write_state

MORE = ("--set", "training.max_steps=12")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = write_config(tmp_path_factory.mktemp("trained"))
    done = forked("train", config)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return config


@pytest.fixture
def config(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained model, and the settings that belong to it."""
    shutil.copytree(trained.parent / "model", tmp_path / "model", symlinks=True)
    path = tmp_path / "config.toml"
    text = trained.read_text()
    path.write_text(text.replace(f"folder = '{trained.parent}/model'", f"folder = '{tmp_path}/model'"))
    return path


def checkpoint_of(config: Path) -> Path:
    return config.parent / "model" / "checkpoints" / "step_6"


def test_a_full_disk(config: Path) -> None:
    # A file may be no larger than this: the parameters fit, the optimiser's state does not.
    limit = (checkpoint_of(config) / "optimizer.safetensors").stat().st_size - 1
    done = forked("train", config, *MORE, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    expected = "the checkpoint cannot be saved: File too large; the last one is of step 6, and the same command goes on"
    assert expected in error_of(done)
    checkpoints = checkpoint_of(config).parent
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best", "step_3", "step_6"]  # nothing takes up room
    done = forked("train", config, *MORE)
    assert done.returncode == 0, done.stderr
    assert "continuing at step 6" in done.stderr
    assert (checkpoints / "step_12").is_dir()


def test_a_folder_that_cannot_be_written(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "model"
    assert error_of(forked("train", trained, "--set", f"folder={folder}")).startswith(f"{tmp_path / 'file'}")


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint(config: Path, name: str) -> None:
    path = checkpoint_of(config) / name
    content = bytearray(path.read_bytes())
    place = content.index(b'"step": 6') + 8 if name == "state.json" else len(content) - 100
    content[place] ^= 1  # one bit of a number
    path.write_bytes(content)
    error = error_of(forked("train", config, *MORE))
    assert error == f"{path}: damaged: its checksum is wrong; remove this checkpoint to go on from the one before"
    shutil.rmtree(path.parent)
    done = forked("train", config, *MORE)
    assert done.returncode == 0, done.stderr
    assert "continuing at step 3" in done.stderr


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_checkpoint_that_lacks_a_file(config: Path, name: str) -> None:
    path = checkpoint_of(config) / name
    path.unlink()
    assert error_of(forked("train", config, *MORE)).startswith(f"{path}: ")


def test_a_checkpoint_of_other_settings(config: Path) -> None:
    error = error_of(forked("train", config, "--set", "model.hidden_size=24"))
    folder = config.parent / "model"
    assert error.startswith(f"model.hidden_size: the checkpoint in {folder} was trained with 16, the config says 24")


def test_gradients_that_are_not_finite(config: Path) -> None:
    checkpoints = Checkpoints(config.parent / "model")
    path = checkpoint_of(config) / "model.safetensors"
    tensors, metadata = read_tensors(path)
    tensors["output_bias"][7] = math.nan
    write_tensors(path, tensors, metadata)
    _write_state(path.parent, checkpoints.read_state(6)[0], {})
    done = forked("train", config, *MORE, "--set", "training.validate_every=100")
    assert error_of(done).startswith("gradients were not finite 5 steps in a row; lower training.learning_rate")
    assert "step 7 left out: gradients are not finite, the loss is nan" in done.stderr


@pytest.mark.parametrize("which", ["train", "valid"])
def test_nothing_to_work_on(trained: Path, tmp_path: Path, which: str) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    files = json.dumps([str(tmp_path / "a"), str(tmp_path / "b")])
    done = forked("train", trained, "--set", f"data.{which}={files}", "--set", f"folder={tmp_path / 'model'}")
    assert str(tmp_path / "a") in error_of(done)


def test_tensorboard_that_is_not_installed(config: Path) -> None:
    def hide() -> None:
        sys.modules.pop("torch.utils.tensorboard", None)
        sys.modules["tensorboard"] = None

    done = forked("train", config, *MORE, "--set", "training.tensorboard=true", before=hide)
    assert error_of(done).startswith(
        "training.tensorboard: the package tensorboard is not installed; `pip install 'nmt-rnn[tensorboard]'`"
    )


def test_a_folder_that_is_being_trained_in(config: Path) -> None:
    with locked(config.parent / "model"):
        error = error_of(forked("train", config, *MORE))
    assert f"is at work in it (process {os.getpid()})" in error
