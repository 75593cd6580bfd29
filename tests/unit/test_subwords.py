from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece

from nmt.config_data import DataConfig
from nmt.data.subwords import (
    BOS,
    EOS,
    PAD,
    UNK,
    SubwordError,
    Subwords,
    load_subwords,
    subword_contents,
    train_subwords,
    training_share,
)

TEXT = [
    f"the {animal} {verb} the {other}"
    for animal in ("dog", "cat", "bird", "horse", "goat")
    for verb in ("sees", "sees again", "guards", "carries", "reaches")
    for other in ("tree", "house", "river", "garden", "bridge")
]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def subwords(request: pytest.FixtureRequest) -> Subwords:
    return train_subwords(TEXT, 32, model_type=request.param)


def test_special_pieces_and_size(subwords: Subwords) -> None:
    assert subwords.size == 32
    assert [subwords.id(subwords.piece(index)) for index in range(4)] == [PAD, UNK, BOS, EOS]
    assert subwords.id("no such piece") == UNK


def test_round_trip(subwords: Subwords) -> None:
    ids = subwords.encode_lines(TEXT)
    assert subwords.decode_lines(ids) == TEXT
    assert subwords.encode(TEXT[0]) == ids[0]
    assert subwords.decode([BOS, *ids[0], EOS, PAD]) == TEXT[0]
    assert not {PAD, BOS, EOS} & {index for line in ids for index in line}


def test_nothing_gives_nothing(subwords: Subwords) -> None:
    assert subwords.encode_lines([]) == []
    assert subwords.decode_lines([]) == []
    assert [subwords.encode(text) for text in ("", "  ")] == [[], []]
    assert subwords.decode([]) == ""


def test_strange_text_is_encoded_all_the_same(subwords: Subwords) -> None:
    for text in ("\0", "a\rb", "\ufffd", "Ж", "x" * 10_000, "\U0001f600"):
        assert all(0 <= index < subwords.size for index in subwords.encode(text))


@pytest.mark.parametrize("ids", [[-1], [32], [5, 10_000]])
def test_foreign_ids_are_refused(subwords: Subwords, ids: list[int]) -> None:
    with pytest.raises(SubwordError, match="expected ids from 0 to 31, got"):
        subwords.decode(ids)


def test_training_is_deterministic(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_subwords(TEXT, 32).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_largest_possible_size_is_named_and_works() -> None:
    with pytest.raises(SubwordError, match=r"vocabulary_size: expected at most \d+ .* got 5000") as caught:
        train_subwords(TEXT, 5000, model_type="bpe")
    largest = int(str(caught.value).split("at most ")[1].split()[0])
    assert train_subwords(TEXT, largest, model_type="bpe").size == largest


def test_a_size_below_the_alphabet_is_refused() -> None:
    with pytest.raises(SubwordError, match=r"vocabulary_size: expected at least \d+, .* got 10 "):
        train_subwords(TEXT, 10)


def test_no_text_is_refused() -> None:
    with pytest.raises(SubwordError, match="got only lines that are empty"):
        train_subwords(["", " "], 32)


@pytest.mark.parametrize("content", [b"", b"something else"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "joint.spm"
    path.write_bytes(content)
    with pytest.raises(SubwordError, match=r"joint\.spm: expected"):
        load_subwords(tmp_path, ["joint.spm"])


def test_the_settings_say_which_vocabularies_are_read(tmp_path: Path, subwords: Subwords) -> None:
    both = ["source.spm", "target.spm"]
    for name in both:
        with pytest.raises(SubwordError, match=rf"{name}: missing"):
            load_subwords(tmp_path, both)
        subwords.save(tmp_path / name)
    (tmp_path / "joint.spm").write_bytes(b"planted")
    source, target = load_subwords(tmp_path, both)
    assert source is not target
    assert subword_contents(both, (source, target)) == dict.fromkeys(both, subwords.serialized)
    subwords.save(tmp_path / "joint.spm")
    source, target = load_subwords(tmp_path, ["joint.spm"])
    assert source is target
    assert subword_contents(["joint.spm"], (source, target)) == {"joint.spm": subwords.serialized}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "joint.spm")
    with pytest.raises(OSError, match="expected a file, got a named pipe"):
        load_subwords(tmp_path, ["joint.spm"])


def test_digits_can_be_kept_apart():
    lines = [f"am {day}. Mai {1900 + day % 3} um {day % 24} Uhr" for day in range(1, 80)]

    def long_numbers(split: bool) -> list[str]:
        subwords = train_subwords(lines, 36, model_type="bpe", split_digits=split)
        assert subwords.decode(subwords.encode("am 8. Mai 1901")) == "am 8. Mai 1901"
        pieces = [subwords.piece(index).strip("▁") for index in range(subwords.size)]
        return [piece for piece in pieces if piece.isdigit() and len(piece) > 1]

    assert long_numbers(split=False)
    assert not long_numbers(split=True)


def test_a_large_text_is_drawn_from_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_share(0, 0) == training_share(500_000, 16_000_000) == 1.0
    assert training_share(1_000_000, 1) == 0.5
    assert training_share(1, 64_000_000) == 0.25
    seen: list[str] = []

    def train(**settings: object) -> None:
        seen.extend(settings["sentence_iterator"])
        original(**settings | {"sentence_iterator": iter(seen)})

    original = sentencepiece.SentencePieceTrainer.train
    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", train)
    models = []
    for _ in range(2):
        seen.clear()
        models.append(train_subwords(TEXT * 20, 32, share=0.1).serialized)
        assert 0.07 < len(seen) / len(TEXT * 20) < 0.13
    assert models[0] == models[1]


PROCESS = """
import hashlib, random
import nmt.data.subwords as subwords
subwords._TRAINING_LINES = 101
random = random.Random(1)
lines = ["".join(random.choices("abcdefgh ", k=40)) for _ in range(400)]
print(hashlib.sha256(subwords.train_subwords(lines, 60, share=0.5).serialized).hexdigest())
"""


def test_every_process_draws_the_same_lines() -> None:
    """SentencePiece's own choice among more lines than it is told to take differs between processes."""
    made = {subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(made) == 1


@pytest.mark.parametrize("coverage", [0.98, 1.0])
def test_the_bounds_of_the_coverage_are_those_of_sentencepiece(coverage: float) -> None:
    train_subwords(TEXT, 32, character_coverage=coverage)
    field = DataConfig.model_fields["character_coverage"]
    assert [getattr(bound, "ge", None) for bound in field.metadata if hasattr(bound, "ge")] == [0.98]
    with pytest.raises(SubwordError):
        train_subwords(TEXT, 32, character_coverage=0.979)
