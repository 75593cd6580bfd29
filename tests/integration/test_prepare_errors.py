"""What `nmt prepare` says about bad text and settings: one line, no traceback, exit code 1."""

from __future__ import annotations

import gzip
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import make_pairs, write_corpus

from nmt.lock import LOCK_FILE

PAIRS = make_pairs(60, seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path, PAIRS)
    (tmp_path / "config.toml").write_text(
        f"folder = '{tmp_path}/model'\n"
        "[data]\n"
        f"train = ['{tmp_path}/text.en', '{tmp_path}/text.de']\n"
        f"valid = ['{tmp_path}/text.en', '{tmp_path}/text.de']\n"
        "vocabulary_size = 90\n"
    )
    return tmp_path


def prepare_fails(folder: Path, *overrides: str, before: Callable[[], None] | None = None) -> str:
    """Run the command; returns its one line about the error."""
    command = [sys.executable, "-m", "nmt", "prepare", str(folder / "config.toml")]
    for override in overrides:
        command += ["--set", override]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, preexec_fn=before)
    *progress, last = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert last.startswith("nmt: error: "), done.stderr
    assert all(line.startswith("nmt prepare: ") for line in progress), done.stderr
    return last.removeprefix("nmt: error: ")


def write_pairs(folder: Path, name: str, content: bytes) -> str:
    """Write a file of training pairs; returns the setting that names it."""
    (folder / name).write_bytes(content)
    return f"data.train={folder}/{name}"


TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS).encode()


def test_files_of_different_length(folder: Path) -> None:
    (folder / "text.de").write_text("Der Hund.\n")
    message = prepare_fails(folder)
    assert message == f"expected as many source as target lines, got 60 in {folder}/text.en and 1 in {folder}/text.de"


def test_a_missing_file(folder: Path) -> None:
    message = prepare_fails(folder, f"data.test.small=['{folder}/text.en', '{folder}/none']")
    assert message == f"data.test.small target: expected a file, got {folder}/none, which does not exist"


def test_an_empty_file(folder: Path) -> None:
    message = prepare_fails(folder, write_pairs(folder, "empty.tsv", b""))
    assert message == f"{folder}/empty.tsv: expected text, got an empty file"


def test_invalid_utf8(folder: Path) -> None:
    message = prepare_fails(folder, write_pairs(folder, "bad.tsv", TSV + b"caf\xe9\tcaf\xc3\xa9\n"))
    assert message.startswith(
        f"{folder}/bad.tsv: line 61: expected UTF-8, got byte 0xe9 at position 3; if it is CP1252: "
    )


def test_damaged_gzip(folder: Path) -> None:
    message = prepare_fails(folder, write_pairs(folder, "bad.tsv.gz", gzip.compress(TSV)[:-20]))
    assert message.startswith(f"{folder}/bad.tsv.gz: after line ")
    assert "expected gzip data" in message


def test_a_line_of_one_column(folder: Path) -> None:
    message = prepare_fails(folder, write_pairs(folder, "bad.tsv", TSV + b"no tab\n"))
    assert message == f"{folder}/bad.tsv: line 61: expected source and target separated by a tab, got no tab"


@pytest.mark.parametrize(("size", "bound"), [(5000, "at most"), (20, "at least")])
def test_a_vocabulary_of_impossible_size(folder: Path, size: int, bound: str) -> None:
    message = prepare_fails(folder, f"data.vocabulary_size={size}")
    assert message.startswith(f"data.vocabulary_size: expected {bound} ")
    assert f"got {size}" in message


def test_no_usable_pair(folder: Path) -> None:
    message = prepare_fails(folder, "data.max_length=1")
    assert message == (
        "data.train: expected pairs to train on, got none that are usable "
        "(0 empty, 0 duplicate, 60 too long, 0 uneven lengths)"
    )


def test_a_folder_that_cannot_be(folder: Path) -> None:
    message = prepare_fails(folder, f"folder={folder}/text.en/model")
    assert message == f"{folder}/text.en/model: Not a directory"


def test_a_disk_that_is_full(folder: Path) -> None:
    """A limit on the size of files stands for it: writing fails in the same place."""
    message = prepare_fails(folder, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert message == f"{folder}/model/joint.spm: File too large"
    assert not [path for path in (folder / "model").rglob("*") if path.is_file() and path.name != LOCK_FILE]
