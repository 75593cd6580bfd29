"""Schedules as the faces take and plans say them; that they change no bit is for test_bits.py."""

import numpy as np
import pytest
import torch

import rnn_engine
from rnn_engine import native
from rnn_engine.spec import SCHEDULES, StackSpec


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_faces_take_a_schedule(bidirectional, monkeypatch):
    asked = []
    plan = native.plan

    def noted(*args):
        asked.append(args[-1].schedule)
        return plan(*args)

    monkeypatch.setattr(native, "plan", noted)
    layer = rnn_engine.LSTM(5, 18, 3, bidirectional=bidirectional, schedule="wavefront")
    assert "schedule=wavefront" in repr(layer)
    x = torch.randn(70, 3, 5)
    parameters = {name: value.detach().numpy() for name, value in layer.state_dict().items()}
    stack = rnn_engine.Stack(layer.spec, parameters, threads=2, schedule="layers")
    expected, _ = layer(x)
    for schedule in SCHEDULES:
        for y in (layer(x, schedule=schedule)[0].detach().numpy(), stack(x.numpy(), schedule=schedule)[0]):
            assert np.array_equal(y, expected.detach().numpy())
            assert asked[-1] == schedule
    with torch.no_grad():
        layer(x)
    assert asked[-1] == "wavefront"
    stack(x.numpy())
    assert asked[-1] == "layers"


def test_plans_say_which_schedule_they_take(tmp_path):
    spec = StackSpec("lstm", 64, 64, 4)
    for memory in ("store", "recompute", "checkpoint"):
        for training in (True, False):
            asked = {"steps": 64, "batch": 2, "memory": memory, "training": training}
            assert rnn_engine.plan(spec, **asked, threads=4, schedule="layers").groups == 1
            assert rnn_engine.plan(spec, **asked, threads=1, schedule="wavefront").groups == 1
            assert rnn_engine.plan(spec, **asked, threads=1).groups == 1
            plan = rnn_engine.plan(spec, **asked, threads=4, schedule="wavefront")
            assert plan.groups in (2, 4)
            assert f"order: by {plan.groups} groups of threads" in plan.explain()
            assert plan.seconds > 0
            if training and memory != "store":
                assert rnn_engine.plan(spec, **asked, threads=4).groups == 1
    plan.plot(tmp_path / "plan.svg")


def test_auto_takes_what_is_predicted_to_be_faster():
    """And only if clearly."""
    for layers, batch, hidden, both in ((4, 1, 16, False), (4, 64, 128, False), (2, 2, 32, True), (1, 4, 64, True)):
        spec = StackSpec("lstm", hidden, hidden, layers, bidirectional=both)
        asked = {"steps": 128, "batch": batch, "threads": 2, "training": False}
        auto, by_layers, wavefront = (rnn_engine.plan(spec, **asked, schedule=schedule) for schedule in SCHEDULES)
        clear = wavefront.seconds * 1.01 <= by_layers.seconds
        assert auto.groups == (wavefront.groups if clear else 1)


def test_the_budget_holds_in_a_wavefront():
    spec = StackSpec("lstm", 64, 64, 4)
    asked = {"steps": 64, "batch": 2, "threads": 2, "schedule": "wavefront"}
    most, layers = (rnn_engine.plan(spec, **(asked | {"schedule": s})).peak_bytes for s in ("wavefront", "layers"))
    assert most > layers
    assert rnn_engine.plan(spec, memory=most, **asked).groups == 2
    assert rnn_engine.plan(spec, memory=most - 1, **asked).peak_bytes < most
