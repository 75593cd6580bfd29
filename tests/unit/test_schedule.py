"""The learning-rate schedule, as a table."""

import pytest

from nmt.training.schedule import Schedule


@pytest.mark.parametrize(
    ("step", "seconds", "expected"),
    [
        (0, 0.0, 0.1),  # warm-up begins above zero
        (4, 0.0, 0.5),
        (9, 0.0, 1.0),
        (60, 0.0, 1.0),  # the plateau's last step
        (80, 0.0, 0.5),
        (100, 0.0, 0.0),
        (150, 0.0, 0.0),
        (60, 40.0, 0.5),  # the clock is further than the steps
        (80, 10.0, 0.5),  # the steps are further than the clock
        (10, 50.0, 0.0),
    ],
)
def test_learning_rate(step, seconds, expected):
    schedule = Schedule(peak=1.0, warmup_steps=10, decay_fraction=0.4, total_steps=100, max_seconds=50.0)
    assert schedule.learning_rate(step, seconds) == pytest.approx(expected)


def test_without_warmup_and_decay():
    schedule = Schedule(peak=2e-3, warmup_steps=0, decay_fraction=0.0, total_steps=10)
    assert [schedule.learning_rate(step, 1e9) for step in (0, 5, 9)] == [2e-3] * 3


def test_progress_stays_within_bounds():
    schedule = Schedule(peak=1.0, warmup_steps=0, decay_fraction=0.4, total_steps=10, max_seconds=5.0)
    assert [schedule.progress(step, seconds) for step, seconds in ((0, 0.0), (5, 0.0), (1, 4.0), (99, 99.0))] == [
        0.0,
        0.5,
        0.8,
        1.0,
    ]
