"""Input feeding from text to translations: it learns, goes on where it stopped, and translates in every form."""

import signal
from pathlib import Path

import pytest
from forms import check_every_form, with_model
from synthetic import make_config, make_pairs, write_corpus

from nmt.commands import info
from nmt.config import Config
from nmt.data.batching import ALL, TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.training.trainer import TrainingResult, build_model, train

PAIRS = make_pairs(200, seed=1)


def fed(config: Config, **model: object) -> Config:
    return with_model(config, input_feeding=True, **model)


def run(config: Config, stop_after: int | None = None) -> TrainingResult:
    prepare(config)
    data = PreparedData.open(config)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = Interrupting(data, config, stop_after)
    return train(config, model, batches, validation_batches(data.valid, 400), counts=data.counts)


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("feeding")
    files = write_corpus(place / "text", PAIRS)
    config = fed(make_config(place / "model", files, epochs=15, ema_decay=0.95), zoneout=0.02, recurrent_dropout=0.02)
    assert run(config).status == "finished"
    return config.folder


def test_it_learns_and_translates_in_every_form(folder, tmp_path):
    check_every_form(folder, PAIRS[:80], tmp_path / "model.nmt")


def test_it_is_told(folder, capsys):
    info.run(folder, as_json=False)
    shown = capsys.readouterr().out
    assert "dot attention, fed back into the first layer" in shown
    assert "recurrent dropout 0.02, zoneout 0.02" in shown


def test_resumed_equals_uninterrupted_whatever_is_kept(tmp_path):
    files = write_corpus(tmp_path / "text", make_pairs(60, seed=2))
    noise = {"zoneout": 0.1, "dropout": 0.2, "attention_dropout": 0.1, "dropout_mask": "sentence", "decoder_layers": 3}
    written = []
    for name, keeps, stops in (("whole", "store", [None]), ("parts", "checkpoint", [3, None])):
        config = fed(make_config(tmp_path / name, files, max_steps=6, validate_every=4), memory=keeps, **noise)
        status = [run(config, stop).status for stop in stops]
        assert status == ["interrupted"] * (len(stops) - 1) + ["finished"]
        written.append((config.folder / "model.safetensors").read_bytes())
    assert written[0] == written[1]


def test_where_it_makes_no_sense():
    with pytest.raises(ValueError, match=r"model\.input_feeding: expected model\.context = 'readout'"):
        Config.model_validate({"folder": "x", "data": {"train": ["a", "b"], "valid": ["a", "b"]}
                               | {"source_language": "en", "target_language": "de"},
                               "model": {"input_feeding": True, "context": "upper"}})  # fmt: skip
