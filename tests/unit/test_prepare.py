from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.dataset import PreparedError, read_sentences, sentence_writer
from nmt.data.preparation.manifest import data_folder, read_overlap
from nmt.data.preparation.overlap import Overlap
from nmt.data.preparation.prepare import PreparedData, check, prepare
from nmt.data.subwords import SubwordError
from nmt.data.text import CorpusError

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
    assert check(settings(folder, f"data.valid=['{folder}/valid.src', '{folder}/moved']"))[:2] == ("fresh", "")


def test_other_text_or_settings_make_it_stale(folder: Path) -> None:
    prepare(settings(folder))
    state, reason, _ = check(settings(folder, "data.max_length=50"))
    assert (state, reason) == ("stale", "prepared with data.max_length = 100, but the settings say 50")
    content = (folder / "train.src").read_text()
    (folder / "train.src").write_text(content.replace("one", "eno"))
    os.utime(folder / "train.src", (1, 1))
    assert check(settings(folder))[:2] == ("stale", f"prepared from other text than {folder}/train.src now holds")
    with pytest.raises(PreparedError, match="prepared from other text"):
        PreparedData.open(settings(folder))
    assert prepare(settings(folder))
    assert check(settings(folder))[:2] == ("fresh", "")


@pytest.mark.parametrize("trained", ["checkpoints", "model.safetensors"])
def test_data_of_a_trained_model_is_not_replaced(folder: Path, trained: str) -> None:
    prepare(settings(folder))
    (folder / "model" / trained).mkdir()
    with pytest.raises(PreparedError, match=f"{trained} belongs to the old data"):
        prepare(settings(folder, "data.vocabulary_size=32"))
    assert check(settings(folder))[:2] == ("fresh", "")


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
    ids, offsets = read_sentences(tmp_path, "x", size)
    assert ids.dtype == dtype
    assert ids.tolist() == [size - 1, 0]
    assert offsets.tolist() == [0, 2, 2]


def test_no_sentences_at_all(tmp_path: Path) -> None:
    with sentence_writer(tmp_path, "x", 10):
        pass
    ids, offsets = read_sentences(tmp_path, "x", 10)
    assert (len(ids), offsets.tolist()) == (0, [0])


