"""The commands one after the other, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import forked, nmt
from synthetic import make_pairs, write_corpus

ODD_LINES = b"The old dog sees the small cat.\r\n\nbad \xff bytes\n a\rb \xe2\x80\xa8 c\n\t \n\0\nno end of line"


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    source, target = write_corpus(folder / "text", make_pairs(60, seed=1))
    files = f"['{source}', '{target}']"
    path = folder / "config.toml"
    path.write_text(
        f"folder = '{folder}/model'\n"
        f"[data]\ntrain = {files}\nvalid = {files}\ntest.small = {files}\nvocabulary_size = 90\n"
        "[model]\nembedding_size = 16\nhidden_size = 16\n"
        "[training]\nepochs = 2\nbatch_tokens = 200\nthreads = 1\n"
        "[decoding]\nmax_length_extra = 3\n"
    )
    return path


@pytest.fixture(scope="module")
def model(config_file: Path) -> Path:
    done = nmt("train", config_file)  # prepares by itself
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return config_file.parent / "model"


def test_the_folder_is_complete_and_nothing_is_left_to_do(config_file: Path, model: Path) -> None:
    names = {path.name for path in model.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "joint.spm",
        "README.md",
        "training.log",
        "checkpoints",
        "data",
    } <= names
    assert "nothing to do" in forked("prepare", config_file).stderr
    again = forked("train", config_file)
    assert again.returncode == 0, again.stderr


def test_info_knows_how_training_went(model: Path) -> None:
    done = forked("info", model, "--json")
    assert done.returncode == 0, done.stderr
    training = json.loads(done.stdout)["training"]
    rows = [json.loads(line) for line in (model / "scores.jsonl").read_text().splitlines()]
    validations = [row for row in rows if row["kind"] == "validation"]
    best = min(validations, key=lambda row: row["loss"])
    assert (training["validations"], training["steps"]) == (len(validations), validations[-1]["step"])
    assert (training["best"]["step"], training["best"]["loss"]) == (best["step"], best["loss"])


def test_training_on_other_data_is_refused(config_file: Path, model: Path) -> None:
    for command in ("train", "prepare"):
        done = forked(command, config_file, "--set", "data.max_length=50")
        assert done.returncode == 1
        assert done.stderr.startswith(f"nmt: error: {model}/data: prepared with data.max_length = 100")


def test_one_line_out_for_each_line_in(model: Path) -> None:
    done = forked("translate", model, "--beam-size", "2", "--threads", "1", stdin=ODD_LINES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == ODD_LINES.count(b"\n") + 1
    lines = done.stdout.split("\n")
    assert (lines[1], lines[4]) == ("", "")
    assert not any(break_ in done.stdout for break_ in "\r\u2028")


def test_scores_are_printed_and_kept(model: Path, tmp_path: Path) -> None:
    done = forked("evaluate", model, "--test", "small", "--beam-size", "1", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    bleu, chrf = done.stdout.splitlines()
    assert bleu.startswith("BLEU ")
    assert "tok:13a" in bleu
    assert chrf.startswith("chrF ")
    row = json.loads((model / "scores.jsonl").read_text().splitlines()[-1])
    assert (row["test"], row["lines"], row["beam_size"]) == ("small", 60, 1)
    assert f"BLEU {row['bleu']:.2f}  {row['bleu_signature']}" == bleu
    assert (tmp_path / "out").read_text().count("\n") == 60


def test_files_that_do_not_fit_together_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("The dog.\n")
    (tmp_path / "b").write_text("")
    done = forked("evaluate", model, "--source", tmp_path / "a", "--reference", tmp_path / "b")
    assert (done.returncode, done.stdout) == (1, "")
    assert "got 1 in" in done.stderr
    named = forked("evaluate", model, "--test", "large")
    assert (named.returncode, named.stdout) == (2, "")
    assert "no such test set in the model's settings; they name: small" in named.stderr


def test_a_reader_that_leaves_is_no_traceback(model: Path) -> None:
    command = [sys.executable, "-m", "nmt", "translate", str(model), "--beam-size", "1", "--threads", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(b"The dog.\n" * 10, timeout=120)
    assert (process.returncode, errors) == (1, b"")
