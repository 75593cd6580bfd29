"""What a validation means for early stopping and for the learning rate."""

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import TrainingConfig
from nmt.training.state import TrainingState
from nmt.training.validation import describe, describe_verdict, update_early_stopping


def make_state() -> TrainingState:
    config = {"folder": "unused", "data": {"train": ["a", "b"], "valid": ["a", "b"]}}
    return TrainingState(config=config)


def course(
    scores: list[float], metric: str, lines: int = 10**8, **changes: object
) -> list[tuple[bool, int | None, int, int]]:
    """Best or not, best step, validations since the highest, and reductions, after each validation."""
    state, training = make_state(), TrainingConfig(early_stopping_metric=metric, **changes)
    found = []
    for step, score in enumerate(scores, start=1):
        state.step, state.recent_tokens, state.recent_nll = step, 10, 20.0
        update_early_stopping(state, {"loss": score, "bleu": score}, training, lines)
        assert (state.validated_step, state.recent_tokens, state.recent_nll) == (step, 0, 0.0)
        assert state.best_scores == dict.fromkeys(("loss", "bleu"), scores[state.best_step - 1])
        found.append((state.best_step == step, state.best_step, state.since_best, state.reductions))
    return found


def test_lower_losses_and_higher_bleu_are_better():
    assert [row[0] for row in course([3.0, 2.0, 2.0, 2.5, 1.0], "loss")] == [True, True, False, False, True]
    assert [row[0] for row in course([0.0, 2.0, 2.0, 1.5, 3.0], "bleu")] == [True, True, True, False, True]
    assert [row[1:3] for row in course([3.0, 2.0, 2.0, 2.5, 1.0], "loss")] == [(1, 0), (2, 0), (2, 1), (2, 2), (5, 0)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(1, 5000))
def test_the_best_is_the_latest_that_chance_does_not_tell_from_the_highest(scores, lines):
    state, training = make_state(), TrainingConfig(early_stopping_metric="bleu")
    for state.step, score in enumerate(scores):
        update_early_stopping(state, {"loss": 1.0, "bleu": score}, training, lines)
    highest = max(scores)
    near = [step for step, score in enumerate(scores) if score == highest or score > highest - 16 / sqrt(lines)]
    assert (state.best_step, state.best_score) == (near[-1], highest)
    assert state.since_best == len(scores) - 1 - scores.index(highest)


def test_a_lower_loss_is_better_by_any_margin():
    assert [row[0] for row in course([3.0, 2.0, 2.001, 1.999], "loss", lines=1)] == [True, True, False, True]


def test_the_verdict_in_words():
    state, training = make_state(), TrainingConfig(early_stopping_metric="bleu")
    said = []
    for state.step, score in enumerate([20.0, 30.0, 29.6, 28.0, 31.0]):
        update_early_stopping(state, {"loss": 1.0, "bleu": score}, training, 1000)
        said.append(describe_verdict(state))
    assert said == ["best so far", "best so far", "as good as the best, 30.00", "best is step 2", "best so far"]


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
