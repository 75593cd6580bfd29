"""Training and translating with the CUDA side of the engine, on the emulated library: a card's loop, but for torch's
own operations, which run on the CPU here. No test here has seen a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from emulated import use_emulated
from synthetic import make_config, make_pairs, write_corpus

from nmt.config import Config
from nmt.data.batching import TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.translator import Translator
from nmt.model.recurrent import precisions
from nmt.model_folder.scores import ScoresFile
from nmt.training.checkpoint import Checkpoints
from nmt.training.trainer import Trainer, TrainingResult, build_model, train

SMALL = {"embedding_size": 12, "hidden_size": 12, "encoder_layers": 1, "dropout": 0.1}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Config:
    files = write_corpus(tmp_path_factory.mktemp("text"), make_pairs(60, seed=2))
    config = make_config(tmp_path_factory.mktemp("prepared"), files)
    prepare(config)
    return config


@pytest.fixture
def settings(prepared: Config, tmp_path: Path) -> Callable[..., Config]:
    def make(name: str, memory: str = "store", **changes: object) -> Config:
        model = prepared.model.model_copy(update=SMALL | {"memory": memory})
        training = prepared.training.model_copy(update={"epochs": 100, "max_steps": 8, "validate_every": 4} | changes)
        return prepared.model_copy(update={"folder": tmp_path / name, "model": model, "training": training})

    return make


def make_trainer(prepared: Config, config: Config) -> Trainer:
    data = PreparedData.open(prepared)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = TrainingBatches(data.train, 200, config.training.seed)
    return Trainer(config, model, batches, validation_batches(data.valid, 400)[:2], None, {})


def run(prepared: Config, config: Config) -> TrainingResult:
    trainer = make_trainer(prepared, config)
    return train(config, trainer.model, trainer.data, trainer.valid)


def losses(config: Config) -> list[float]:
    return [row["loss"] for row in ScoresFile(config.folder).validations()]


@pytest.mark.parametrize("memory", ["store", "20KiB"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_learns_as_on_the_cpu(prepared, settings, monkeypatch, precision, memory):
    run(prepared, settings("cpu"))
    use_emulated(monkeypatch)
    config = settings("card", memory=memory, precision=precision)
    assert run(prepared, config).status == "finished"
    expected, found = losses(settings("cpu")), losses(config)
    assert found == pytest.approx(expected, rel=1e-3 if precision == "float32" else 3e-2)
    state = Checkpoints(config.folder).latest_state()
    assert state is not None
    assert state.loss_scale_steps == (8 - state.skipped if precision == "float16" else 0)


def test_training_goes_on_elsewhere(prepared, settings, monkeypatch):
    """Four steps on the CPU, four with the CUDA side: as eight on the CPU, but for rounding."""
    run(prepared, settings("straight"))
    run(prepared, settings("moved", max_steps=4))
    use_emulated(monkeypatch)
    assert run(prepared, settings("moved")).steps == 8
    assert losses(settings("moved")) == pytest.approx(losses(settings("straight")), rel=1e-3)


def test_gradients_that_overflow_lower_the_scale(prepared, settings, monkeypatch):
    use_emulated(monkeypatch)
    trainer = make_trainer(prepared, settings("overflow", precision="float16"))
    trainer.state.loss_scale = 2.0**30
    batch = next(trainer.data.batches(0))
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    reports = [trainer.step(batch)]
    assert reports[0].skipped
    assert trainer.state.loss_scale == 2.0**29
    assert all(torch.equal(one, other) for one, other in zip(before, trainer.model.parameters(), strict=True))
    while reports[-1].skipped:
        reports.append(trainer.step(batch))
    assert len(reports) > trainer.clipper.patience, "so many in a row would end training otherwise"
    assert trainer.clipper.in_a_row == 0


def test_float16_is_known_where_the_cuda_side_is(monkeypatch):
    weight = torch.zeros(1)
    assert torch.float16 not in precisions(weight)
    use_emulated(monkeypatch)
    assert torch.float16 in precisions(weight)


def test_translations_are_those_of_the_cpu(prepared, settings, monkeypatch):
    config = settings("model", max_steps=12)
    run(prepared, config)
    data = PreparedData.open(prepared)
    trainer = make_trainer(prepared, config)
    Checkpoints(config.folder).load_parameters(12, trainer.model)
    translator = Translator(ModelNetwork(trainer.model), data.source_subwords, data.target_subwords, config)
    lines = ["The small dog sees the old cat today.", "A bird."]
    expected = translator.translate(lines)
    use_emulated(monkeypatch)
    assert translator.translate(lines) == expected
