"""Training that was stopped and continued equals training that was not, bit for bit."""

import signal
from pathlib import Path

import pytest
import torch
from synthetic import make_config, make_pairs, write_corpus

import nmt.training.precision
from nmt.config import Config
from nmt.data.batching import ALL, TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.files import read_settings
from nmt.training import TrainingError
from nmt.training.trainer import TrainingResult, build_model, train

MODEL_FILES = ("model.safetensors", "checkpoints/best/model.safetensors", "checkpoints/best/optimizer.safetensors")


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    return write_corpus(tmp_path / "text", make_pairs(120, seed=2))


def run(config: Config, stop_after: int | None = None) -> TrainingResult:
    """Train; sends the process an interrupt while batch number `stop_after` of this run is fetched."""
    prepare(config)
    data = PreparedData.open(config)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = Interrupting(data, config, stop_after)
    return train(config, model, batches, validation_batches(data.valid, 400))


class Interrupting(TrainingBatches):
    def __init__(self, data: PreparedData, config: Config, stop_after: int | None) -> None:
        super().__init__(data.train, config.training.batch_tokens, config.training.seed)
        self.left = stop_after

    def batches(self, epoch, start=0, share=ALL):
        for batch in super().batches(epoch, start, share):
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    signal.raise_signal(signal.SIGINT)
            yield batch


@pytest.mark.parametrize(("ema_decay", "sampled_softmax"), [(0.0, 0), (0.9, 10)])
def test_resumed_equals_uninterrupted(tmp_path, files, ema_decay, sampled_softmax):
    settings = {"epochs": 4, "validate_every": 7, "ema_decay": ema_decay, "sampled_softmax": sampled_softmax}
    whole = make_config(tmp_path / "whole", files, **settings)
    parts = make_config(tmp_path / "parts", files, **settings)
    expected = run(whole)
    assert expected.status == "finished"

    stops = [run(parts, stop_after=stop) for stop in (3, 9, 1)]  # inside an epoch, in the next one, at once
    assert [stop.status for stop in stops] == ["interrupted"] * 3
    assert [stop.steps for stop in stops] == [3, 12, 13]
    assert not (parts.folder / "model.safetensors").exists()
    result = run(parts)
    assert (result.status, result.steps, result.best_step) == ("finished", expected.steps, expected.best_step)
    assert result.best_score == expected.best_score
    for name in MODEL_FILES:
        assert (parts.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_the_precision_that_was_chosen_stays_where_training_goes_on(tmp_path, files, monkeypatch):
    settings = {"epochs": 2, "validate_every": 7}
    whole = make_config(tmp_path / "whole", files, precision="bfloat16", **settings)
    parts = make_config(tmp_path / "parts", files, precision="auto", **settings)
    run(whole)
    for chosen, stop in ((torch.bfloat16, 3), (torch.float32, None)):  # stopped, and continued on another machine
        monkeypatch.setattr(nmt.training.precision, "fastest", lambda device, chosen=chosen: chosen)
        result = run(parts, stop_after=stop)
    assert result.status == "finished"
    assert (parts.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()
    assert read_settings(parts.folder).training.precision == "bfloat16"
    assert run(parts).status == "already finished"


def test_same_seed_same_model_other_seed_other_model(tmp_path, files):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder, seed in zip(folders, (3, 3, 4), strict=True):
        run(make_config(folder, files, epochs=1, seed=seed))
    one, two, three = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert one == two != three


@pytest.mark.parametrize("every", [1000, 1])  # 1: the last step is saved before its epoch is over
def test_more_epochs_go_on(every, tmp_path, files):
    first = run(make_config(tmp_path / "model", files, epochs=1, validate_every=every))
    written = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    assert run(make_config(tmp_path / "model", files, epochs=1, validate_every=every)).status == "already finished"
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == written
    second = run(make_config(tmp_path / "model", files, epochs=2, validate_every=every))
    assert second.status == "finished"
    assert second.steps > first.steps


def test_checkpoints_are_rotated(tmp_path, files):
    result = run(make_config(tmp_path / "model", files, epochs=3, validate_every=3, keep_checkpoints=2))
    steps = {int(path.name[5:]) for path in (tmp_path / "model" / "checkpoints").glob("step_*")}
    assert {result.best_step, result.steps} <= steps
    assert len(steps) <= 3
    assert not list((tmp_path / "model" / "checkpoints").glob(".*"))


def test_patience(tmp_path, files):
    config = make_config(
        tmp_path / "model", files, epochs=50, validate_every=1, patience=2, early_stopping_metric="bleu"
    )
    prepare(config)
    data = PreparedData.open(config)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    scores = iter([10.0, 90.0, 50.0, 89.0])

    def validate(model: Seq2Seq) -> float:
        assert not model.training
        return next(scores)

    batches = TrainingBatches(data.train, 400, 3)
    result = train(config, model, batches, validation_batches(data.valid, 400), validate=validate)
    assert (result.status, result.steps, result.best_step, result.best_score) == ("stopped early", 4, 4, 89.0)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("model", "hidden_size", 32), ("data", "max_length", 50), ("training", "seed", 9)],
)
def test_other_settings_are_refused(tmp_path, files, section, key, value):
    config = make_config(tmp_path / "model", files, epochs=1)
    run(config)
    data = PreparedData.open(config)
    changed = getattr(config, section).model_copy(update={key: value})
    config = config.model_copy(update={section: changed})
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    with pytest.raises(TrainingError, match=rf"{section}\.{key}: .* {value}"):
        train(config, model, TrainingBatches(data.train, 400, 3), validation_batches(data.valid, 400))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_damaged_checkpoint(tmp_path, files, name):
    run(make_config(tmp_path / "model", files, epochs=1))
    (checkpoint,) = (tmp_path / "model" / "checkpoints").glob("step_*")
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:-20])
    with pytest.raises(TrainingError, match=name) as caught:
        run(make_config(tmp_path / "model", files, epochs=2))
    assert "\n" not in str(caught.value)


def test_nothing_to_train_on(tmp_path, files):
    config = make_config(tmp_path / "model", files)
    prepare(config)
    data = PreparedData.open(config)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    with pytest.raises(TrainingError, match="validation set"):
        train(config, model, TrainingBatches(data.train, 400, 3), [])


def test_bleu_needs_validate(tmp_path, files):
    config = make_config(tmp_path / "model", files, early_stopping_metric="bleu")
    with pytest.raises(TrainingError, match="bleu"):
        run(config)