@settings_of_hypothesis(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 99), max_size=8), max_size=30))
def test_sentences_come_back_as_written(sentences: list[list[int]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with sentence_writer(folder, "x", 100) as append:
            for sentence in sentences:
                append(sentence)
        ids, offsets = read_sentences(folder, "x", 100)
        assert len(offsets) == len(sentences) + 1
        assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == sentences
        assert not list(folder.glob(".*"))


def test_all_corpora_are_used_in_order(folder: Path) -> None:
    write(folder / "more.tsv", ["ten\tzehn\tignored", "one and two\ttwo und one", "\u0001\tx"])
    files = f"['{folder}/train.src', '{folder}/train.tgt']"
    config = settings(folder, f"data.train=[{files}, '{folder}/more.tsv']")
    prepare(config)
    data = PreparedData.open(config)
    assert len(data.train) == len(PAIRS) + 1  # of the second corpus, one pair repeats the first and one is empty
    source, target = data.train.pair(len(PAIRS))
    assert (data.source_subwords.decode(source.tolist()), data.target_subwords.decode(target.tolist())) == (
        "ten",
        "zehn",
    )
    assert data.counts["training pairs read"] == len(PAIRS) + 3
    reason = (
        "prepared from data.train[0] source, data.train[0] target, data.train[1], data.valid source, data.valid target"
    )
    state, message, _ = check(settings(folder, f"data.train=['{folder}/more.tsv', {files}]"))
    assert state == "stale"
    assert message.startswith(reason)


@pytest.mark.parametrize("normalization", ["nmt_nfkc", "nfkc", "identity"])
def test_control_characters_break_nothing(folder: Path, normalization: str) -> None:
    strange = "".join(map(chr, [*range(10), *range(11, 32), 127, 0x85, 0x2028, 0xAD, 0xFEFF, 0x10FFFF, 0xE000]))
    extra = [(f"one{mark}two", f"zwei{mark}drei") for mark in strange] + [(strange, strange)]
    for side, name in enumerate(("src", "tgt")):
        text = "".join(f"{pair[side]}\n" for pair in [*PAIRS, *extra])
        (folder / f"train.{name}").write_text(text, newline="")
    config = settings(folder, f"data.normalization={normalization}", "data.vocabulary_size=90")
    prepare(config)
    counts = PreparedData.open(config).counts
    assert counts["training pairs read"] == len(PAIRS) + len(extra)
    assert counts["training pairs"] >= len(PAIRS) + len(extra) - 2


def test_overlap_is_counted_and_follows_the_test_sets(folder: Path) -> None:
    assert read_overlap(folder / "model") == {}
    write(folder / "test.tsv", ["ONE, and ten!\tTen und one", "new\tneu"])
    config = settings(folder)
    prepare(config)
    valid = Overlap(lines=12, sources=12, pairs=12)
    assert read_overlap(config.folder) == {"valid": valid}
    ids = data_folder(config) / "train.source.ids.npy"
    written = ids.stat().st_mtime_ns
    (config.folder / "model.safetensors").touch()  # other test sets are no other data
    config = settings(folder, f"data.test.valid='{folder}/test.tsv'", f"data.test.x='{folder}/test.tsv'")
    assert check(config)[:2] == ("fresh", "")
    assert prepare(config)
    found = Overlap(lines=2, sources=1, pairs=1)
    assert read_overlap(config.folder) == {"valid": found, "x": found}  # a test set's name comes before ours
    assert not prepare(config)
    write(folder / "test.tsv", ["new\tneu"])
    assert prepare(config)
    assert read_overlap(config.folder)["x"] == Overlap(lines=1, sources=0, pairs=0)
    assert "x: 0 of 1 sources" in (data_folder(config) / "report.txt").read_text()
    assert ids.stat().st_mtime_ns == written


@pytest.mark.parametrize("place", ["data.train", "data.valid", "data.test.x"])
def test_a_missing_file_is_named_with_its_setting(folder: Path, place: str) -> None:
    with pytest.raises(CorpusError, match=rf"{place}.*: expected a file, got {folder}/none\.tsv, which does not exist"):
        prepare(settings(folder, f"{place}='{folder}/none.tsv'"))


def test_what_was_lost_is_made_again(folder: Path) -> None:
    config = settings(folder)
    prepare(config)
    lost = config.folder / "joint.spm"
    content = lost.read_bytes()
    lost.unlink()
    assert check(config)[0] == "missing"
    with pytest.raises(PreparedError, match=r"joint\.spm: missing; run `nmt prepare`"):
        PreparedData.open(config)
    assert prepare(config)
    assert lost.read_bytes() == content


def test_vocabularies_of_a_trained_model_are_not_replaced(folder: Path) -> None:
    config = settings(folder)
    prepare(config)
    (config.folder / "model.safetensors").touch()
    content = (config.folder / "joint.spm").read_bytes()
    shutil.rmtree(data_folder(config))
    assert prepare(config)  # the same again
    for other in ("data.vocabulary_size=32", "data.joint_vocabulary=false"):
        shutil.rmtree(data_folder(config))
        with pytest.raises(PreparedError, match=r"\.spm: belongs to .*model\.safetensors, but other text or settings"):
            prepare(settings(folder, other, "data.vocabulary_size=32"))
        assert (config.folder / "joint.spm").read_bytes() == content
        assert prepare(config)


def test_files_of_others_in_the_folder_stay(folder: Path) -> None:
    config = settings(folder)
    data_folder(config).mkdir(parents=True)
    (data_folder(config) / "corpus.txt").touch()
    prepare(config)
    prepare(settings(folder, "data.vocabulary_size=32"))
    assert (data_folder(config) / "corpus.txt").exists()


def test_the_report_tells_what_came_of_it(folder: Path) -> None:
    extra = [("", "x"), PAIRS[0], ("one " * 20, "one"), ("one " * 90, "one"), ("One. " * 40, "Eins. " * 40), ("x", "x")]
    for side, name in enumerate(("src", "tgt")):
        write(folder / f"train.{name}", [pair[side] for pair in PAIRS + extra])
    messages: list[str] = []
    prepare(settings(folder, "data.max_length=60", "data.vocabulary_size=44"), messages.append)
    assert [message.split("\n")[0] for message in messages] == [
        "reading the text",
        "training subwords on 106 pairs",
        "encoding 106 training pairs",
        "what came of it",
    ]
    report = (folder / "model" / "data" / "report.txt").read_text()
    assert report in messages[-1]
    rows = [" ".join(line.split()) for line in report.splitlines()]
    for row in (
        "pairs read 106",
        "left out, empty 1 0.94%",
        "left out, duplicate 1 0.94%",
        "left out, too long 1 0.94%",
        "left out, uneven lengths 1 0.94%",
        "split at sentence ends 1 into 40",
        "kept to train on 141",
        "joint vocabulary 44 subwords",
        "valid: 12 of 12 sources (100.00%), 12 pairs (100.00%)",
    ):
        assert row in rows, report
