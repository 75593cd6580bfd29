"""The learning-rate schedules, as tables and as laws."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config import TrainingConfig
from nmt.training.schedule import SHAPES, Schedule


def make_schedule(kind: str, **settings: object) -> Schedule:
    return Schedule(**{"kind": kind, "peak": 1.0, "warmup_steps": 10, "total_steps": 100, **settings})


@pytest.mark.parametrize(
    ("step", "seconds", "expected"),
    [
        (0, 0.0, 0.1),  # warm-up begins above zero
        (4, 0.0, 0.5),
        (9, 0.0, 1.0),
        (60, 0.0, 1.0),  # the last step at the peak
        (80, 0.0, 0.5),
        (100, 0.0, 0.0),
        (150, 0.0, 0.0),
        (60, 40.0, 0.5),  # the clock is further than the steps
        (80, 10.0, 0.5),  # the steps are further than the clock
        (10, 50.0, 0.0),
    ],
)
def test_linear(step, seconds, expected):
    assert make_schedule("linear", max_seconds=50.0).learning_rate(step, seconds) == pytest.approx(expected)


def test_linear_without_warmup_and_decay():
    schedule = make_schedule("linear", peak=2e-3, warmup_steps=0, decay_fraction=0.0, total_steps=10)
    assert [schedule.learning_rate(step, 1e9) for step in (0, 5, 9)] == [2e-3] * 3


@pytest.mark.parametrize(
    ("step", "seconds", "expected"),
    [
        (0, 0.0, 0.1),
        (9, 0.0, 1.0),
        (10, 0.0, 1.0),
        (40, 0.0, 0.75),  # a third of the way: (1 + cos 60) / 2
        (55, 0.0, 0.5),
        (70, 0.0, 0.25),
        (100, 0.0, 0.0),
        (20, 27.5, 0.5),  # by the clock
    ],
)
def test_cosine(step, seconds, expected):
    schedule = make_schedule("cosine", max_seconds=50.0)
    assert schedule.learning_rate(step, seconds) == pytest.approx(expected, abs=1e-12)


def test_cosine_that_never_leaves_the_warmup():
    schedule = make_schedule("cosine", warmup_steps=200)
    assert schedule.learning_rate(99, 0.0) == pytest.approx(0.5)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (9, 1.0), (39, 0.5), (89, 1 / 3), (999, 0.1)])
def test_inverse_sqrt(step, expected):
    assert make_schedule("inverse_sqrt").learning_rate(step, 1e9) == pytest.approx(expected)
    no_warmup = make_schedule("inverse_sqrt", warmup_steps=0).learning_rate(step, 0.0)
    assert no_warmup == pytest.approx(1 / math.sqrt(step + 1))


@pytest.mark.parametrize(("step", "reductions", "expected"), [(4, 0, 0.5), (50, 0, 1.0), (50, 1, 0.3), (99, 2, 0.09)])
def test_plateau(step, reductions, expected):
    assert make_schedule("plateau", factor=0.3).learning_rate(step, 0.0, reductions) == pytest.approx(expected)


def test_the_table_has_every_choice_of_the_config():
    assert set(SHAPES) == set(get_args(TrainingConfig.model_fields["schedule"].annotation))


def test_progress_stays_within_bounds():
    schedule = make_schedule("linear", total_steps=10, max_seconds=5.0)
    points = ((0, 0.0), (5, 0.0), (1, 4.0), (99, 99.0))
    assert [schedule.progress(step, seconds) for step, seconds in points] == [0.0, 0.5, 0.8, 1.0]


def test_the_first_of_three_ends_counts():
    settings = {"epochs": 4, "warmup_steps": 3, "max_minutes": 2.0}
    schedule = Schedule.from_config(TrainingConfig(**settings), batches=25, group=1)
    assert (schedule.total_steps, schedule.max_seconds, schedule.warmup_steps) == (100, 120.0, 3)
    assert Schedule.from_config(TrainingConfig(max_steps=30, **settings), 25, 1).total_steps == 30
    assert Schedule.from_config(TrainingConfig(max_steps=300, **settings), 25, 1).total_steps == 100


schedules = st.builds(
    Schedule,
    kind=st.sampled_from(sorted(SHAPES)),
    peak=st.floats(1e-6, 1.0),
    warmup_steps=st.integers(0, 300),
    total_steps=st.integers(0, 300),
    max_seconds=st.none() | st.floats(1e-3, 1e5),
    decay_fraction=st.floats(0.0, 1.0),
    factor=st.floats(0.01, 0.99),
)


@given(schedule=schedules, step=st.integers(0, 1000), seconds=st.floats(0.0, 1e6), reductions=st.integers(0, 50))
def test_never_above_the_peak_never_negative_never_a_memory(schedule, step, seconds, reductions):
    rate = schedule.learning_rate(step, seconds, reductions)
    assert 0.0 <= rate <= schedule.peak
    schedule.learning_rate(0, 0.0)
    assert schedule.learning_rate(step, seconds, reductions) == rate


@given(schedule=schedules, step=st.integers(0, 1000))
def test_never_rises_after_the_warmup(schedule, step):
    step += schedule.warmup_steps
    before, after = schedule.learning_rate(step, 0.0), schedule.learning_rate(step + 1, 0.0)
    assert after <= before * (1 + 1e-12)
