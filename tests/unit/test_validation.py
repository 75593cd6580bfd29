"""What a validation means for early stopping and for the learning rate."""

import pytest

from nmt.config import TrainingConfig
from nmt.training.state import TrainingState
from nmt.training.validation import describe, update_early_stopping


def make_state() -> TrainingState:
    config = {"folder": "unused", "data": {"train": ["a", "b"], "valid": ["a", "b"]}}
    return TrainingState(config=config)


def course(scores: list[float], metric: str, **settings: object) -> list[tuple[bool, int | None, int, int]]:
    """Better or not, best step, validations since then, and reductions, after each validation."""
    state, training = make_state(), TrainingConfig(early_stopping_metric=metric, **settings)
    found = []
    for step, score in enumerate(scores, start=1):
        state.step, state.recent_tokens, state.recent_nll = step, 10, 20.0
        better = update_early_stopping(state, {"loss": score, "bleu": score}, training)
        assert (state.validated_step, state.recent_tokens, state.recent_nll) == (step, 0, 0.0)
        found.append((better, state.best_step, state.since_best, state.reductions))
    return found


def test_lower_losses_and_higher_bleu_are_better():
    assert [row[0] for row in course([3.0, 2.0, 2.0, 2.5, 1.0], "loss")] == [True, True, False, False, True]
    assert [row[0] for row in course([0.0, 2.0, 2.0, 1.5, 3.0], "bleu")] == [True, True, False, False, True]
    assert [row[1:3] for row in course([3.0, 2.0, 2.0, 2.5, 1.0], "loss")] == [(1, 0), (2, 0), (2, 1), (2, 2), (5, 0)]


@pytest.mark.parametrize(
    ("patience", "expected"), [(1, [0, 1, 2, 3, 3, 4]), (2, [0, 0, 1, 1, 1, 1]), (3, [0, 0, 0, 1, 1, 1])]
)
def test_plateau(patience, expected):
    rows = course([1.0, 2.0, 2.0, 2.0, 0.5, 2.0], "loss", schedule="plateau", plateau_patience=patience)
    assert [row[3] for row in rows] == expected


def test_other_schedules_have_no_reductions():
    assert all(row[3] == 0 for row in course([1.0] * 9, "loss", schedule="cosine", plateau_patience=1))


def test_words():
    assert describe({"loss": 1.0, "bleu": 12.345}) == "ppl 2.72, BLEU 12.35"
    assert describe({"loss": 1e6}) == "ppl inf"
    assert describe({}) == ""
