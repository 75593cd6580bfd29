"""What the settings of training do, on a network that takes milliseconds."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic import make_config, make_pairs, write_corpus

from nmt.config import Config
from nmt.data.batching import TrainingBatches, collate, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.model.seq2seq import Seq2Seq
from nmt.model_folder.scores import ScoresFile
from nmt.training import TrainingError, events
from nmt.training.checkpoint import Checkpoints, _checksum_of_state
from nmt.training.trainer import Trainer, TrainingResult, build_model, train

SMALL = {"embedding_size": 12, "hidden_size": 12, "encoder_layers": 1, "dropout": 0.1}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_corpus(tmp_path_factory.mktemp("text"), make_pairs(80, seed=2))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, files: tuple[Path, Path]) -> Config:
    config = make_config(tmp_path_factory.mktemp("prepared"), files)
    prepare(config)
    return config


@pytest.fixture
def settings(prepared: Config, tmp_path: Path) -> Callable[..., Config]:
    """Make settings; those of the model are told by being the model's."""

    def make(name: str = "model", **changes: object) -> Config:
        shape = SMALL | {key: value for key, value in changes.items() if key in type(prepared.model).model_fields}
        training = {key: value for key, value in changes.items() if key in type(prepared.training).model_fields}
        model = prepared.model.model_copy(update=shape)
        training = prepared.training.model_copy(update={"epochs": 2, "validate_every": 4} | training)
        return prepared.model_copy(update={"folder": tmp_path / name, "model": model, "training": training})

    return make


def make_trainer(prepared: Config, config: Config, validate: Callable[[Seq2Seq], float] | None = None) -> Trainer:
    data = PreparedData.open(prepared)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = TrainingBatches(data.train, config.training.batch_tokens, config.training.seed)
    return Trainer(config, model, batches, validation_batches(data.valid, 400)[:2], validate, {})


def run(prepared: Config, config: Config, validate: Callable[[Seq2Seq], float] | None = None) -> TrainingResult:
    trainer = make_trainer(prepared, config, validate)
    return train(config, trainer.model, trainer.data, trainer.valid, validate=validate)


def model_bytes(config: Config) -> bytes:
    return (config.folder / "model.safetensors").read_bytes()


def test_settings_that_are_off_change_nothing(prepared, settings):
    off = {"embedding_dropout": None, "word_dropout": 0.0, "attention_dropout": 0.0, "accumulate": 1}
    off |= {"subword_regularization": 0.0, "checkpoint_every": 3}
    plain, spelled = settings("plain"), settings("spelled", **off)
    assert run(prepared, plain).steps == run(prepared, spelled).steps
    assert model_bytes(plain) == model_bytes(spelled)
    for name, setting in (("a", {"word_dropout": 0.1}), ("b", {"attention_dropout": 0.1}), ("c", {"accumulate": 2})):
        other = settings(name, **setting)
        run(prepared, other)
        assert model_bytes(other) != model_bytes(plain)


@pytest.mark.parametrize("parts", [2, 3])
def test_accumulated_gradients_are_those_of_one_batch(prepared, settings, parts):
    data = PreparedData.open(prepared)
    trainer = make_trainer(prepared, settings(dropout=0.0))
    rows = list(range(24))
    cuts = [rows[start::parts][: 4 + 3 * start] for start in range(parts)]  # of unequal sizes
    together = [row for cut in cuts for row in cut]
    trainer.clipper.max_norm = 1e9
    weights = copy.deepcopy(trainer.model.state_dict())
    gradients = []
    for batches in ([collate(data.train, together)], [collate(data.train, cut) for cut in cuts]):
        trainer.model.load_state_dict(weights)
        report = trainer.step(*batches)
        gradients.append([parameter.grad.clone() for parameter in trainer.model.parameters()])
        assert report.tokens == sum(len(data.train.pair(row)[1]) + 1 for row in together)
    assert trainer.state.batch == 1 + parts
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(summed, whole, rtol=1e-4, atol=1e-7)


def test_an_epoch_of_accumulated_steps(prepared, settings):
    config = settings(accumulate=4, epochs=3)
    trainer = make_trainer(prepared, config)
    batches = [trainer.data.number_of_batches(epoch) for epoch in range(3)]
    assert trainer.schedule.total_steps == 3 * math.ceil(batches[0] / 4)
    assert run(prepared, config).steps == sum(math.ceil(count / 4) for count in batches)


