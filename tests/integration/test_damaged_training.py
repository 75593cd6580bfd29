"""Training in a folder that others changed: prepared data, checkpoints and models that are damaged, gone or foreign."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import error_of, forked, write_config

from nmt.config_file import load_config
from nmt.data.dataset import PreparedError
from nmt.data.preparation.prepare import PreparedData
from nmt.lock import locked
from nmt.model_folder.digests import check_digests
from nmt.training.checkpoint import Checkpoints, _write_state

MORE = ("--set", "training.max_steps=9")
PREPARED = [
    "joint.spm",
    *(
        f"data/{split}.{side}.{kind}.npy"
        for split in ("train", "valid")
        for side in ("source", "target")
        for kind in ("ids", "offsets")
    ),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = write_config(tmp_path_factory.mktemp("trained"))
    done = forked("train", config)
    assert done.returncode == 0, done.stderr
    return config


@pytest.fixture
def config(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained model, and the settings that belong to it."""
    shutil.copytree(trained.parent / "model", tmp_path / "model", symlinks=True)
    path = tmp_path / "config.toml"
    path.write_text(trained.read_text().replace(f"folder = '{trained.parent}/model'", f"folder = '{tmp_path}/model'"))
    return path


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", PREPARED[::3])
def test_a_bit_of_the_prepared_data(config: Path, name: str) -> None:
    """One flipped bit: the data is not trained on, and comes back as it was."""
    path = config.parent / "model" / name
    content = path.read_bytes()
    flip(path)
    with pytest.raises(PreparedError, match=r"damaged: its SHA-256 is not .*prepared\.json; run `nmt prepare`"):
        PreparedData.open(load_config(config))
    PreparedData.open(load_config(config), print)
    assert path.read_bytes() == content


def test_a_bit_of_the_manifest(config: Path) -> None:
    path = config.parent / "model" / "data" / "prepared.json"
    path.write_text(path.read_text().replace('"training pairs": 60', '"training pairs": 61'))
    assert f"{path}: damaged: its checksum is wrong; delete" in error_of(forked("prepare", config))


def test_data_that_an_earlier_version_prepared(config: Path) -> None:
    """It has sizes alone, so that every number is looked at."""
    folder = config.parent / "model"
    path = folder / "data" / "prepared.json"
    manifest = json.loads(path.read_text())
    del manifest["checksum"]
    manifest |= {"format_version": 2, "outputs": {name: (folder / name).stat().st_size for name in PREPARED}}
    path.write_text(json.dumps(manifest))
    PreparedData.open(load_config(config))
    flip(folder / "data" / "train.source.ids.npy")  # an id that the vocabulary lacks
    with pytest.raises(PreparedError, match="expected ids below 90, got"):
        PreparedData.open(load_config(config))
    flip(folder / "data" / "train.target.offsets.npy", -10)
    with pytest.raises(PreparedError, match="expected"):
        PreparedData.open(load_config(config))


def test_a_finished_model_is_not_overwritten_by_another_training(config: Path) -> None:
    model = config.parent / "model" / "model.safetensors"
    content = model.read_bytes()
    shutil.rmtree(config.parent / "model" / "checkpoints")
    for change in ((), ("--set", "model.hidden_size=24"), ("--set", "training.seed=2")):
        error = error_of(forked("train", config, *change))
        assert error.startswith(f"{model}: a finished model, which has no checkpoints to go on from"), error
        assert "set another `folder`" in error
    assert model.read_bytes() == content
    model.unlink()  # the way that the error names
    assert forked("train", config).returncode == 0
    assert model.read_bytes() == content


def test_checkpoints_of_another_training_beside_a_finished_model(config: Path) -> None:
    path = config.parent / "model" / "config.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    error = error_of(forked("train", config, *MORE))
    assert error.startswith("training.seed: the finished model in "), error


