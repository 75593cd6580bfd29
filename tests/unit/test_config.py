from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config import Config, ConfigError
from nmt.config_file import load_config, read_config, save_config
from nmt.config_keys import describe

MINIMAL = """
folder = "run/model"
[data]
train = ["a.src", "a.tgt"]
valid = ["b.src", "b.tgt"]
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL)
    return path


def problems(path: Path | None, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).splitlines()


def test_defaults_fill_what_the_file_leaves_out(config_file: Path) -> None:
    config = load_config(config_file, [])
    assert config.data.train == ((Path("a.src"), Path("a.tgt")),)
    assert config.training.learning_rate == 2e-3


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.epochs=3", "epochs", 3),
        ("training.learning_rate = 1e-3", "learning_rate", 1e-3),
        ("training.optimizer=adamw", "optimizer", "adamw"),
        ('training.optimizer="adamw"', "optimizer", "adamw"),
        ("training.adam_betas=[0.8, 0.9]", "adam_betas", (0.8, 0.9)),
        ("training.max_steps=none", "max_steps", None),
    ],
)
def test_overrides_are_toml_or_text(config_file: Path, override: str, key: str, value: object) -> None:
    assert getattr(load_config(config_file, [override]).training, key) == value


def test_an_override_can_hold_an_equals_sign(config_file: Path) -> None:
    assert load_config(config_file, ["folder=run/a=b"]).folder == Path("run/a=b")


def test_the_last_override_wins_and_beats_the_file(config_file: Path) -> None:
    assert load_config(config_file, ["folder=x", "folder=y"]).folder == Path("y")


def test_overrides_alone_suffice() -> None:
    config = load_config(None, ["folder=x", "data.train=['a', 'b']", "data.valid=['c', 'd']"])
    assert config.data.valid == (Path("c"), Path("d"))


def test_variables_in_paths_are_expanded(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPORA", "/corpora")
    config = load_config(
        config_file, ["data.train=['${CORPORA}/a', '${CORPORA}/b']", "data.test.t=['${CORPORA}/c', 'd']"]
    )
    assert config.data.train == ((Path("/corpora/a"), Path("/corpora/b")),)
    assert config.data.test["t"][0] == Path("/corpora/c")


@pytest.mark.parametrize(
    "text", ["2024", "2024-01-01", "1e5", "true", "none", "inf", "[a]", "{a = 1}", "x # y", "0x1F"]
)
def test_a_setting_that_is_text_takes_any_text(config_file: Path, text: str) -> None:
    config = load_config(config_file, [f"folder={text}", f"data.source_language= {text} "])
    assert (config.folder, config.data.source_language) == (Path(text), text)
    assert load_config(config_file, [f'folder="{text}"']).folder == Path(text)


def test_what_stands_on_further_lines_is_not_lost(config_file: Path) -> None:
    assert load_config(config_file, ["folder='a'\nb=1"]).folder == Path("'a'\nb=1")
    assert problems(config_file, "training.epochs=3\nmore=1") != []


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("folder={}", lambda config: config.folder),
        ("data.train=['{}', 'b']", lambda config: config.data.train[0][0]),
        ("data.valid=['a', '{}']", lambda config: config.data.valid[1]),
        ("data.test.t=['a', '{}']", lambda config: config.data.test["t"][1]),
    ],
)
def test_every_path_knows_home_and_variables(
    config_file: Path, override: str, read: Callable[[Config], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for text, path in (("~/x", "/home/me/x"), ("$HOME/x", "/home/me/x"), ("${HOME}x", "/home/mex"), ("a~/x", "a~/x")):
        assert read(load_config(config_file, [override.format(text)])) == Path(path)
    config_file.write_text(MINIMAL.replace("run/model", "~/x"))
    assert load_config(config_file).folder == Path("/home/me/x")


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "\udcff"])
def test_what_is_no_path(config_file: Path, text: str) -> None:
    [line] = problems(config_file, f"folder={text}")
    assert line.startswith("--set: folder: expected a path")


@pytest.mark.parametrize("file", ["config.toml", "config.json"])
def test_a_byte_order_mark_says_nothing(config_file: Path, file: str) -> None:
    path = config_file.with_name(file)
    if file == "config.json":
        save_config(load_config(config_file), path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert (read_config(path) if file == "config.json" else load_config(path)) == load_config(config_file)


def test_a_missing_variable_is_named(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORPORA", raising=False)
    assert problems(config_file, "folder=${CORPORA}/x") == [
        '--set: folder: environment variable CORPORA is not set, got "${CORPORA}/x"'
    ]


def test_an_unknown_key_names_file_key_nearest_and_choices(config_file: Path) -> None:
    config_file.write_text(MINIMAL + "[model]\nhiden_size = 3\n")
    (line,) = problems(config_file)
    assert line.startswith(f"{config_file}: model.hiden_size: no such setting; did you mean model.hidden_size?")
    assert "valid keys of model: cell, embedding_size" in line


def test_a_key_in_the_wrong_section_is_pointed_to_the_right_one(config_file: Path) -> None:
    (line,) = problems(config_file, "training.beam_size=3")
    assert line.startswith("--set: training.beam_size: no such setting; did you mean decoding.beam_size?")


def test_each_problem_has_a_line_of_its_own(config_file: Path) -> None:
    lines = problems(config_file, "training.epochs=0", "model.cell=rnn", "training.learning_rate=nan", "section.key=1")
    assert len(lines) == 4
    assert "--set: training.epochs: input should be greater than or equal to 1, got 0" in lines
    assert (
        "--set: model.cell: input should be 'lstm', 'mi_lstm', 'layer_norm_lstm', 'layer_norm_mi_lstm' or 'gru', "
        'got "rnn"' in lines
    )


@pytest.mark.parametrize("override", ["epochs", "=3", "training.=3", ".epochs=3"])
def test_malformed_overrides(config_file: Path, override: str) -> None:
    assert problems(config_file, override) == [f"--set {override}: expected section.key=value"]


def test_an_override_below_a_value_is_an_error(config_file: Path) -> None:
    (line,) = problems(config_file, "folder.name=x")
    assert "folder is a value, not a section" in line


def test_missing_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    assert problems(path) == [f"{path}: {key}: required, but not given" for key in ("folder", "data")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"folder = ", ""),
        (b"folder = '\xff'", "expected UTF-8, got byte 0xff at position 10"),
        ("folder = 'x'".encode("utf-16"), "expected UTF-8, got UTF-16"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    (line,) = problems(path)
    assert line.startswith(f"{path}: not a TOML file: {what}")


def test_settings_that_contradict_each_other(config_file: Path) -> None:
    (line,) = problems(config_file, "training.weight_decay=0.1")
    assert line == f"{config_file}: training.weight_decay needs training.optimizer = 'adamw'"


def test_json_round_trip(config_file: Path, tmp_path: Path) -> None:
    config = load_config(config_file, ["training.max_minutes=1.5", "data.test.x=['e', 'f']"])
    save_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config


@pytest.mark.parametrize("version", [2, None, "1"])
def test_an_unknown_format_version_is_refused(config_file: Path, tmp_path: Path, version: object) -> None:
    path = tmp_path / "config.json"
    save_config(load_config(config_file, []), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": version}))
    with pytest.raises(ConfigError, match=r"config\.json: format_version: expected 1, got "):
        read_config(path)


@pytest.mark.parametrize("content", ["", "[]", "{", "3"])
def test_a_config_json_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"config\.json: "):
        read_config(path)


def test_every_setting_has_a_meaning() -> None:
    rows = describe()
    assert [row.key for row in rows if not row.meaning] == []
    by_key = {row.key: row for row in rows}
    assert by_key["folder"].default == "required"
    assert by_key["training.epochs"].type == "integer >= 1, <= 1000000"
    assert by_key["model.cell"].type == "lstm | mi_lstm | layer_norm_lstm | layer_norm_mi_lstm | gru"
    assert by_key["training.max_minutes"].default == "none"


def test_a_setting_of_a_model_by_its_name_of_before(config_file: Path) -> None:
    path = config_file.with_name("config.json")
    save_config(load_config(config_file, ["training.subword_regularization=0.25"]), path)
    path.write_text(path.read_text().replace('"subword_regularization"', '"subword_sampling"'))
    assert read_config(path).training.subword_regularization == 0.25
    [line] = problems(config_file, "training.subword_sampling=0.25")
    assert "did you mean training.subword_regularization?" in line
