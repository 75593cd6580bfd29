"""`data.corpora`: text of several pairs of languages, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt.brief import parse_brief
from nmt.config import Config, ConfigError
from nmt.config_file import as_json, load_config, parse_config
from nmt.config_keys import describe

EN_DE = "source_language = 'en'\ntarget_language = 'de'\ntrain = ['a.en', 'a.de']\n"
EN_FR = EN_DE.replace("de'", "fr'")
ONE_SET = "data.corpora: expected one `valid` for each pair of languages:"
VALID = "valid = ['v.en', 'v.de']\n"


def settings(tmp_path: Path, *corpora: str, data: str = "", before: str = "") -> Config:
    path = tmp_path / "config.toml"
    each = "".join(f"[[data.corpora]]\n{corpus}" for corpus in corpora)
    path.write_text(f"folder = 'run'\n{before}[data]\n{data}{each}")
    return load_config(path)


def test_languages_and_sets(tmp_path):
    more = f"{EN_DE}weight = 2.5\n"  # another corpus of the same languages, without a validation set
    config = settings(
        tmp_path, EN_DE + VALID + "test.t = ['t.en', 't.de']\n", EN_FR + VALID + "test.t = 'x.tsv'\n", more
    )
    data = config.data
    assert (data.source_language, data.target_language) == ("en", "mul")
    assert data.directions == (("en", "de"), ("en", "fr"))
    assert data.target_languages == ("de", "fr")
    assert [part.weight for part in data.parts] == [1.0, 1.0, 2.5]
    assert data.test_sets["t:en-fr"] == ((Path("x.tsv"),), ("en", "fr"))
    assert set(data.test_sets) == {"t:en-de", "t:en-fr"}
    written = as_json(config)
    assert parse_config(written.encode(), "x") == config
    brief = parse_brief(written.encode())
    assert brief is not None
    assert (brief.data.directions, brief.data.target_languages) == (data.directions, data.target_languages)
    assert parse_brief(written.replace('"target_language": "fr"', '"target_language": "<2>"').encode()) is None


def test_one_pair_of_languages_is_one_part(tmp_path):
    plain = load_config(None, ["folder=x", "data.train=['a', 'b']", "data.valid=['c', 'd']", "data.test.t=['e', 'f']"])
    [part] = plain.data.parts
    assert (part.languages, part.train, part.valid) == (("src", "tgt"), plain.data.train, plain.data.valid)
    assert plain.data.test_sets == {"t": (plain.data.test["t"], ("src", "tgt"))}
    weighted = settings(tmp_path, EN_DE + VALID, EN_DE + "weight = 3\n").data
    assert (weighted.target_language, weighted.target_languages) == ("de", ("de",))


@pytest.mark.parametrize(
    ("corpora", "data", "message"),
    [
        ([EN_DE], "", "data.corpora: expected one `valid` for each pair of languages: en-de has none, got"),
        (
            [EN_DE + VALID, EN_DE + VALID],
            "",
            "data.corpora: expected one `valid` for each pair of languages: en-de has 2",
        ),
        ([EN_DE + VALID], VALID, "data.valid: expected none beside data.corpora, which has its own, got"),
        ([EN_DE + VALID], "train = 'a.tsv'\n", "data.train: expected none beside data.corpora, which has its own, got"),
        ([EN_DE + VALID], "test.t = 'a.tsv'\n", "data.test: expected none beside data.corpora, which has its own, got"),
        ([EN_DE + VALID], "target_language = 'fr'\n", "data.target_language: expected none beside data.corpora, which"),
        (
            [EN_DE + VALID + "wieght = 2\n"],
            "",
            "data.corpora.0.wieght: no such setting; did you mean data.corpora.0.weight?",
        ),
        ([EN_DE.replace("'de'", "'<2de>'") + VALID], "", "data.corpora.0.target_language: string should match pattern"),
        ([EN_DE + VALID + "weight = 0\n"], "", "data.corpora.0.weight: input should be greater than 0, got 0"),
        ([], "train = 'a.tsv'\n", "data.valid: required, but not given"),
        ([], VALID, "data.train: required, but not given"),
    ],
)
def test_errors(tmp_path, corpora, data, message):
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, *corpora, data=data)
    assert f"config.toml: {message}" in str(caught.value)


def test_they_are_described():
    rows = {row.key: row for row in describe("data")}
    assert rows["data.corpora"].type == "list of section"
    assert rows["data.corpora.weight"].type == "number > 0.0, <= 1000.0"
    assert rows["data.train"].default == "required"
    with pytest.raises(ConfigError, match=r"did you mean data\.train"):
        describe("train")
