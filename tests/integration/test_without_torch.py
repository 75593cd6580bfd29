"""Translating where torch is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
LINES = "The old dog sees the small cat.\n\none two three\n"
BLOCKED = "import sys; sys.modules['torch'] = None\n"


def without_torch(code: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED + code, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def nmt(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return without_torch("from nmt.cli import main; main()", *arguments, stdin=stdin)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source, reference = tmp_path / "source", tmp_path / "reference"
    source.write_text(LINES)
    reference.write_text("a\n\nb\n")
    return source, reference


def test_translating(files: tuple[Path, Path]) -> None:
    for more in ((), ("--precision", "int8", "--device", "auto"), ("--status", "--scores")):
        done = nmt("translate", MODEL, *more, stdin=LINES)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 3


def test_scores_of_a_test_set(files: tuple[Path, Path], tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in MODEL.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    test = ("--source", files[0], "--reference", files[1])
    done = nmt("evaluate", model, *test)
    assert done.returncode == 0, done.stderr
    assert "BLEU" in done.stdout
    assert "BLEU" in nmt("compare", model, files[1], *test).stdout
    assert "BLEU" in nmt("info", model).stdout


def test_given_translations(files: tuple[Path, Path]) -> None:
    done = nmt("score", MODEL, *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(float(line) < 0 for line in done.stdout.splitlines())
    done = nmt("translate", MODEL, "--alignments", stdin=LINES)
    assert (done.returncode, done.stderr) == (0, "")
    first, empty, last = done.stdout.splitlines()
    assert ("-" in first, empty, "-" in last) == (True, "\t", True)


def test_the_library() -> None:
    code = (
        "from nmt import Translator\n"
        f"translator = Translator.load({str(MODEL)!r}, threads=2)\n"
        "print(len(translator.translate(['red dog', ''])), translator)\n"
        "import rnn_engine; rnn_engine.available_isas(); rnn_engine.Stack; rnn_engine.StackSpec\n"
    )
    done = without_torch(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 <Translator ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "CONFIG"),
        ("plan", "CONFIG"),
        ("average", MODEL, "--output", "nowhere", "--last", "1"),
        ("translate", MODEL, "--device", "cuda"),
        ("translate", MODEL, "--search", "reference"),
    ],
)
def test_what_needs_it_says_how_to_get_it(tmp_path: Path, arguments: tuple[str | Path, ...]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"folder = '{tmp_path}/m'\n[data]\ntrain = ['a', 'b']\nvalid = ['a', 'b']\n")
    done = nmt(*(config if each == "CONFIG" else each for each in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith('needs torch, which is not installed: pip install "nmt-rnn[train]"\n')
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "light", ["nmt.decoding.translator", "nmt.commands.translate", "nmt.commands.score", "rnn_engine"]
)
def test_torch_is_not_imported_where_it_is(light: str) -> None:
    code = f"import sys, {light}; print([name for name in sys.modules if name.partition('.')[0] == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
