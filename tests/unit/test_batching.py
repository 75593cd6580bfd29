from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.batching import TrainingBatches, collate, epoch_batches, longest_first, validation_batches
from nmt.data.dataset import PreparedSplit, read_sentences, sentence_writer
from nmt.data.subwords import BOS, EOS, PAD

lengths = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=300)


def split_of(folder: Path, pairs: list[tuple[list[int], list[int]]]) -> PreparedSplit:
    for side in (0, 1):
        with sentence_writer(folder, f"s{side}", 100) as write:
            for pair in pairs:
                write(pair[side])
    return PreparedSplit(read_sentences(folder, "s0", 100), read_sentences(folder, "s1", 100))


@given(lengths=lengths, batch_tokens=st.integers(1, 400), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_every_pair_is_in_one_batch_within_the_budget(
    lengths: list[tuple[int, int]], batch_tokens: int, seed: int, epoch: int
) -> None:
    source, target = [pair[0] for pair in lengths], [pair[1] for pair in lengths]
    batches = epoch_batches(source, target, batch_tokens, seed, epoch)
    assert sorted(index for batch in batches for index in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) > 0
        longest = max(max(source[i], target[i]) + 1 for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens


@given(lengths=lengths, batch_tokens=st.integers(1, 400), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_the_order_is_a_function_of_seed_and_epoch(
    lengths: list[tuple[int, int]], batch_tokens: int, seed: int, epoch: int
) -> None:
    source, target = [pair[0] for pair in lengths], [pair[1] for pair in lengths]
    first, second = (epoch_batches(source, target, batch_tokens, seed, epoch) for _ in range(2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


def test_seed_and_epoch_change_the_order() -> None:
    sizes = np.random.default_rng(0).integers(1, 30, 2000)
    orders = {
        tuple(np.concatenate(epoch_batches(sizes, sizes, 100, seed, epoch)).tolist())
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    }
    assert len(orders) == 3


def test_there_is_little_padding_and_the_batches_are_mixed() -> None:
    random = np.random.default_rng(0)
    source = random.integers(1, 50, 20_000)
    target = np.maximum(1, source + random.integers(-3, 4, len(source)))
    batches = epoch_batches(source, target, 1000, 1, 0)
    padded = sum(len(batch) * (target[batch].max() + 1) for batch in batches)
    assert padded < 1.1 * (target + 1).sum()
    sizes = [source[batch].mean() for batch in batches]
    assert abs(np.corrcoef(np.arange(len(sizes)), sizes)[0, 1]) < 0.2


@pytest.mark.parametrize(("source", "target", "tokens"), [([1, 2], [1], 10), ([[1]], [[1]], 10), ([1], [1], 0)])
def test_wrong_arguments_are_refused(source: list[int], target: list[int], tokens: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        epoch_batches(source, target, tokens, 0, 0)


def test_collate(tmp_path: Path) -> None:
    split = split_of(tmp_path, [([10], [20, 21]), ([11, 12, 13], [22]), ([], [])])
    batch = collate(split, [0, 1, 2])
    assert batch.indices.tolist() == [1, 0, 2]
    assert batch.source.T.tolist() == [[11, 12, 13, EOS], [10, EOS, PAD, PAD], [EOS, PAD, PAD, PAD]]
    assert batch.source_lengths.tolist() == [4, 2, 1]
    assert batch.target_input.T.tolist() == [[BOS, 22, PAD], [BOS, 20, 21], [BOS, PAD, PAD]]
    assert batch.target_output.T.tolist() == [[22, EOS, PAD], [20, 21, EOS], [EOS, PAD, PAD]]
    assert batch.target_lengths.tolist() == [2, 3, 1]
    assert (batch.source_tokens, batch.target_tokens) == (7, 6)
    assert {array.dtype for array in (batch.source, batch.target_input, batch.target_output)} == {np.dtype(np.int64)}


def test_training_can_start_within_an_epoch(tmp_path: Path) -> None:
    split = split_of(tmp_path, [([5] * (i % 7 + 1), [6] * (i % 5 + 1)) for i in range(60)])
    data = TrainingBatches(split, 30, seed=3)
    whole = [batch.indices.tolist() for batch in data.batches(2)]
    rest = [batch.indices.tolist() for batch in data.batches(2, start=4)]
    assert len(whole) == data.number_of_batches(2)
    assert whole[4:] == rest


def test_validation_batches_hold_every_pair(tmp_path: Path) -> None:
    split = split_of(tmp_path, [([5] * (i % 7), [6] * (i % 5)) for i in range(60)])
    batches = validation_batches(split, 30)
    assert sorted(i for batch in batches for i in batch.indices.tolist()) == list(range(60))
    assert all(batch.source.size <= 30 and batch.target_output.size <= 30 for batch in batches)


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 8), st.integers(1, 200))
def test_the_longest_come_first_each_once_and_within_bounds(
    sizes: list[int], batch_size: int, batch_tokens: int
) -> None:
    batches = longest_first(sizes, batch_tokens, batch_size)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        longest = max(sizes[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens
    order = [sizes[index] for batch in batches for index in batch]
    assert order == sorted(sizes, reverse=True)
