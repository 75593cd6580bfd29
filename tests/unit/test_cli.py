"""The command line as its users meet it: in processes of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.cli import FAILED, WRONG_USAGE


def nmt(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nmt", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def error_of(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The one line of an expected error."""
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), message
    assert message.count("\n") == 1, message
    assert message.startswith("nmt: error: ")
    return message.removeprefix("nmt: error: ").strip()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f"folder = '{tmp_path}/model'\n[data]\ntrain = ['no.a', 'no.b']\nvalid = ['no.c', 'no.d']\n")
    return path


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['nmt', '--help']; from nmt.cli import main\n"
        "try: main()\n"
        "except SystemExit: print({'torch', 'numpy', 'pydantic', 'sentencepiece', 'rich.console'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("set()\n")
    assert "translate" in done.stdout


@pytest.mark.parametrize("command", ["config", "prepare", "train", "translate", "evaluate"])
def test_every_command_has_help(command: str) -> None:
    done = nmt(command, "--help")
    assert done.returncode == 0
    assert b"Usage:" in done.stdout


def test_version() -> None:
    assert nmt("--version").stdout.startswith(b"nmt ")


def test_config_lists_the_settings() -> None:
    done = nmt("config")
    assert done.returncode == 0
    assert b"training.learning_rate = 0.002    (number > 0, <= 1)\n    Peak learning rate.\n" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["prepare"],
        ["translate", "x", "--beam-size", "0"],
        ["translate", "x", "--no-such-option"],
        ["evaluate", "x"],
        ["evaluate", "x", "--source", "a"],
        ["evaluate", "x", "--test", "a", "--source", "a", "--reference", "b"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = nmt(*arguments)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"Error: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_wrong_settings(config_file: Path) -> None:
    message = error_of(nmt("prepare", config_file, "--set", "model.hiden_size=3"), WRONG_USAGE)
    assert "--set: model.hiden_size: no such setting; did you mean model.hidden_size?" in message


@pytest.mark.parametrize("command", ["prepare", "train"])
def test_missing_files(config_file: Path, tmp_path: Path, command: str) -> None:
    assert error_of(nmt(command, tmp_path / "no.toml"), FAILED) == f"{tmp_path}/no.toml: No such file or directory"
    assert error_of(nmt(command, config_file), FAILED) == "no.a: No such file or directory"


@pytest.mark.parametrize("arguments", [["translate"], ["evaluate", "--test", "x"]])
def test_missing_model(tmp_path: Path, arguments: list[str]) -> None:
    assert str(tmp_path / "none") in error_of(nmt(*arguments, tmp_path / "none"), FAILED)
    (tmp_path / "empty").mkdir()
    assert "config.json" in error_of(nmt(*arguments, tmp_path / "empty"), FAILED)


class Upper:
    """Stands in for a translator, and notes how many lines it is given at once."""

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def translate_detailed(self, lines: list[str], *_: object) -> list[object]:
        from nmt.decoding.translation import Status, Translation  # noqa: PLC0415

        self.chunks.append(len(lines))
        return [Translation(line.upper(), Status.OK) for line in lines]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"", b""),
        (b"\n", b"\n"),
        (b"a", b"A\n"),
        (b"a\r\nb\n", b"A\nB\n"),
        (b"a\rb\x0bc\n\n", b"A\rB\x0bC\n\n"),
        ("a\u2028b\x85\n".encode(), "A\u2028B\x85\n".encode()),
        (b"x\xff\xfe\n", "X\ufffd\ufffd\n".encode()),
        (b"\0\n \n", b"\0\n \n"),
    ],
)
def test_one_line_out_for_each_line_in(given: bytes, expected: bytes) -> None:
    from nmt.commands.translate import SearchSettings, translate_stream  # noqa: PLC0415  (imports torch)

    out = io.BytesIO()
    translate_stream(Upper(), io.BytesIO(given), out, SearchSettings())  # type: ignore[arg-type]
    assert out.getvalue() == expected


def test_a_stream_is_translated_in_chunks() -> None:
    from nmt.commands.translate import SearchSettings, translate_stream  # noqa: PLC0415

    translator, out = Upper(), io.BytesIO()
    translate_stream(translator, io.BytesIO(b"a\n" * 2500), out, SearchSettings(), chunk=1000)  # type: ignore[arg-type]
    assert translator.chunks == [1000, 1000, 500]
    assert out.getvalue() == b"A\n" * 2500
