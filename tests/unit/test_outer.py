"""The outer step, against torch's own optimiser."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nmt.config import Config, ModelConfig, TrainingConfig
from nmt.config_data import DataConfig
from nmt.model.seq2seq import Seq2Seq
from nmt.training.optimizer import make_optimizer, optimizer_tensors
from nmt.training.outer import OuterSteps
from nmt.training.processes import Processes
from nmt.training.state import TrainingState


def test_an_outer_step_is_one_of_sgd_with_nesterov() -> None:
    settings = TrainingConfig(outer_every=2, outer_learning_rate=0.6, outer_momentum=0.8)
    data = DataConfig(train=(Path("a"), Path("b")), valid=(Path("a"), Path("b")))
    config = Config(folder=Path("m"), data=data, model=ModelConfig(embedding_size=4, hidden_size=4), training=settings)
    model = Seq2Seq.from_config(config, 9, 9)
    optimizer = make_optimizer(model, settings)
    outer = OuterSteps(model, optimizer, settings, Processes())
    assert all(not each.any() for each in optimizer_tensors(optimizer, model).values())
    expected = [each.detach().clone().requires_grad_() for each in model.parameters()]
    sgd = torch.optim.SGD(expected, lr=0.6, momentum=0.8, nesterov=True)
    state = TrainingState(config=config)
    outer.begin(state, lambda _: {})
    torch.manual_seed(3)
    for number in range(3):
        for parameter, other in zip(model.parameters(), expected, strict=True):
            way = torch.randn_like(parameter)
            parameter.data -= way
            other.grad = way
        sgd.step()
        state.step += 2
        assert outer.is_due(state)
        outer.count(7, 3.5, finite=True)
        outer.count(2, float("nan"), finite=False)
        assert outer.step(state) == 9
        for parameter, other in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)
            assert parameter.grad is None
        assert (state.outer_step, state.target_tokens) == (2 * number + 2, 9 * number + 9)
        assert (state.recent_tokens, state.recent_nll) == (7 * number + 7, pytest.approx(3.5 * number + 3.5))
