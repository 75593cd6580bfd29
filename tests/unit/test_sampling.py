"""How often corpora come in an epoch, and that no pair comes again before the others."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest

from nmt.data.batching import TrainingBatches, epoch_batches
from nmt.data.dataset import Part, PreparedSplit, Sentences
from nmt.data.sampling import CorpusSampling, sampling_of

BOTH = CorpusSampling((900, 100), (1.0, 1.0), 2.0)


@pytest.mark.parametrize(
    ("sizes", "weights", "temperature", "counts"),
    [
        ((900, 100), (1.0, 1.0), 1.0, [900, 100]),
        ((900, 100), (1.0, 1.0), 2.0, [750, 250]),  # 30 to 10
        ((900, 100), (1.0, 1.0), 1000.0, [501, 499]),
        ((900, 100), (1.0, 9.0), 1.0, [500, 500]),
        ((900, 100), (2.0, 2.0), 1.0, [900, 100]),
        ((5, 1, 1), (1.0, 1.0, 1.0), 1000.0, [3, 2, 2]),  # rounded so that the sum is right
        ((10, 0), (1.0, 1.0), 5.0, [10, 0]),
    ],
)
def test_shares(sizes, weights, temperature, counts):
    sampling = CorpusSampling(sizes, weights, temperature)
    assert sampling.counts() == counts
    found = Counter(int(pair >= sizes[0]) for pair in sampling.pairs(1, 0).tolist())
    assert (found[0], found[1]) == (counts[0], sum(counts[1:]))


def test_even_corpora_need_no_sampling():
    assert sampling_of([3, 4], [2.0, 2.0], 1.0) is None
    assert sampling_of([], [], 1.0) is None
    assert sampling_of([3, 4], [2.0, 1.0], 1.0) is not None
    assert sampling_of([3, 4], [1.0, 1.0], 1.5) is not None


def test_every_pair_comes_before_any_comes_again():
    seen = Counter[int]()
    for epoch in range(7):
        pairs = BOTH.pairs(3, epoch).tolist()
        assert len(pairs) == 1000
        seen.update(pairs)
        for corpus in (range(900), range(900, 1000)):
            times = {seen[pair] for pair in corpus}
            assert max(times) - min(times) <= 1
    assert BOTH.pairs(3, 2).tolist() == BOTH.pairs(3, 2).tolist()
    assert BOTH.pairs(3, 2).tolist() != BOTH.pairs(4, 2).tolist()


def test_batches_of_a_sampled_epoch_go_on_in_the_middle():
    lengths = np.random.default_rng(1).integers(1, 9, 1000)
    ids = Sentences(np.arange(lengths.sum(), dtype=np.uint32), np.concatenate([[0], np.cumsum(lengths)]))
    split = PreparedSplit(ids, ids, (Part("a-b", 900), Part("a-c", 100)))
    batches = TrainingBatches(split, 100, 5, sampling=BOTH)
    whole = [batch.indices.tolist() for batch in batches.batches(2)]
    assert sorted(chain.from_iterable(whole)) == sorted(BOTH.pairs(5, 2).tolist())
    again = TrainingBatches(split, 100, 5, sampling=BOTH)
    assert [batch.indices.tolist() for batch in again.batches(2, 7)] == whole[7:]
    plain = epoch_batches(lengths, lengths, 100, 5, 2)
    assert sorted(np.concatenate(plain).tolist()) == list(range(1000)), "without sampling each pair once"
