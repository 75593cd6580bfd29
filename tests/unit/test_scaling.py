"""Gradient scaling for float16."""

import math

import torch
from small import make_config

from nmt.training.optimizer import GradientClipper, LossScale
from nmt.training.state import TrainingState


def make_state(scale=65536.0):
    return TrainingState(config=make_config(), loss_scale=scale)


def test_scaled_and_divided_again():
    state, scale = make_state(), LossScale(enabled=True)
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    scale.scaled((weight**2).sum(), state).backward()
    assert weight.grad.tolist() == [6 * 65536.0, 8 * 65536.0]
    scale.unscale([weight, torch.nn.Parameter(torch.zeros(1))], state)
    assert weight.grad.tolist() == [6.0, 8.0]


def test_it_keeps_what_float16_would_lose():
    found = []
    for enabled in (False, True):
        state, scale, weight = make_state(), LossScale(enabled=enabled), torch.nn.Parameter(torch.ones(1))
        scale.scaled((weight.half().float() * 1e-9).sum(), state).backward()  # the gradient passes through float16
        scale.unscale([weight], state)
        found.append(weight.grad.item())
    assert found[0] == 0
    assert math.isclose(found[1], 1e-9, rel_tol=1e-2)


def test_off_it_changes_nothing():
    state, scale = make_state(), LossScale(enabled=False)
    loss = torch.ones(())
    assert scale.scaled(loss, state) is loss
    scale.update(state, finite=False)
    assert state.loss_scale == 65536.0
    assert not scale.can_fall(state)


def test_it_falls_and_rises():
    state, scale = make_state(4.0), LossScale(enabled=True)
    scale.update(state, finite=True)
    scale.update(state, finite=False)
    assert (state.loss_scale, state.loss_scale_steps) == (2.0, 0)
    for _ in range(2000):
        scale.update(state, finite=True)
    assert (state.loss_scale, state.loss_scale_steps) == (4.0, 0)
    for _ in range(5):
        scale.update(state, finite=False)
    assert state.loss_scale == 1.0
    assert not scale.can_fall(state), "from here on an overflow is the training's own"


def test_overflows_while_it_falls_do_not_end_training():
    model = torch.nn.Linear(2, 1)
    clipper = GradientClipper(model, 1.0, patience=2)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, math.inf)
    for _ in range(3):
        assert clipper.clip(forgive=True) is None
    assert (clipper.skipped, clipper.in_a_row) == (3, 0)
