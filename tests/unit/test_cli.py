"""The command line as its users meet it, most often in processes of its own."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import typer.main
from jinja2 import UndefinedError
from typer.testing import CliRunner

import nmt as package
from nmt import cli
from nmt.cli import app
from nmt.config import ConfigError
from nmt.data.line_reader import LineReader
from nmt.data.text import Source, open_input
from nmt.decoding.translation import Status, Translation
from nmt.evaluation import EvaluationError
from nmt.main import plainly_translating
from nmt.reporting import FAILED, WRONG_USAGE, reporting

COMMANDS = [
    "config",
    "prepare",
    "train",
    "plan",
    "distill",
    "backtranslate",
    "average",
    "export",
    "shortlist",
    "translate",
    "translate-file",
    "bulk",
    "evaluate",
    "tune",
    "score",
    "compare",
    "info",
    "serve",
    "help",
    "models",
    "keys",
]


def nmt(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nmt", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


def parsed(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of what needs no process of its own."""
    done = CliRunner().invoke(app, list(arguments), prog_name="nmt")
    return done.exit_code, done.stdout, done.stderr


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
    listed = done.stdout.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    code, output, _ = parsed(command, "--help")
    assert code == 0
    assert "Usage:" in output


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str) -> None:
    assert parsed(option) == (0, f"nmt {package.__version__}\n", "")


def test_home_is_found_in_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = ["translate", "~/model", "--input=~/a", "--output", "~/b~", "a~/b", "--set=folder=~/x", "~", "--x"]
    monkeypatch.setattr(sys, "argv", ["nmt", *given])
    seen: list[str] = []
    monkeypatch.setattr(cli, "app", seen.extend)
    cli.main()
    assert seen == [
        *("translate", "/home/me/model", "--input=/home/me/a", "--output", "/home/me/b~"),
        *("a~/b", "--set=folder=~/x", "~", "--x"),
    ]  # what --set says is for the settings, which know ~


def test_help_is_a_command_too() -> None:
    assert parsed("help", "translate") == parsed("translate", "--help")
    assert parsed("help") == parsed("--help")
    code, _, said = parsed("help", "translat")
    assert code == WRONG_USAGE
    assert "no such command: translat" in said


@pytest.mark.parametrize("which", ["decoding", "data"])
def test_a_section_of_the_settings(which: str) -> None:
    code, output, _ = parsed("config", which)
    keys = [line.partition(" = ")[0] for line in output.splitlines() if not line.startswith(" ")]
    assert code == 0
    assert len(keys) > 3
    assert all(key.startswith(f"{which}.") for key in keys)


def test_a_setting_by_itself() -> None:
    _, output, _ = parsed("config", "training.batch_tokens")
    assert output.startswith("training.batch_tokens = 3000    (integer >= 1")
    assert output.count(" = ") == 1


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("training.batch_tokens=5", ""),
        (" folder = 2024", ""),
        ("training.max_minutes=none", ""),
        ("data.corpora.0.weight=2.5", ""),
        ("training.batch_tokens=0", "input should be greater than or equal to 1, got 0"),
        ("training.batch_tokens=none", 'got "none"'),
        ("model.cell=rnn", "input should be 'lstm'"),
        ("data.test.news=['a', 'b']", ""),
        ("data.test.news=['a']", "expected a source and a target file"),
        ("data.test.2017=['a']", "expected a source and a target file"),
        ("data.corpora.12.weight=-1", "input should be greater than 0, got -1"),
        ("decoding=3", "input should be a valid dictionary"),
        ("folder=$NO_SUCH_VARIABLE", "environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_a_setting_with_a_value(setting: str, wrong: str) -> None:
    code, output, said = parsed("config", setting)
    key = setting.partition("=")[0].strip()
    assert (code, bool(output)) == ((WRONG_USAGE, False) if wrong else (0, True))
    assert wrong in said
    assert (f"--set: {key}" in said) == bool(wrong)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("trainin", "training"), ("training.beam_size", "decoding.beam_size"), ("epochs", "training.epochs"), ("ü", "")],
)
def test_a_setting_that_is_none(wrong: str, near: str) -> None:
    hint = f"; did you mean {near}?" if near else ""
    assert parsed("config", wrong) == (WRONG_USAGE, "", f"nmt: error: {wrong}: no such section or setting{hint}\n")