def test_how_to_translate_can_be_set_after_training(config: Path) -> None:
    folder = config.parent / "model"
    before = (folder / "model.safetensors").read_bytes()
    done = forked("train", config, "--set", "decoding.beam_size=3", "--set", "training.learning_rate=0.5")
    assert done.returncode == 0, done.stderr
    assert "the model has the new decoding.beam_size now" in done.stderr
    assert "training.learning_rate: changed too late to matter" in done.stderr
    settings = json.loads((folder / "config.json").read_text())
    assert settings["decoding"]["beam_size"] == 3
    assert settings["training"]["learning_rate"] == 0.002  # as it was trained
    assert check_digests(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    again = forked("train", config, "--set", "decoding.beam_size=3")
    assert "new" not in again.stderr, again.stderr


@pytest.mark.parametrize("name", ["state.json", "optimizer.safetensors"])
def test_a_damaged_checkpoint_that_nobody_goes_on_from_ends_no_training(config: Path, name: str) -> None:
    flip(config.parent / "model" / "checkpoints" / "step_3" / name, 40)
    done = forked("train", config, *MORE)
    assert done.returncode == 0, done.stderr
    assert Checkpoints(config.parent / "model").is_readable(9)


def test_a_best_checkpoint_that_was_removed(config: Path) -> None:
    folder = config.parent / "model"
    shutil.rmtree(folder / "checkpoints" / "step_3")
    path = folder / "checkpoints" / "step_6" / "state.json"
    state, checksums = Checkpoints(folder).read_state(6)
    state.best_step = 3
    _write_state(path.parent, state, checksums)
    done = forked("train", config)
    assert done.returncode == 0, done.stderr
    assert "the best checkpoint, of step 3, is missing or damaged: the best from here on counts" in done.stderr
    assert check_digests(folder)


def test_a_checkpoint_of_another_vocabulary(config: Path) -> None:
    folder = config.parent / "model"
    state, checksums = Checkpoints(folder).read_state(6)
    _write_state(folder / "checkpoints" / "step_6", state, {**checksums, "joint.spm": "0" * 64})
    assert error_of(forked("train", config, *MORE)).startswith(f"{folder / 'joint.spm'}: damaged, or another than")


def test_the_only_checkpoint_is_damaged(config: Path) -> None:
    folder = config.parent / "model" / "checkpoints"
    shutil.rmtree(folder / "step_3")
    flip(folder / "step_6" / "model.safetensors")
    assert error_of(forked("train", config, *MORE)).endswith(f"its checksum is wrong; remove {folder} to begin anew")


@pytest.mark.parametrize(
    ("removed", "error"),
    [("joint.spm", None), ("data", None), ("SHA256SUMS", None), ("checkpoints", None), ("", "removed, renamed or")],
)
def test_what_is_removed_while_training_runs(tmp_path: Path, removed: str, error: str | None) -> None:
    """The model is whole in the end, or training says that it cannot be."""
    path = write_config(tmp_path)
    folder = tmp_path / "model"

    def remove() -> None:
        from nmt.training.trainer import Trainer  # noqa: PLC0415

        original = Trainer.step

        def step(self: Trainer, *batches: object) -> object:
            if self.state.step == 4:
                place = folder / removed
                place.unlink() if place.is_file() else shutil.rmtree(place, ignore_errors=True)
            return original(self, *batches)

        Trainer.step = step  # type: ignore[assignment,method-assign]

    done = forked("train", path, before=remove)
    if error is None:
        assert done.returncode == 0, done.stderr
        assert check_digests(folder)
        assert forked("translate", folder, stdin=b"The dog\n").returncode == 0
    else:
        assert error in error_of(done)


def test_a_damaged_vocabulary_is_not_averaged(config: Path, tmp_path: Path) -> None:
    flip(config.parent / "model" / "joint.spm", 300)
    error = error_of(forked("average", config.parent / "model", "--last", "2", "--output", tmp_path / "mean"))
    assert "joint.spm: " in error
    assert not (tmp_path / "mean" / "model.safetensors").exists()


@pytest.mark.parametrize("command", ["prepare", "train", "plan", "average"])
def test_one_writer_in_a_folder(config: Path, command: str) -> None:
    folder = config.parent / "model"
    arguments: tuple[str | Path, ...] = (config,)
    if command == "average":
        (folder / "model.safetensors").unlink()
        arguments = (folder, "--last", "1", "--output", folder)
    if command == "plan":
        shutil.rmtree(folder / "data")
    with locked(folder):
        assert f"{folder}: another nmt command is at work in it" in error_of(forked(command, *arguments))
