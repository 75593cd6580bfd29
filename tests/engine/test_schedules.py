"""Schedules: layer by layer or in a wavefront, the results are the same bits."""

import pytest
import torch
from cases import CASES, Case, make
from running import run_engine

LONGER = tuple(
    Case(cell=cell, **shape)
    for cell in ("lstm", "mi_lstm")
    for shape in (
        {"T": 83, "B": 3, "I": 9, "H": 21, "L": 4, "dropout": 0.3, "cells": True},
        {"T": 70, "B": 5, "I": 21, "H": 18, "L": 5, "P": 7},
        {"T": 65, "B": 4, "I": 7, "H": (9, 20, 12), "L": 3, "lengths": (65, 3, 40, 64)},
        {"T": 50, "B": 4, "I": 8, "H": 19, "L": 3, "bidirectional": True, "lengths": (50, 3, 31, 17), "dropout": 0.2},
    )
)
"""More tiles in each lane than there are lanes."""


@pytest.mark.parametrize("case", CASES + LONGER, ids=lambda case: case.id)
def test_every_schedule_gives_the_same_bits(case):
    arrays = make(case)
    first = run_engine(case, arrays, torch.float32, schedule="layers")
    for memory in ("store", "recompute", "checkpoint"):
        for threads in (1, 2, 3, 4):
            for schedule in ("layers", "wavefront"):
                tensors = run_engine(case, arrays, torch.float32, threads=threads, memory=memory, schedule=schedule)
                for key, tensor in tensors.items():
                    assert torch.equal(tensor, first[key]), (memory, threads, schedule, key)