def test_the_shell_can_complete() -> None:
    words = {"_NMT_COMPLETE": "complete_bash", "COMP_WORDS": "nmt tra", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from nmt.cli import app; app(prog_name='nmt')"],
        env=os.environ | words, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert {"train", "translate"} <= set(done.stdout.split()), done.stderr


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
        ["compare", "x", "--test", "a"],
        ["translate", "x", "--device", "gpu"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    code, output, errors = parsed(*arguments)
    assert (code, output) == (WRONG_USAGE, "")
    assert "Error: " in errors


def test_wrong_usage_of_a_process() -> None:
    done = nmt("translate", "x", "--no-such-option")
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"Error: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_wrong_settings(config_file: Path) -> None:
    message = error_of(nmt("prepare", config_file, "--set", "model.hiden_size=3"), WRONG_USAGE)
    assert "--set: model.hiden_size: no such setting; did you mean model.hidden_size?" in message


@pytest.mark.parametrize("command", ["prepare", "train"])
def test_missing_files(config_file: Path, tmp_path: Path, command: str) -> None:
    for path, message in (
        (tmp_path / "no.toml", f"{tmp_path}/no.toml: No such file or directory"),
        (config_file, "data.train[0] source: expected a file, got no.a, which does not exist"),
    ):
        assert parsed(command, str(path)) == (FAILED, "", f"nmt: error: {message}\n")


def test_missing_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, folder, message in (
        (["info"], "none", "none: no such model folder or file"),
        (["info"], "empty", "config.json: missing; a model folder is made by `nmt train`"),
        (["translate"], "empty", "config.json: missing; a model folder is made by `nmt train`"),
        (["evaluate", "--test", "x"], "none", "none: no such model folder or file"),
    ):
        code, output, errors = parsed(*arguments, str(tmp_path / folder))
        assert (code, output, errors.count("\n")) == (FAILED, "", 1), errors
        assert errors.startswith("nmt: error: ")
        assert errors.endswith(f"{message}\n")


@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written(redirection: str, reason: str) -> None:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "nmt", "config"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert error_of(done, FAILED) == reason


def test_streams_that_are_closed_are_not_taken_by_files(tmp_path: Path) -> None:
    """A file opened by the program must not become its standard error, where libraries write."""
    script = "import os, nmt.process as p; p.open_standard_streams(); print(os.open(os.devnull, os.O_RDONLY))"
    command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", script]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)
    assert int(done.stdout) > 2


def test_output_that_the_terminal_cannot_show() -> None:
    command = [sys.executable, "-c", "from nmt.process import open_standard_streams as o; o(); print('\\u00e9\\udcff')"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment)
    assert done.stdout == b"\\xe9\\udcff\n"


class OutOfMemoryError(RuntimeError):
    """As torch has one of its own for accelerators."""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), FAILED, "not enough memory; smaller batches take less: --batch-size, or --set training.batch_"),
        (
            RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried"),
            FAILED,
            "not enough memory; ",
        ),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), FAILED, "not enough memory; "),
        (PermissionError(errno.EACCES, "Permission denied", "some\nfile"), FAILED, "some\\nfile: Permission denied"),
        (ConfigError("model.hidden_size: wrong"), WRONG_USAGE, "model.hidden_size: wrong"),
        (EvaluationError("nothing to score"), FAILED, "nothing to score"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_kind_of_error_is_a_line(
    error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, reporting():
        raise error
    said = capsys.readouterr()
    assert (caught.value.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert said.err.startswith(f"nmt: error: {message}")


@pytest.mark.parametrize("error", [ValueError("a defect"), RuntimeError("another"), KeyError("x")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, reporting():
        raise error
    assert caught.value is error


class Upper:
    """Stands in for a translator, and notes how many lines it is given at once."""

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def translate_chunks(self, chunks: Iterable[list[str]], *_: object) -> Iterator[list[Translation]]:
        for lines in chunks:
            self.chunks.append(len(lines))
            yield [Translation(line.upper(), Status.OK) for line in lines]


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
    from nmt.commands.translate import SearchSettings, translate_stream  # noqa: PLC0415

    out, stream = io.BytesIO(), io.BytesIO(given)
    translate_stream(Upper(), LineReader(Source(stream, stream), 10, 1000), out, SearchSettings())  # type: ignore[arg-type]
    assert out.getvalue() == expected


def test_a_stream_is_translated_in_chunks(tmp_path: Path) -> None:
    from nmt.commands.translate import SearchSettings, translate_stream  # noqa: PLC0415

    translator, out = Upper(), io.BytesIO()
    (tmp_path / "text").write_bytes(b"a\n" * 2500)
    with open_input(tmp_path / "text") as source:
        translate_stream(translator, LineReader(source, 1000, 10_000), out, SearchSettings())  # type: ignore[arg-type]
    assert translator.chunks == [1000, 1000, 500]
    assert out.getvalue() == b"A\n" * 2500


@pytest.mark.parametrize("kind", ["EMPTY", "COPIED", "OK", "SPLIT"])
def test_a_line_that_is_cut_is_damaged_whatever_is_left_of_it(kind: str) -> None:
    found = Translation("", Status[kind])
    assert found.damaged(cut=True).status is Status.DAMAGED
    assert (found.damaged().status is Status.DAMAGED) == (kind in ("OK", "SPLIT"))


def test_an_error_whose_message_cannot_be_changed_is_not_hidden() -> None:
    with pytest.raises(UndefinedError, match="no such name"), cli._showing():
        raise UndefinedError("no such name")


PLAIN = [
    [],
    ["--input", "in", "--output=-", "--format", "tsv", "--n-best", "3", "--beam-size=7"],
    ["--status", "--scores", "--alignments", "--no-retry", "--sentences"],
    ["--retry", "--no-sentences", "--length-penalty", "0.5", "--batch-size", "100000", "--threads=2"],
    ["--format=json", "--device", "cuda:1", "--precision", "int8", "--shortlist=50", "--to=fr"],
]


@pytest.mark.parametrize("options", PLAIN, ids=" ".join)
def test_plain_arguments_mean_the_same_without_typer(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    from nmt.commands import translate  # noqa: PLC0415

    seen: list[object] = []
    monkeypatch.setattr(translate, "run", lambda *asked: seen.append(asked))
    for words in (["translate", "MODEL", *options], ["translate", *options, "MODEL"]):
        assert CliRunner().invoke(app, words).exit_code == 0
        assert plainly_translating(words) == seen.pop()


def test_every_option_is_read_without_typer_or_left_to_it() -> None:
    command = typer.main.get_command(app).commands["translate"]  # type: ignore[attr-defined]
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    plain = {word.partition("=")[0] for options in PLAIN for word in options if word.startswith("--")}
    rare = {"--plot", "--search", "--min-length", "--max-length", "--no-repeat-ngram", "--prefixes", "--ensemble"}
    chance = {"--sample", "--temperature", "--top-k", "--top-p", "--seed"}
    around = {"--text", "--html", "--glossary"}
    assert names - plain - rare - chance - around - {"model", "--help", "-h"} == set()
    assert plainly_translating(["translate", "m", "--sample"]) is None


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["train", "MODEL"],
        ["translate"],
        ["translate", "A", "B"],
        *(
            ["translate", "MODEL", *options]
            for options in (
                ["--help"],
                ["-h"],
                ["--"],
                ["-"],
                ["--beam-size"],
                ["--beam-size", "0"],
                ["--beam-size", "-1"],
                ["--beam-size", "1e2"],
                ["--beam-size", "２"],
                ["--beam-size", "2", "--beam-size", "3"],
                ["--retry", "--no-retry"],
                ["--status=yes"],
                ["--length-penalty", "nan"],
                ["--length-penalty", "5.5"],
                ["--format", "xml"],
                ["--n-best", "2"],
                ["--n-best", "3", "--format", "tsv", "--beam-size", "2"],
                ["--device", "gpu"],
                ["--plot", "a.png"],
                ["--search", "reference"],
                ["--nonsense"],
            )
        ),
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert plainly_translating(words) is None


def test_completion_is_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NMT_COMPLETE", "complete_bash")
    assert plainly_translating(["translate", "MODEL"]) is None
