"""A model whose attention averages embeddings, too, from text to translations in every form."""

from pathlib import Path

import pytest
from synthetic import make_config, make_pairs, write_corpus

from nmt.commands import export, info
from nmt.commands.training import train_model
from nmt.config import Config
from nmt.decoding.translator import Translator
from nmt.evaluation import score

PAIRS = make_pairs(200, seed=1)


def attending(config: Config, **model: object) -> Config:
    return Config.model_validate(
        config.model_dump() | {"model": config.model.model_dump() | {"attend_embeddings": True, **model}}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embeddings")
    files = write_corpus(place / "text", PAIRS)
    config = attending(make_config(place / "model", files, epochs=15, ema_decay=0.95), attention_heads=2)
    assert train_model(config, ["nmt", "train"]).status == "finished"
    return config.folder


def test_it_learns_and_translates_in_every_form(folder, tmp_path):
    sources, targets = ([pair[side] for pair in PAIRS[:80]] for side in (0, 1))
    file = tmp_path / "model.nmt"
    export.run(folder, file, "int8")
    for model, settings in (
        (folder, {}),
        (folder, {"precision": "int8"}),
        (folder, {"precision": "bfloat16"}),
        (folder, {"search": "reference"}),
        (file, {}),
        ([folder, file], {}),
    ):
        translator = Translator.load(model, threads=1, **settings)
        assert score(translator.translate(sources, beam_size=2), targets).bleu > 98, (model, settings)


def test_it_is_told(folder, capsys):
    info.run(folder, as_json=False)
    assert "dot attention of 2 heads, of states and embeddings" in capsys.readouterr().out


def test_heads_divide_the_embeddings_too(tmp_path):
    config = make_config(tmp_path / "model", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(ValueError, match=r"model\.attention_heads: expected, with model\.attend_embeddings, a divisor"):
        attending(config, embedding_size=18, hidden_size=16, attention_heads=4)
