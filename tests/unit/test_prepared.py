from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.corpus import CorpusError
from nmt.data.ids import PreparedError, read_sentences, sentence_writer
from nmt.data.prepared import PreparedData, check, prepare
from nmt.data.record import data_folder
from nmt.data.subwords import SubwordError

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
PAIRS = [(f"{a} and {b}", f"{b} und {a}") for a in NUMBERS for b in NUMBERS]


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for side, name in enumerate(("src", "tgt")):
        write(tmp_path / f"train.{name}", [pair[side] for pair in PAIRS])
        write(tmp_path / f"valid.{name}", [pair[side] for pair in PAIRS[::9]])
    return tmp_path


def settings(folder: Path, *overrides: str) -> Config:
    files = [f"data.{split}=['{folder}/{split}.src', '{folder}/{split}.tgt']" for split in ("train", "valid")]
    return load_config(
        None, [f"folder={folder}/model", *files, "data.vocabulary_size=40", "data.subword_model=bpe", *overrides]
    )


@pytest.mark.parametrize("joint", ["true", "false"])
def test_the_text_comes_back(folder: Path, joint: str) -> None:
    config = settings(folder, f"data.joint_vocabulary={joint}", "data.vocabulary_size=32")
    assert prepare(config)
    data = PreparedData.open(config)
    assert (len(data.train), len(data.valid)) == (len(PAIRS), len(PAIRS[::9]))
    for index, (source, target) in enumerate(PAIRS):
        source_ids, target_ids = data.train.pair(index)
        assert data.source_subwords.decode(source_ids.tolist()) == source
        assert data.target_subwords.decode(target_ids.tolist()) == target
    assert data.train.lengths("source").tolist() == [len(data.train.pair(i)[0]) for i in range(len(PAIRS))]
    assert data.counts["training source subwords"] == data.train.lengths("source").sum()
    names = {path.name for path in config.folder.glob("*.spm")}
    assert names == ({"joint.spm"} if joint == "true" else {"source.spm", "target.spm"})


def test_the_second_time_nothing_is_done(folder: Path) -> None:
    assert prepare(settings(folder))
    before = {path: path.stat().st_mtime_ns for path in (folder / "model").rglob("*")}
    assert not prepare(settings(folder, "training.epochs=3"))
    assert {path: path.stat().st_mtime_ns for path in (folder / "model").rglob("*")} == before


def test_touched_or_moved_text_is_still_the_same_text(folder: Path) -> None:
    prepare(settings(folder))
    os.utime(folder / "train.src", (1, 1))
    (folder / "valid.tgt").rename(folder / "moved")
    assert check(settings(folder, f"data.valid=['{folder}/valid.src', '{folder}/moved']")) == ("fresh", "")


def test_other_text_or_settings_make_it_stale(folder: Path) -> None:
    prepare(settings(folder))
    state, reason = check(settings(folder, "data.max_length=50"))
    assert (state, reason) == ("stale", "prepared with data.max_length = 100, but the settings say 50")
    content = (folder / "train.src").read_text()
    (folder / "train.src").write_text(content.replace("one", "eno"))
    os.utime(folder / "train.src", (1, 1))
    assert check(settings(folder)) == ("stale", f"prepared from other text than {folder}/train.src now holds")
    with pytest.raises(PreparedError, match="prepared from other text"):
        PreparedData.open(settings(folder))
    assert prepare(settings(folder))
    assert check(settings(folder)) == ("fresh", "")


@pytest.mark.parametrize("trained", ["checkpoints", "model.safetensors"])
def test_data_of_a_trained_model_is_not_replaced(folder: Path, trained: str) -> None:
    prepare(settings(folder))
    (folder / "model" / trained).mkdir()
    with pytest.raises(PreparedError, match=f"{trained} belongs to the old data"):
        prepare(settings(folder, "data.vocabulary_size=32"))
    assert check(settings(folder)) == ("fresh", "")


def test_unusable_pairs_are_left_out_and_counted(folder: Path) -> None:
    extra = [("", "x"), ("x", ""), ("one " * 80, "x")]
    for side, name in enumerate(("src", "tgt")):
        write(folder / f"train.{name}", [pair[side] for pair in PAIRS + extra])
    config = settings(folder, "data.max_length=60")
    prepare(config)
    counts = PreparedData.open(config).counts
    assert counts["training pairs"] == len(PAIRS)
    assert counts["training pairs left out, empty"] == 2
    assert counts["training pairs left out, too long"] == 1


def test_validation_pairs_are_all_kept(folder: Path) -> None:
    write(folder / "valid.src", ["one", "", "one " * 200])
    write(folder / "valid.tgt", ["one", "two", ""])
    config = settings(folder)
    prepare(config)
    assert len(PreparedData.open(config).valid) == 3


def test_a_failed_run_counts_as_missing(folder: Path) -> None:
    write(folder / "valid.tgt", ["one"])
    with pytest.raises(CorpusError, match=r"got 12 in .*valid\.src and 1 in .*valid\.tgt"):
        prepare(settings(folder))
    assert check(settings(folder))[0] == "missing"
    assert not list(data_folder(settings(folder)).glob(".*"))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_empty_files_are_refused(folder: Path, split: str) -> None:
    for name in ("src", "tgt"):
        write(folder / f"{split}.{name}", [])
    with pytest.raises(CorpusError, match=rf"{split}\.src.*expected"):
        prepare(settings(folder))


def test_bad_text_is_named(folder: Path) -> None:
    (folder / "train.src").write_bytes(b"\xff\n" * len(PAIRS))
    with pytest.raises(CorpusError, match=r"train\.src: line 1: expected UTF-8"):
        prepare(settings(folder))


def test_a_vocabulary_that_is_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(SubwordError, match=r"data\.vocabulary_size: expected at most"):
        prepare(settings(folder, "data.vocabulary_size=9000"))


def test_missing_and_damaged_data(folder: Path) -> None:
    config = settings(folder)
    with pytest.raises(PreparedError, match="holds no prepared data; run `nmt prepare`"):
        PreparedData.open(config)
    prepare(config)
    ids = data_folder(config) / "train.target.ids.npy"
    content = ids.read_bytes()
    for damaged in (b"", content[:200], b"\x93NUMPY"):
        ids.write_bytes(damaged)
        with pytest.raises(PreparedError, match=r"train\.target"):
            PreparedData.open(config)
    (data_folder(config) / "prepared.json").write_text("{}")
    with pytest.raises(PreparedError, match="damaged or of another version"):
        PreparedData.open(config)


@pytest.mark.parametrize(("size", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_ids_take_as_few_bytes_as_they_can(tmp_path: Path, size: int, dtype: type[np.generic]) -> None:
    with sentence_writer(tmp_path, "x", size) as append:
        append([size - 1, 0])
        append([])
    ids, offsets = read_sentences(tmp_path, "x")
    assert ids.dtype == dtype
    assert ids.tolist() == [size - 1, 0]
    assert offsets.tolist() == [0, 2, 2]


def test_no_sentences_at_all(tmp_path: Path) -> None:
    with sentence_writer(tmp_path, "x", 10):
        pass
    ids, offsets = read_sentences(tmp_path, "x")
    assert (len(ids), offsets.tolist()) == (0, [0])
