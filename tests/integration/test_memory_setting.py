"""`model.memory` decides what is kept and what is recomputed, never what comes out."""

import pytest
import torch
from synthetic import make_config, make_pairs, write_corpus

from nmt.config import ModelConfig
from nmt.data.batching import TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.model.recurrent import fitting
from nmt.training.trainer import build_model, train


def test_the_same_bits_whatever_is_kept(tmp_path):
    files = write_corpus(tmp_path / "text", make_pairs(60, seed=2))
    written = {}
    for number, memory in enumerate(["store", "recompute", "checkpoint", "600KiB", "1KiB", 700_000]):
        config = make_config(tmp_path / str(number), files, max_steps=3, validate_every=2)
        config = config.model_copy(update={"model": config.model.model_copy(update={"memory": memory})})
        prepare(config)
        data = PreparedData.open(config)
        model = build_model(config, data.source_subwords.size, data.target_subwords.size)
        train(config, model, TrainingBatches(data.train, 400, 3), validation_batches(data.valid, 400))
        written[memory] = (config.folder / "checkpoints/step_3/optimizer.safetensors").read_bytes()
    assert len(set(written.values())) == 1


def test_it_may_change_between_stopping_and_going_on(tmp_path):
    files = write_corpus(tmp_path / "text", make_pairs(60, seed=2))
    for folder, second in (("one", "store"), ("other", "recompute")):
        for steps, memory in ((2, "store"), (4, second)):
            config = make_config(tmp_path / folder, files, max_steps=steps)
            config = config.model_copy(update={"model": config.model.model_copy(update={"memory": memory})})
            prepare(config)
            data = PreparedData.open(config)
            model = build_model(config, data.source_subwords.size, data.target_subwords.size)
            train(config, model, TrainingBatches(data.train, 400, 3), validation_batches(data.valid, 400))
    one, other = (tmp_path / name / "model.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("memory", ["most", "12 apples", 0, True, "0MiB"])
def test_other_values_are_refused(memory):
    with pytest.raises(ValueError, match="expected store, recompute, checkpoint or a number of bytes such as 256MiB"):
        ModelConfig(memory=memory)


@pytest.mark.parametrize(("context", "stacks"), [("readout", 1), ("upper", 2)])
def test_a_budget_is_divided_among_the_decoders_stacks(tmp_path, context, stacks):
    files = write_corpus(tmp_path / "text", make_pairs(10, seed=2))
    config = make_config(tmp_path / "model", files)
    config = config.model_copy(update={"model": config.model.model_copy(update={"memory": "1MiB", "context": context})})
    torch.manual_seed(1)
    model = build_model(config, 90, 90)
    assert [stack.memory.budget for stack in model.decoder.layers] == [2**20 // stacks] * stacks
    assert model.encoder.layers.memory.budget == 2**20
    assert fitting(model.encoder.layers, 5, 2).policy == "budget"
    assert fitting(model.encoder.layers, 5000, 20).policy == "checkpoint"
