"""A model whose attention averages embeddings, too, from text to translations in every form."""

from pathlib import Path

import pytest
from forms import check_every_form, with_model
from synthetic import make_config, make_pairs, write_corpus

from nmt.commands import info
from nmt.commands.training import train_model

PAIRS = make_pairs(200, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embeddings")
    files = write_corpus(place / "text", PAIRS)
    plain = make_config(place / "model", files, epochs=15, ema_decay=0.95)
    config = with_model(plain, attend_embeddings=True, attention_heads=2)
    assert train_model(config, ["nmt", "train"]).status == "finished"
    return config.folder


def test_it_learns_and_translates_in_every_form(folder, tmp_path):
    check_every_form(folder, PAIRS[:80], tmp_path / "model.nmt")


def test_it_is_told(folder, capsys):
    info.run(folder, as_json=False)
    assert "dot attention of 2 heads, of states and embeddings" in capsys.readouterr().out


def test_heads_divide_the_embeddings_too(tmp_path):
    config = make_config(tmp_path / "model", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(ValueError, match=r"model\.attention_heads: expected, with model\.attend_embeddings, a divisor"):
        with_model(config, attend_embeddings=True, embedding_size=18, hidden_size=16, attention_heads=4)
