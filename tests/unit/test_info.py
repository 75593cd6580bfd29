"""`nmt info`: of finished models, of models in training, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.commands.info import describe, run
from nmt.model_folder.files import ModelError

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
VALIDATION = {"kind": "validation", "step": 400, "epoch": 20, "seconds": 61.2, "loss": 1.5, "bleu": 30.0}
EVALUATION = {
    "kind": "test",
    "test": "flowers",
    "lines": 1000,
    "beam_size": 5,
    "length_penalty": 1.0,
    "bleu": 35.25,
    "chrf": 60.5,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def write_scores(model: Path, *rows: object) -> None:
    (model / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def start_training(folder: Path) -> Path:
    """Make a folder in which training has reached its first checkpoint."""
    state = {"step": 400, "epoch": 20, "seconds": 61.2, "best_step": 400, "best_scores": {"loss": 1.5}}
    state["config"] = json.loads((MODEL / "config.json").read_text())
    content = json.dumps({"checksums": {}, "state": state})
    for name, text in (("checkpoints/step_400/state.json", content), ("data/record.json", "{}")):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


def test_it_imports_no_torch(model: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['nmt', 'info', sys.argv[1]]\n"
        "from nmt.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "en to tgt" in done.stdout


def test_what_it_says_of_a_finished_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scores(model, VALIDATION, {**VALIDATION, "step": 800, "loss": 1.25}, EVALUATION)
    run(model, as_json=False)
    text = capsys.readouterr().out
    for part in (
        "languages           en to tgt\n",
        "files are as written (SHA256SUMS)",
        "1 bidirectional lstm layer, 12 wide each way",
        "12 wide, shared with the output layer",
        "30 subwords, joint, unigram",
        "parameters                   5,766    23.1 kB\n",
        "800 steps, epoch 20, 1:01 minutes, 2 validations\n",
        "best validation     step 800, loss 1.25, bleu 30\n",
        "flowers, 1,000 lines, beam 5, length penalty 1.0\n",
        "BLEU               35.25",
        "no checkpoints, no prepared data\n",
        "model.safetensors",
    ):
        assert part in text, part
    assert "pairs.tsv" not in text  # where the text lies is nobody's business


def test_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scores(model, EVALUATION, {**EVALUATION, "bleu": 36.0})
    run(model, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["digests"], found["format_version"]) == ("finished", "match", 1)
    assert found["parameters"]["values"] == sum(part["values"] for part in found["parameters"]["parts"].values())
    assert [row["bleu"] for row in found["tests"]] == [36.0]  # the last of the same test and search
    assert found["training"] is None
    assert found["files"]["model.safetensors"] == (model / "model.safetensors").stat().st_size


def test_a_folder_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(start_training(tmp_path), as_json=False)
    text = capsys.readouterr().out
    assert "state               no model yet" in text
    assert "400 steps, epoch 20, 1:01 minutes" in text
    assert "checkpoints of step 400, prepared data" in text
    assert "bidirectional lstm" in text


def test_a_damaged_checkpoint_hides_only_itself(tmp_path: Path) -> None:
    (start_training(tmp_path) / "checkpoints/step_400/state.json").write_text("[" * 100_000)
    found = describe(tmp_path)
    assert (found["state"], found["network"]) == ("no model yet", None)
    assert found["continuing"] == {"checkpoints": [400], "data": True}


def test_torn_and_strange_rows_are_left_out(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scores(
        model, [1], "x", {"kind": "validation", "loss": "low", "step": None}, {**EVALUATION, "test": "\x1b[2J"}
    )
    with (model / "scores.jsonl").open("a") as file:
        file.write('{"kind": "test", "test": NaN, "bleu": NaN, "chrf": 1e400}\n{"kind": "vali')
    run(model, as_json=False)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert text.count("BLEU") == 1


@pytest.mark.parametrize(
    ("removed", "message"),
    [("config.json", r"config\.json: missing"), ("model.safetensors", r"model\.safetensors: missing")],
)
def test_files_that_are_missing(model: Path, removed: str, message: str) -> None:
    (model / removed).unlink()
    with pytest.raises(ModelError, match=message):
        describe(model)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        describe(tmp_path / "none")
    with pytest.raises(ModelError, match=r"config\.json: missing; a model folder is made by"):
        describe(tmp_path)
