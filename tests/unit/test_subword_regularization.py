"""Subwords drawn anew in training: a function of seed, epoch and batch, whatever happened before."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from test_batching import split_of

from nmt.data.batching import Batch, SubwordRegularization, TrainingBatches
from nmt.data.preparation.prepare import PreparedSplit
from nmt.data.subword_regularization import SubwordSampler
from nmt.data.subwords import EOS, UNK, Subwords, train_subwords

Kind = Literal["unigram", "bpe"]

STEMS, ENDINGS = ["water", "green", "hous", "walk", "fall", "read", "light"], ["ing", "er", "s", "ed", "ers", "ings"]
WORDS = [stem + ending for stem in STEMS for ending in ENDINGS]
LINES = [" ".join(WORDS[(i * k * 5 + k) % len(WORDS)] for k in range(1, 3 + i % 5)) for i in range(120)]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return "bpe" if request.param == "bpe" else "unigram"


@pytest.fixture(scope="module")
def subwords(kind: Kind) -> Subwords:
    return train_subwords(LINES, 60, model_type=kind)


@pytest.fixture
def sampler(subwords: Subwords, kind: Kind) -> SubwordSampler:
    return SubwordSampler(subwords, kind, 0.2)


@pytest.fixture
def split(subwords: Subwords, tmp_path: Path) -> PreparedSplit:
    ids = subwords.encode_lines(LINES)
    return split_of(tmp_path, list(zip(ids, reversed(ids), strict=True)))


def batches(split: PreparedSplit, sampler: SubwordSampler, share: float = 0.5, seed: int = 3) -> TrainingBatches:
    return TrainingBatches(split, 120, seed, SubwordRegularization(share, sampler, sampler))


def columns(batch: Batch) -> dict[int, tuple[list[int], list[int]]]:
    """Source and target of each pair by its number, without eos."""
    found = {}
    for column, index in enumerate(batch.indices.tolist()):
        source, target = batch.source[:, column].tolist(), batch.target_output[:, column].tolist()
        found[index] = (source[: source.index(EOS)], target[: target.index(EOS)])
    return found


def test_the_text_stays_and_the_subwords_become_more(subwords: Subwords, sampler: SubwordSampler) -> None:
    random = Random(1)
    plain = subwords.encode_lines(LINES)
    drawn = [sampler.sample(ids, random) for ids in plain]
    assert subwords.decode_lines(drawn) == LINES
    assert sum(map(len, drawn)) > sum(map(len, plain))
    again = Random(1)
    assert [sampler.sample(ids, again) for ids in plain] == drawn


def test_another_process_draws_the_same(subwords: Subwords, kind: Kind, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from random import Random; "
        "from nmt.data.subword_regularization import SubwordSampler; from nmt.data.subwords import Subwords; "
        "subwords = Subwords.load(Path(sys.argv[1])); "
        "sampler = SubwordSampler(subwords, sys.argv[2], 0.2); random = Random(7); "
        "print([sampler.sample(subwords.encode(line), random) for line in sys.argv[3:]])"
    )
    subwords.save(tmp_path / "spm")
    command = [sys.executable, "-c", program, str(tmp_path / "spm"), kind, *LINES[:20]]
    output = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    sampler, random = SubwordSampler(subwords, kind, 0.2), Random(7)
    assert output == f"{[sampler.sample(subwords.encode(line), random) for line in LINES[:20]]}\n"


def test_unigram_has_the_models_distribution() -> None:
    subwords = train_subwords(LINES, 60)
    scores, alpha, word = subwords.scores(), 0.3, "▁walkers"
    expected = {}
    for cuts in (cut for count in range(len(word)) for cut in combinations(range(1, len(word)), count)):
        pieces = [word[begin:end] for begin, end in zip((0, *cuts), (*cuts, len(word)), strict=True)]
        ids = [subwords.id(piece) for piece in pieces]
        if UNK not in ids:
            expected[tuple(ids)] = math.exp(alpha * sum(scores[index] for index in ids))
    total, draws = sum(expected.values()), 20_000
    sampler, random, ids = SubwordSampler(subwords, "unigram", alpha), Random(1), subwords.encode("walkers")
    found = Counter(tuple(sampler.sample(ids, random)) for _ in range(draws))
    assert set(found) <= set(expected)
    for segmentation, weight in expected.items():
        share = weight / total
        assert abs(found[segmentation] / draws - share) < 5 * math.sqrt(share / draws) + 1e-4


def test_bpe_without_chance_is_bpe_and_with_certainty_is_spelling() -> None:
    subwords = train_subwords(LINES, 60, model_type="bpe")
    for ids in subwords.encode_lines(LINES):
        assert SubwordSampler(subwords, "bpe", 0.0).sample(ids, Random(1)) == ids
    spelled = SubwordSampler(subwords, "bpe", 1.0).sample(subwords.encode("walkers"), Random(1))
    assert [subwords.piece(index) for index in spelled] == list("▁walkers")


def test_a_line_without_spaces_has_no_underflow() -> None:
    text = "".join(WORDS * 20)
    subwords = train_subwords(LINES, 60)
    drawn = SubwordSampler(subwords, "unigram", 1.0).sample(subwords.encode(text), Random(1))
    assert subwords.decode(drawn) == text


def test_batches_keep_their_pairs_and_their_text(
    split: PreparedSplit, subwords: Subwords, sampler: SubwordSampler
) -> None:
    plain = [columns(batch) for batch in TrainingBatches(split, 120, 3).batches(0)]
    drawn = [columns(batch) for batch in batches(split, sampler).batches(0)]
    assert [set(batch) for batch in drawn] == [set(batch) for batch in plain]
    changed = [0, 0]
    for before, after in zip(plain, drawn, strict=True):
        for index in before:
            for side in (0, 1):
                changed[side] += before[index][side] != after[index][side]
                assert subwords.decode(before[index][side]) == subwords.decode(after[index][side])
    assert all(0.05 * len(LINES) < count < 0.8 * len(LINES) for count in changed)


def test_arrays_fit_the_longer_sentences(split: PreparedSplit, sampler: SubwordSampler) -> None:
    for batch in batches(split, sampler, share=0.99).batches(0):
        assert (batch.source_lengths[:-1] >= batch.source_lengths[1:]).all()
        assert batch.source.shape[0] == batch.source_lengths[0]
        assert ((batch.source == EOS).sum(0) == 1).all()
        assert (batch.source.argmin(0)[batch.source_lengths < batch.source_lengths[0]]).all()
        assert batch.target_tokens == batch.target_lengths.sum() == (batch.target_output > 0).sum()


def test_no_batch_is_more_than_twice_as_large(split: PreparedSplit, subwords: Subwords, kind: Kind) -> None:
    wild = SubwordSampler(subwords, kind, 0.4 if kind == "bpe" else 0.01)
    assert 120 < max(batch.source.size for batch in batches(split, wild, 0.99).batches(0)) <= 240


def test_an_epoch_can_start_anywhere_and_no_two_are_alike(split: PreparedSplit, sampler: SubwordSampler) -> None:
    whole = [columns(batch) for batch in batches(split, sampler).batches(1)]
    data = batches(split, sampler)
    for start in (5, 2):
        assert [columns(batch) for batch in data.batches(1, start)] == whole[start:]
    other = {index: pair for batch in data.batches(2) for index, pair in columns(batch).items()}
    assert other != {index: pair for batch in whole for index, pair in batch.items()}
    reseeded = {
        index: pair for batch in batches(split, sampler, seed=4).batches(1) for index, pair in columns(batch).items()
    }
    assert reseeded != {index: pair for batch in whole for index, pair in batch.items()}


def test_one_side_and_some_epochs_alone(split: PreparedSplit, sampler: SubwordSampler) -> None:
    drawing = SubwordRegularization(0.9, sampler, None, epochs=2)
    data, plain = TrainingBatches(split, 120, 3, drawing), TrainingBatches(split, 120, 3)
    for epoch in range(4):
        found, expected = (
            {index: pair for batch in each.batches(epoch) for index, pair in columns(batch).items()}
            for each in (data, plain)
        )
        assert {index: target for index, (_, target) in found.items()} == {
            index: target for index, (_, target) in expected.items()
        }
        assert (found == expected) == (epoch >= 2)


def test_unknown_characters_keep_a_sentence_as_it_is(
    subwords: Subwords, sampler: SubwordSampler, tmp_path: Path
) -> None:
    ids = subwords.encode_lines(["watering ☃ house"] * 20)
    assert UNK in ids[0]
    split = split_of(tmp_path, list(zip(ids, ids, strict=True)))
    for batch in batches(split, sampler, share=0.99).batches(0):
        assert all(pair == (ids[0], ids[0]) for pair in columns(batch).values())
