"""What reaches a terminal: text, of a length that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nmt.cli import app
from nmt.terminal import printable, tell

MODEL = Path(__file__).parents[1] / "data" / "model-v1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße, 日本語, «ё»", "Straße, 日本語, «ё»"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\rb\x9bc\u202ed\u2028", r"a\rb\x9bc\u202ed\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_could_move_a_cursor_or_hide_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_long_is_shortened_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a" * 600 + "b" * 99_800 + "c" * 600, 900) == (
        "a" * 600 + " ... (101,000 characters) ... " + "c" * 300
    )
    tell("nmt", "\n".join(map(str, range(100))))
    said = capsys.readouterr().err
    assert said.count("\n") == 41
    assert said.endswith("nmt: 39\nnmt: and 60 more lines\n")


@pytest.mark.parametrize("text", ["\x1b[2J", "x" * 100_000, "a\nnmt: error: another"])
def test_names_and_values_of_a_file_do_not_reach_the_terminal_as_they_are(tmp_path: Path, text: str) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    for change in (
        {text: 1},
        {"format_version": text},
        {"data": {**config["data"], "max_length": text}},
        {"model": {**config["model"], text: text}},
        {"data": {**config["data"], "test": {text: 1}}},
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        done = CliRunner().invoke(app, ["info", str(tmp_path)])
        assert done.exit_code == 1
        assert len(done.stderr) < 1500
        assert done.stderr.replace("\n", "").isprintable()
        assert done.stderr.count("\n") == 1, done.stderr


def test_arguments_do_not_either(tmp_path: Path) -> None:
    for words in (
        ["info", "--\x1b[2J"],
        ["translate", "x", "--device", "\x1b" * 9999],
        ["\x1b[2J"],
        ["config", "\x1b"],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2
        assert done.stderr.replace("\n", "").isprintable()
        assert len(done.stderr) < 3000


def test_links_to_folders_are_not_walked(tmp_path: Path) -> None:
    for path in MODEL.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "everything").symlink_to("/")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "and").symlink_to("..")
    (tmp_path / "again" / "pipe").write_bytes(b"12345")
    done = CliRunner().invoke(app, ["info", str(tmp_path), "--json"])
    files = json.loads(done.stdout)["files"]
    assert "everything/" not in files
    assert files["again/"] == 5
