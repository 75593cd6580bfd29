"""Settings of a very small network, and what is said of the hypotheses of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmt.config import Config, ModelConfig
from nmt.config_data import DataConfig
from nmt.data.batching import Batch


def make_config(joint: bool = True, **model: object) -> Config:
    shape = {"embedding_size": 6, "hidden_size": 8, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0, **model}
    pair = (Path("a"), Path("b"))
    data = DataConfig(train=pair, valid=pair, joint_vocabulary=joint)
    return Config(folder=Path("unused"), data=data, model=ModelConfig(**shape))


def make_batch() -> Batch:
    """Three pairs of sources of several lengths."""
    rng = np.random.default_rng(0)
    lengths, steps, pairs = np.array([7, 5, 3]), 6, 3
    source, target = rng.integers(4, 20, (7, pairs)), rng.integers(4, 20, (steps + 1, pairs))
    source[np.arange(7)[:, None] >= lengths] = 0
    return Batch(
        source=source,
        source_lengths=lengths,
        target_input=target[:-1],
        target_output=target[1:],
        target_lengths=np.full(pairs, steps),
        source_tokens=int(lengths.sum()),
        target_tokens=steps * pairs,
        indices=np.arange(pairs),
    )


def assert_same(found, expected) -> None:
    """The same hypotheses; of those whose scores cannot be told apart in float32, either may come first."""
    for ours, theirs in zip(found, expected, strict=True):
        for here, there in zip(ours, theirs, strict=True):
            allowed = 2e-5 * (len(here.tokens) + 1)
            assert here.score == pytest.approx(there.score, abs=allowed)
            as_good = [each for each in theirs if each.score == pytest.approx(here.score, abs=1e-5)]
            if here is not ours[-1] or len(as_good) < 2:  # what ties with the last may have been left out
                same = next(each for each in (there, *as_good) if each.tokens == here.tokens)
                assert here.log_probability == pytest.approx(same.log_probability, abs=allowed)
