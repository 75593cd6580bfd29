"""Clipping, the moving average, and the optimiser's state."""

import math

import pytest
import torch
from torch import nn

from nmt.config import TrainingConfig
from nmt.training import TrainingError
from nmt.training.optimizer import (
    GradientClipper,
    ParameterAverage,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def test_only_matrices_decay():
    model = make_model()
    nn.init.constant_(model.bias, 1.0)
    optimizer = make_optimizer(model, TrainingConfig(optimizer="adamw", weight_decay=0.1, learning_rate=0.5))
    before = model.weight.detach().clone()
    model.weight.grad, model.bias.grad = torch.zeros(2, 3), torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), 0.95 * before)
    assert model.bias.tolist() == [1.0, 1.0]


def test_clips_to_the_norm():
    model = make_model()
    model.weight.grad, model.bias.grad = torch.full((2, 3), 4.0), torch.full((2,), 2.0)
    norm = GradientClipper(model, 1.0).clip()
    assert norm == pytest.approx(math.sqrt(6 * 16 + 2 * 4))
    assert math.hypot(*model.weight.grad.flatten(), *model.bias.grad) == pytest.approx(1.0, rel=1e-4)


def test_gradients_that_are_not_finite_are_skipped_then_refused():
    model = make_model()
    clipper = GradientClipper(model, 1.0, patience=3)
    for values in ([math.nan], [math.inf], [1.0], [math.nan], [math.nan]):
        model.weight.grad, model.bias.grad = torch.ones(2, 3), torch.tensor([values[0], 1.0])
        assert (clipper.clip() is None) == (not math.isfinite(values[0]))
    assert clipper.skipped == 4
    model.bias.grad = torch.tensor([math.nan, 1.0])
    with pytest.raises(TrainingError, match="3 steps in a row"):
        clipper.clip()


def test_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = ParameterAverage(model, decay=0.5)
    expected = 1.0
    for update, value in enumerate((2.0, 3.0, 5.0, 8.0)):
        nn.init.constant_(model.weight, value)
        average.update(update)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
    with average.swapped_in():
        assert model.weight.item() == pytest.approx(expected, rel=1e-6)
    assert model.weight.item() == 8.0


def test_no_average_is_the_parameters():
    model = make_model()
    average = ParameterAverage(model, decay=0.0)
    average.update(0)
    before = model.weight.detach().clone()
    with average.swapped_in():
        assert torch.equal(model.weight, before)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_optimizer_state_round_trip(kind):
    config = TrainingConfig(optimizer=kind, weight_decay=0.01 if kind == "adamw" else 0.0)
    model, again = make_model(), make_model()
    optimizer, optimizer_again = make_optimizer(model, config), make_optimizer(again, config)
    assert optimizer_tensors(optimizer, model) == {}
    take_step(model, optimizer)
    again.load_state_dict(model.state_dict())
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer, model).items()}
    restore_optimizer(optimizer_again, again, saved)
    for _ in range(3):
        take_step(model, optimizer)
        take_step(again, optimizer_again)
    assert torch.equal(model.weight, again.weight)


def test_optimizer_state_that_does_not_fit():
    config = TrainingConfig()
    model = make_model()
    optimizer = make_optimizer(model, config)
    take_step(model, optimizer)
    state = optimizer_tensors(optimizer, model)
    with pytest.raises(TrainingError, match=r"exp_avg\.weight: expected \[2, 3\], got nothing"):
        restore_optimizer(optimizer, model, {})
    with pytest.raises(TrainingError, match=r"exp_avg\.weight: expected \[2, 3\], got \[1\]"):
        restore_optimizer(optimizer, model, state | {"exp_avg.weight": torch.zeros(1)})


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_steps_are_those_of_torch(name, kind):
    ours, theirs = make_model(), make_model()
    config = TrainingConfig(optimizer=name, learning_rate=0.1, weight_decay=0.3)
    decayed = [{"params": [theirs.weight]}, {"params": [theirs.bias], "weight_decay": 0.0}]
    optimizers = (
        (ours, make_optimizer(ours, config)),
        (theirs, kind(decayed, lr=0.1, betas=config.adam_betas, eps=1e-9, weight_decay=0.3, fused=True)),
    )
    for model, optimizer in optimizers:
        for _ in range(3):
            take_step(model, optimizer)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)
