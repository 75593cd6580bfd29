"""The mixtures of settings that stand for their product."""

from itertools import product

import pytest
from mixtures import mixtures

SETTINGS = {"a": "12", "b": "123", "c": "12345", "d": "1234"}


@pytest.mark.parametrize("number", [0, 1, 7, 123])
def test_a_case_meets_every_value(number):
    made = mixtures(number, SETTINGS, exhaustive=False)
    assert len(made) == 5
    for name, values in SETTINGS.items():
        assert {mixture[name] for mixture in made} == set(values)


def test_a_few_cases_meet_every_combination():
    made = [mixture for number in range(24) for mixture in mixtures(number, SETTINGS, exhaustive=False)]
    assert {tuple(m.values()) for m in made} == set(product(*SETTINGS.values()))


def test_the_product_can_be_asked_for():
    assert len(mixtures(3, SETTINGS, exhaustive=True)) == 120
