"""Averages of checkpoints: whole model folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import error_of, forked, write_config
from synthetic import make_pairs

from nmt.decoding.translator import Translator
from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.files import read_settings
from nmt.model_folder.weights import load_model, parameters_of, read_tensors
from nmt.training import TrainingError
from nmt.training.averaging import average_checkpoints, choose_steps
from nmt.training.checkpoint import Checkpoints


@pytest.fixture(scope="module", params=[("true", 90), ("false", 45)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = write_config(tmp_path_factory.mktemp("average"), validate_every=2, keep_checkpoints=3)
    joint, size = request.param
    options = ("--set", f"data.joint_vocabulary={joint}", "--set", f"data.vocabulary_size={size}")
    done = forked("train", config, *options)
    assert done.returncode == 0, done.stderr
    return config.parent / "model"


def parameters(model: Path, step: int) -> dict[str, torch.Tensor]:
    return read_tensors(Checkpoints(model).path(step) / "model.safetensors")[0]


@pytest.mark.parametrize(("options", "steps"), [(("--last", "2"), (4, 6)), (("--steps", "6,2,4"), (2, 4, 6))])
def test_the_average_is_a_model(model: Path, tmp_path: Path, options: tuple[str, ...], steps: tuple[int, ...]) -> None:
    output = tmp_path / "new" / "average"
    done = forked("average", model, *options, "--output", output)
    assert done.returncode == 0, done.stderr
    which = ", ".join(map(str, steps))
    assert done.stderr == f"nmt average: averaged steps {which} into {output}\n"
    config, network = load_model(output, Seq2Seq.from_config, parameter_shapes)
    trained = read_settings(model)
    assert config.folder == output
    assert None not in (trained.lines, trained.doubtful)
    assert (config.lines, config.doubtful) == (trained.lines, trained.doubtful)
    parts = [parameters(model, step) for step in steps]
    for name, value in parameters_of(network).items():
        mean = sum(part[name].double() for part in parts) / len(parts)
        torch.testing.assert_close(value.detach(), mean.float(), rtol=0, atol=0)
    assert f"steps {which}" in (output / "README.md").read_text()
    assert {path.name for path in model.glob("*.spm")} == {path.name for path in output.glob("*.spm")}
    lines = [source for source, _ in make_pairs(3, seed=5)]
    assert len(Translator.load(output, threads=1).translate(lines, beam_size=2)) == 3


def test_one_checkpoint_is_itself(model: Path, tmp_path: Path) -> None:
    average_checkpoints(model, [4], tmp_path / "one")
    step = Checkpoints(model).path(4) / "model.safetensors"
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == step.read_bytes()


def test_what_cannot_be_averaged(model: Path, tmp_path: Path) -> None:
    for last, steps, message in (
        (4, None, r"--last 4: .* holds 3 checkpoints \(2, 4, 6\)"),
        (None, [4, 5], "--steps 5: .* holds no checkpoint of this step; there are 2, 4, 6"),
        (None, [], "--steps: expected steps, got none"),
    ):
        with pytest.raises(TrainingError, match=message):
            choose_steps(model, last, steps)
    with pytest.raises(TrainingError, match=f"{tmp_path}: expected checkpoints of `nmt train`, found none"):
        choose_steps(tmp_path, 1, None)


def test_wrong_usage(model: Path, tmp_path: Path) -> None:
    output = ("--output", tmp_path / "new")
    assert "holds a model already" in error_of(forked("average", model, "--last", "1", "--output", model))
    assert "expected numbers separated by commas" in error_of(forked("average", model, "--steps", "2;4", *output))
    assert forked("average", model, *output).returncode == 2
    assert forked("average", model, "--last", "1", "--steps", "2", *output).returncode == 2
    assert not (tmp_path / "new").exists()


def test_damage_is_found(model: Path, tmp_path: Path) -> None:
    state = Checkpoints(model).path(4) / "state.json"
    content = json.loads(state.read_text())
    content["checksums"]["model.safetensors"] = "0" * 64
    before = state.read_bytes()
    state.write_text(json.dumps(content))
    with pytest.raises(TrainingError, match=r"step_4/model.safetensors: damaged: its checksum is wrong"):
        average_checkpoints(model, [2, 4], tmp_path / "new")
    state.write_bytes(before)
    assert not (tmp_path / "new").exists()
