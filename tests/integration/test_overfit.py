"""The whole road, from text files to translations: 200 pairs are learned by heart."""

from pathlib import Path

import pytest
from synthetic import make_config, make_pairs, write_corpus

from nmt.config import Config
from nmt.data.batching import TrainingBatches, validation_batches
from nmt.data.preparation.prepare import PreparedData, prepare
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.translator import Translator
from nmt.evaluation import score
from nmt.training.trainer import TrainingResult, build_model, train

PAIRS = make_pairs(200, seed=1)


def run(config: Config) -> TrainingResult:
    prepare(config)
    data = PreparedData.open(config)
    model = build_model(config, data.source_subwords.size, data.target_subwords.size)
    batches = TrainingBatches(data.train, config.training.batch_tokens, config.training.seed)
    valid = validation_batches(data.valid, config.training.batch_tokens)
    translator = Translator(ModelNetwork(model), data.source_subwords, data.target_subwords, config)

    def validate(model: object) -> float:
        hypotheses = translator.translate([source for source, _ in PAIRS[:50]], beam_size=1)
        return score(hypotheses, [target for _, target in PAIRS[:50]]).bleu

    return train(config, model, batches, valid, validate=validate, counts=data.counts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult, Config]:
    folder = tmp_path_factory.mktemp("overfit")
    files = write_corpus(folder / "text", PAIRS)
    config = make_config(folder / "model", files, epochs=25, ema_decay=0.98, early_stopping_metric="bleu")
    return config.folder, run(config), config


def test_overfits(trained):
    folder, result, _ = trained
    assert result.status == "finished"
    assert result.best_score > 99
    translator = Translator.load(folder, threads=1)
    hypotheses = translator.translate([source for source, _ in PAIRS])
    assert score(hypotheses, [target for _, target in PAIRS]).bleu > 99


def test_folder_is_complete(trained):
    folder, result, _ = trained
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "training.log", "joint.spm", "checkpoints"} <= names
    steps = {path.name for path in (folder / "checkpoints").glob("step_*")}
    assert f"step_{result.best_step}" in steps
    assert (folder / "checkpoints" / "best").readlink() == Path(f"step_{result.best_step}")
    card = (folder / "README.md").read_text()
    assert "en to de" in card
    assert "training pairs | 200" in card
    assert "validation bleu" in card
    log = (folder / "training.log").read_text()
    assert "validation at step 100 " in log
    assert "finished after" in log


def test_a_finished_run_says_so(trained):
    folder, result, config = trained
    before = (folder / "model.safetensors").stat()
    again = run(config)
    assert again.status == "already finished"
    assert again.steps == result.steps
    assert (folder / "model.safetensors").stat() == before


def test_one_line_in_one_line_out(trained):
    translator = Translator.load(trained[0], threads=1)
    long = " ".join(source for source, _ in PAIRS[:40])
    lines = ["", PAIRS[0][0], "  \t ", long, "line\u2028break\nand\rmore", PAIRS[1][0], "日本語 ☃", "a" * 900]
    translated = translator.translate(lines, batch_size=3, beam_size=3)
    assert len(translated) == len(lines)
    assert not any("\n" in line or len(line.splitlines()) > 1 for line in translated)
    assert translated[0] == translated[2] == ""
    assert [translated[1], translated[5]] == [PAIRS[0][1], PAIRS[1][1]]
    assert translated[3] == " ".join(target for _, target in PAIRS[:40])


def test_order_and_batches_do_not_matter(trained):
    translator = Translator.load(trained[0], threads=1)
    sources = [source for source, _ in PAIRS[:12]]
    expected = translator.translate(sources, batch_size=12)
    assert translator.translate(sources[::-1], batch_size=5) == expected[::-1]
    done: list[int] = []
    assert translator.translate(sources, batch_size=1, progress=done.append) == expected
    assert sum(done) == 12
