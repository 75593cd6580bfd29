"""Subwords drawn anew in training: a function of seed, epoch and batch, whatever happened before."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from test_batching import split_of

from nmt.data.batching import Batch, SubwordSampling, TrainingBatches
from nmt.data.prepared import PreparedSplit
from nmt.data.subwords import EOS, UNK, Subwords, train_subwords

STEMS, ENDINGS = ["water", "green", "hous", "walk", "fall", "read", "light"], ["ing", "er", "s", "ed", "ers", "ings"]
WORDS = [stem + ending for stem in STEMS for ending in ENDINGS]
LINES = [" ".join(WORDS[(i * k * 5 + k) % len(WORDS)] for k in range(1, 3 + i % 5)) for i in range(120)]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def subwords(request: pytest.FixtureRequest) -> Subwords:
    return train_subwords(LINES, 60, model_type=request.param)


@pytest.fixture
def split(subwords: Subwords, tmp_path: Path) -> PreparedSplit:
    ids = subwords.encode_lines(LINES)
    return split_of(tmp_path, list(zip(ids, reversed(ids), strict=True)))


def batches(
    split: PreparedSplit, subwords: Subwords, share: float = 0.5, seed: int = 3, alpha: float = 0.2
) -> TrainingBatches:
    return TrainingBatches(split, 120, seed, SubwordSampling(share, alpha, subwords, subwords))


def columns(batch: Batch) -> dict[int, tuple[list[int], list[int]]]:
    """Source and target of each pair by its number, without eos."""
    found = {}
    for column, index in enumerate(batch.indices.tolist()):
        source, target = batch.source[:, column].tolist(), batch.target_output[:, column].tolist()
        found[index] = (source[: source.index(EOS)], target[: target.index(EOS)])
    return found


def test_drawing_depends_on_nothing_but_the_seed(subwords: Subwords) -> None:
    drawn = subwords.sample_lines(LINES, 0.2, seed=5)
    subwords.sample_lines(LINES[:3], 0.5, seed=9)
    train_subwords(LINES, 40)  # uses SentencePiece's generator of this thread
    assert subwords.sample_lines(LINES, 0.2, seed=5) == drawn
    assert subwords.sample_lines(LINES, 0.2, seed=6) != drawn
    elsewhere: list[list[list[int]]] = []
    thread = threading.Thread(target=lambda: elsewhere.append(subwords.sample_lines(LINES, 0.2, seed=5)))
    thread.start()
    thread.join()
    assert elsewhere == [drawn]
    assert subwords.decode_lines(drawn) == LINES
    assert sum(map(len, drawn)) > sum(map(len, subwords.encode_lines(LINES)))
    assert subwords.encode_lines(LINES) == subwords.encode_lines(LINES)  # sampling leaves no trace


def test_batches_keep_their_pairs_and_their_text(split: PreparedSplit, subwords: Subwords) -> None:
    plain = [columns(batch) for batch in TrainingBatches(split, 120, 3).batches(0)]
    drawn = [columns(batch) for batch in batches(split, subwords).batches(0)]
    assert [set(batch) for batch in drawn] == [set(batch) for batch in plain]
    changed = [0, 0]
    for before, after in zip(plain, drawn, strict=True):
        for index in before:
            for side in (0, 1):
                changed[side] += before[index][side] != after[index][side]
                assert subwords.decode(before[index][side]) == subwords.decode(after[index][side])
    assert all(0.05 * len(LINES) < count < 0.8 * len(LINES) for count in changed)


def test_arrays_fit_the_longer_sentences(split: PreparedSplit, subwords: Subwords) -> None:
    for batch in batches(split, subwords, share=0.99).batches(0):
        assert (batch.source_lengths[:-1] >= batch.source_lengths[1:]).all()
        assert batch.source.shape[0] == batch.source_lengths[0]
        assert ((batch.source == EOS).sum(0) == 1).all()
        assert (batch.source.argmin(0)[batch.source_lengths < batch.source_lengths[0]]).all()
        assert batch.target_tokens == batch.target_lengths.sum() == (batch.target_output > 0).sum()


def test_no_batch_is_more_than_twice_as_large(split: PreparedSplit, subwords: Subwords) -> None:
    sizes = [batch.source.size for batch in batches(split, subwords, 0.99, alpha=0.8).batches(0)]
    sizes += [batch.source.size for batch in batches(split, subwords, 0.99, alpha=0.02).batches(0)]
    assert 120 < max(sizes) <= 240


def test_an_epoch_can_start_anywhere_and_no_two_are_alike(split: PreparedSplit, subwords: Subwords) -> None:
    whole = [columns(batch) for batch in batches(split, subwords).batches(1)]
    data = batches(split, subwords)
    for start in (5, 2):
        assert [columns(batch) for batch in data.batches(1, start)] == whole[start:]
    other = {index: pair for batch in data.batches(2) for index, pair in columns(batch).items()}
    assert other != {index: pair for batch in whole for index, pair in batch.items()}
    reseeded = {
        index: pair for batch in batches(split, subwords, seed=4).batches(1) for index, pair in columns(batch).items()
    }
    assert reseeded != {index: pair for batch in whole for index, pair in batch.items()}


def test_unknown_characters_keep_a_sentence_as_it_is(subwords: Subwords, tmp_path: Path) -> None:
    ids = subwords.encode_lines(["watering ☃ house"] * 20)
    assert UNK in ids[0]
    split = split_of(tmp_path, list(zip(ids, ids, strict=True)))
    for batch in batches(split, subwords, share=0.99).batches(0):
        assert all(pair == (ids[0], ids[0]) for pair in columns(batch).values())