def test_max_steps_ends_in_the_middle_of_an_epoch(prepared, settings):
    assert run(prepared, settings(max_steps=5, epochs=100)).steps == 5
    assert run(prepared, settings(max_steps=5, epochs=100)).status == "already finished"
    longer = run(prepared, settings(max_steps=7, epochs=100))
    assert (longer.status, longer.steps) == ("finished", 7)
    assert [row["step"] for row in ScoresFile(settings().folder).validations()] == [4, 5, 7]
    assert (settings().folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_shorter_trainings_model_is_not_taken_for_the_longer_ones(prepared, settings):
    short = settings(max_steps=4, epochs=100)
    run(prepared, short)
    model = model_bytes(short)
    run(prepared, settings(max_steps=8, epochs=100))
    assert model_bytes(short) != model
    (short.folder / "model.safetensors").write_bytes(model)  # as if killed before the last file was written
    assert run(prepared, settings(max_steps=8, epochs=100)).status == "finished"
    assert model_bytes(short) != model


@pytest.mark.parametrize("schedule", ["linear", "cosine", "inverse_sqrt", "plateau"])
def test_a_schedule_goes_on_where_it_was(prepared, settings, schedule):
    changes = {"schedule": schedule, "validate_every": 2, "epochs": 100, "learning_rate": 0.05, "warmup_steps": 2}
    changes |= {"plateau_patience": 1, "patience": 100, "early_stopping_metric": "bleu"}
    whole, parts = settings("whole", max_steps=8, **changes), settings("parts", max_steps=8, **changes)
    scores = [3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    run(prepared, whole, bleu(scores))
    trainer = make_trainer(prepared, parts, bleu(scores))
    trainer.checkpoints.save = stopping(trainer.checkpoints.save, 4)
    with pytest.raises(Stopped):
        trainer.run()
    run(prepared, parts, bleu(scores[2:]))
    rates = [row["learning_rate"] for row in ScoresFile(parts.folder).validations()]
    assert rates == [row["learning_rate"] for row in ScoresFile(whole.folder).validations()]
    assert model_bytes(parts) == model_bytes(whole)
    if schedule == "plateau":
        assert rates == [0.05, 0.05, 0.025, 0.0125]


def bleu(scores: list[float]) -> Callable[[Seq2Seq], float]:
    remaining = iter(scores)
    return lambda model: next(remaining)


class Stopped(Exception):
    pass


def stopping(save: Callable[..., None], step: int) -> Callable[..., None]:
    def wrapped(*arguments: Any) -> None:
        save(*arguments)
        if arguments[3].step == step:
            raise Stopped

    return wrapped


@pytest.mark.parametrize(
    ("metric", "learning_rate", "expected"), [("bleu", 0.005, ("stopped early", 4, 2)), ("loss", 1.0, None)]
)
def test_early_stopping(prepared, settings, metric, learning_rate, expected):
    changes = {"epochs": 1000, "patience": 2, "validate_every": 1, "early_stopping_metric": metric, "warmup_steps": 0}
    config = settings(learning_rate=learning_rate, **changes)
    result = run(prepared, config, bleu([10.0, 30.0, 20.0, 25.0] + [0.0] * 100))
    assert result.status == "stopped early"
    rows = ScoresFile(config.folder).validations()
    values = [row[metric] for row in rows]
    best = values.index(max(values) if metric == "bleu" else min(values))
    assert (result.best_step, result.steps) == (best + 1, len(rows)) == (best + 1, best + 3)
    assert expected is None or (result.status, result.steps, result.best_step) == expected


def test_the_best_and_the_last_ones_are_kept(prepared, settings):
    changes = {"validate_every": 2, "checkpoint_every": 3, "keep_checkpoints": 2, "early_stopping_metric": "bleu"}
    config = settings(max_steps=9, epochs=100, **changes)
    result = run(prepared, config, bleu([10.0, 50.0, 20.0, 20.0, 20.0]))
    checkpoints = Checkpoints(config.folder)
    assert (result.best_step, checkpoints.steps()) == (4, [4, 8, 9])
    assert (checkpoints.folder / "best").readlink() == Path("step_4")
    assert model_bytes(config) == (checkpoints.path(4) / "model.safetensors").read_bytes()


def test_what_was_best_before_a_damaged_checkpoint_is_kept(prepared, settings):
    changes = {"validate_every": 2, "keep_checkpoints": 2, "epochs": 100, "early_stopping_metric": "bleu"}
    config = settings(max_steps=6, **changes)
    run(prepared, config, bleu([20.0, 10.0, 30.0]))
    checkpoints = Checkpoints(config.folder)
    assert checkpoints.steps() == [2, 4, 6]  # the last two, and the best that step 4 knows
    (checkpoints.path(6) / "state.json").write_text("{")
    with pytest.raises(TrainingError, match=r"step_6/state.json: damaged.*remove this checkpoint"):
        run(prepared, config, bleu([]))
    for path in checkpoints.path(6).iterdir():
        path.unlink()
    checkpoints.path(6).rmdir()
    assert run(prepared, config, bleu([15.0])).best_step == 2
    assert model_bytes(config) == (checkpoints.path(2) / "model.safetensors").read_bytes()


def test_a_checkpoint_with_an_older_name_of_a_setting_goes_on(prepared, settings):
    run(prepared, settings(max_steps=4, epochs=100))
    path = Checkpoints(settings().folder).path(4) / "state.json"
    content = json.loads(path.read_text())
    training = content["state"]["config"]["training"]
    training["subword_sampling"] = training.pop("subword_regularization")
    content["checksums"]["state.json"] = _checksum_of_state(content["state"])
    path.write_text(json.dumps(content))
    assert run(prepared, settings(max_steps=8, epochs=100)).steps == 8


def test_steps_without_finite_gradients_are_left_out_and_counted(prepared, settings, capsys):
    config = settings(max_steps=6, epochs=100, validate_every=100)
    trainer = make_trainer(prepared, config)
    original, calls = trainer.clipper.clip, iter(range(100))

    def clip(*, forgive: bool) -> float | None:
        if next(calls) in (1, 4):
            trainer.model.output_bias.grad.fill_(math.nan)
        return original(forgive=forgive)

    trainer.clipper.clip = clip
    trainer.run()
    log = (config.folder / "training.log").read_text()
    assert "step 2 left out: gradients are not finite, the loss is " in log
    assert "best so far, 2 steps skipped" in log
    state = Checkpoints(config.folder).latest_state()
    assert (state.step, state.skipped, state.skipped_in_a_row) == (6, 2, 0)
    again = make_trainer(prepared, settings(max_steps=7, epochs=100, validate_every=100))
    again.run()
    assert again.clipper.skipped == 2


def test_training_that_diverges_says_so_and_keeps_the_last_checkpoint(prepared, settings):
    config = settings(max_steps=20, epochs=100, validate_every=2)
    trainer = make_trainer(prepared, config)
    trainer.model.output_bias.data[5] = math.nan
    with pytest.raises(TrainingError, match=r"loss on the validation set is nan: training has diverged"):
        trainer.run()
    assert Checkpoints(config.folder).steps() == []
    trainer = make_trainer(prepared, settings("other", max_steps=20, epochs=100, validate_every=100))
    trainer.model.output_bias.data[5] = math.inf
    with pytest.raises(TrainingError, match="not finite 5 steps in a row"):
        trainer.run()


def test_tensorboard(prepared, settings, monkeypatch):
    monkeypatch.setattr(events, "STEP_EVERY", 2)
    config = settings(tensorboard=True, max_steps=6, epochs=100)
    run(prepared, config)
    run(prepared, settings(tensorboard=True, max_steps=9, epochs=100))
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(config.folder / "tensorboard"))
    read.Reload()
    names = set(read.Tags()["scalars"])
    assert {"validation/loss", "training/loss", "training/learning_rate", "training/tokens_per_second"} <= names
    assert [event.step for event in read.Scalars("validation/loss")] == [4, 6, 8, 9]
    assert [event.step for event in read.Scalars("training/gradient_norm")] == [2, 4, 6, 8]
    rows = {row["step"]: row["loss"] for row in ScoresFile(config.folder).validations()}
    assert [event.value for event in read.Scalars("validation/loss")] == pytest.approx(list(rows.values()))


def test_a_training_does_not_load_the_compiler(tmp_path):
    """torch's takes 70 MiB and a second, and its own optimisers load it only to keep it out."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom tiny import train_tiny\n"
        "train_tiny(Path(sys.argv[1]))\nprint('torch' in sys.modules, 'torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "True False"
