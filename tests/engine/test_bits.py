"""Every result is the same bits, whatever computes it: instruction sets, threads, policies, budgets, schedules.

Meanwhile nothing outside a plan's memory is touched, and nothing is read there that was not written.
"""

import math
import re
from itertools import product

import numpy as np
import pytest
import torch
from cases import CASES, Case, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixtures import EXHAUSTIVE, mixtures
from roundings import rounding_of
from running import rounded, run_engine

from rnn_engine import native
from rnn_engine.planning import plan
from rnn_engine.spec import CELLS

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
ISAS = native.available_isas()
POLICIES = ("store", "recompute", "checkpoint")
SHARES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)
"""Budgets, from the least (0) to what `store` takes (1): they cut time into pieces of different lengths."""

LONGER = tuple(
    Case(cell=cell, **shape)
    for cell in ("lstm", "mi_lstm")
    for shape in (
        {"T": 83, "B": 3, "I": 9, "H": 21, "L": 4, "dropout": 0.3, "cells": True},
        {"T": 70, "B": 5, "I": 21, "H": 18, "L": 5, "P": 7},
        {"T": 70, "B": 4, "I": 9, "H": 18, "L": 5, "residual": True, "dropout": 0.2},
        {"T": 65, "B": 4, "I": 7, "H": (9, 20, 12), "L": 3, "lengths": (65, 3, 40, 64)},
        {"T": 50, "B": 4, "I": 8, "H": 19, "L": 3, "bidirectional": True, "lengths": (50, 3, 31, 17), "dropout": 0.2},
    )
)
"""More tiles in each pseudo-layer than there are pseudo-layers."""


class Guarded:
    """A pool whose blocks lie between red zones and are full of NaN."""

    def __init__(self):
        self.zones = []

    def array(self, shape, dtype="uint8"):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        whole = np.full(size + 2 * 4096 + 64, 0xFF, np.uint8)
        first = 4096 + -(whole.ctypes.data + 4096) % 64
        self.zones += [whole[:first], whole[first + size :]]
        return whole[first : first + size].view(dtype).reshape(shape)


def budget_of(case, share, **asked):
    """Bytes that lie at a share of the way from the least budget to what `store` takes."""
    asked |= {"lengths": list(case.lengths or [case.T] * case.B), "dropout": case.dropout}
    with pytest.raises(ValueError, match="memory: expected at least") as caught:
        plan(case.spec, memory=1, **asked)
    least = int(re.search(r"at least (\d+) bytes", str(caught.value))[1])
    budget = least + int((plan(case.spec, **asked).peak_bytes - least) * share)
    assert plan(case.spec, memory=budget, **asked).peak_bytes <= budget
    return budget


def assert_same_bits(case, dtype, chosen):
    """That mixtures of isa, threads, memory (a share of a budget, if a number) and schedule give the bits of one
    thread of the plainest instruction set that keeps everything, layer by layer."""
    expected, arrays = {}, make(case) if dtype != "bfloat16" else rounded(make(case), torch.bfloat16)
    for mixture in chosen:
        isa, threads, memory, schedule = (mixture[name] for name in ("isa", "threads", "memory", "schedule"))
        plainest = rounding_of(isa) if dtype == "bfloat16" else "generic"
        with pytest.MonkeyPatch.context() as patch:
            if plainest not in expected:
                patch.setenv("RNN_ENGINE_ISA", plainest)
                expected[plainest] = run_engine(case, arrays, DTYPES[dtype], schedule="layers")
            patch.setenv("RNN_ENGINE_ISA", isa)
            if not isinstance(memory, str):
                memory = budget_of(case, memory, dtype=dtype, threads=threads, schedule=schedule)
            guarded = Guarded()
            patch.setattr("rnn_engine.nn.devices.pool", guarded)
            patch.setattr("rnn_engine.nn.devices._SMALL", 0)
            patch.setattr("rnn_engine.native.OWN_WORKSPACE", 0)
            tensors = run_engine(case, arrays, DTYPES[dtype], threads=threads, memory=memory, schedule=schedule)
        for name, tensor in tensors.items():
            assert torch.equal(tensor, expected[plainest][name]), (mixture, name)
        assert guarded.zones
        assert all((zone == 0xFF).all() for zone in guarded.zones), mixture


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES + LONGER, ids=lambda case: case.id)
def test_every_mixture_gives_the_same_bits(case, dtype):
    number = (CASES + LONGER).index(case)
    shares = SHARES if EXHAUSTIVE else (0.0, SHARES[1 + number % (len(SHARES) - 1)])
    chosen = mixtures(
        number,
        {
            "isa": ISAS,
            "schedule": ("layers", "wavefront"),
            "threads": (1, 2, 3, 4),
            "memory": (*POLICIES, *shares),
        },
    )
    assert_same_bits(case, dtype, chosen)


@st.composite
def problems(draw):
    """Larger than most of the table, and every feature of it with every other."""
    layers, steps, batch = draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(1, 14))
    widths = draw(st.lists(st.integers(2, 40), min_size=layers, max_size=layers))
    cell = draw(st.sampled_from(sorted(CELLS)))
    single, equal = CELLS[cell].single_state, draw(st.booleans())
    return Case(
        cell=cell,
        T=steps,
        B=batch,
        I=draw(st.integers(1, 40)),
        H=widths[0] if equal else tuple(widths),
        L=layers,
        P=0 if single else draw(st.sampled_from([0, 0, 1])),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        lengths=draw(st.none() | st.tuples(*[st.integers(1, steps)] * batch)),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.3])),
        zoneout=draw(st.sampled_from([(0.0, 0.0), (0.0 if single else 0.2, 0.1)])),
        residual=equal and draw(st.booleans()),
        dropout_mask=draw(st.sampled_from(["value", "sentence"])),
        states=draw(st.booleans()),
        cells=draw(st.booleans()),
    )


mixture = st.fixed_dictionaries(
    {
        "isa": st.sampled_from(ISAS),
        "schedule": st.sampled_from(["layers", "wavefront", "auto"]),
        "threads": st.integers(1, 4),
        "memory": st.sampled_from(POLICIES) | st.floats(0, 1),
    }
)


@settings(max_examples=120, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(problems(), st.sampled_from(sorted(DTYPES)), st.lists(mixture, min_size=2, max_size=2))
def test_random_problems_and_mixtures_give_the_same_bits(case, dtype, chosen):
    assert_same_bits(case, dtype, chosen)


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
