"""The `nmt` command: arguments and exit codes only. What a subcommand needs is imported when it is called.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted. Results go to stdout, all else to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="nmt",
    help="Neural machine translation with recurrent models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; `nmt config` lists its settings.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be given many times."),
]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder that `nmt train` wrote.")]
BeamSize = Annotated[
    int | None, typer.Option(min=1, help="Hypotheses per sentence; 1 is greedy search.  [default: the model's]")
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(min=0.0, help="Exponent of the length that divides log-probabilities.  [default: the model's]"),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Sentences searched at once.  [default: the model's]")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.  [default: all that the process may use]")]


def main() -> None:
    """Run the command line of this process."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        import nmt

        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def config() -> None:
    """List every setting: default, type, bounds, meaning."""
    with _reporting():
        from nmt.commands.settings import list_settings

        list_settings()


@app.command()
def prepare(config: ConfigFile, overrides: Overrides = []) -> None:  # noqa: B006  (typer copies it)
    """Turn the corpora into subword ids.

    Trains the vocabularies, too. Does nothing where that is done already.
    """
    with _reporting():
        from nmt.commands.prepare import run

        run(config, overrides)


@app.command()
def train(config: ConfigFile, overrides: Overrides = []) -> None:  # noqa: B006
    """Train a model, or go on where training stopped.

    Prepares the data first if that is not done yet. Ctrl-C saves and stops; the same command goes on.
    """
    with _reporting():
        from nmt.commands.train import run

        if not run(config, overrides):
            raise typer.Exit(INTERRUPTED)


@app.command()
def translate(
    model: ModelFolder,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
) -> None:
    """Translate stdin to stdout, line by line.

    Each line in gives exactly one line out, in order, whatever it holds.
    """
    with _reporting():
        from nmt.commands.translate import SearchSettings, run

        run(model, SearchSettings(beam_size, length_penalty, batch_size, threads))


@app.command()
def evaluate(
    model: ModelFolder,
    *,
    test: Annotated[str | None, typer.Option(metavar="NAME", help="A test set named in the settings.")] = None,
    source: Annotated[Path | None, typer.Option(metavar="FILE", help="Text to translate, plain or .gz.")] = None,
    reference: Annotated[Path | None, typer.Option(metavar="FILE", help="Its translation, plain or .gz.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the translations.")] = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
) -> None:
    """Translate a test set and score it.

    Prints BLEU and chrF with sacreBLEU's signatures, and adds them to MODEL/scores.jsonl.
    """
    if (test is None) == (source is None and reference is None) or (source is None) != (reference is None):
        raise typer.BadParameter("expected either --test NAME, or --source FILE and --reference FILE")
    with _reporting():
        from nmt.commands.evaluate import run
        from nmt.commands.translate import SearchSettings

        chosen = (source, reference) if source is not None and reference is not None else test or ""
        run(model, chosen, output, SearchSettings(beam_size, length_penalty, batch_size, threads))


@contextmanager
def _reporting() -> Iterator[None]:
    """Turn expected errors into a line on stderr and an exit code; any other is a defect and keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output has left, as `head` does. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        reason = error.strerror or str(error)
        _complain(f"error: {error.filename}: {reason}" if error.filename is not None else f"error: {reason}")
        raise typer.Exit(FAILED) from None
    except Exception as error:
        # The project's own exceptions are messages to the user; a plain ValueError from anywhere is not.
        if type(error).__module__.partition(".")[0] not in ("nmt", "rnn_engine"):
            raise
        for line in str(error).splitlines():
            _complain(f"error: {line}")
        raise typer.Exit(WRONG_USAGE if type(error).__name__ == "ConfigError" else FAILED) from None


def _complain(message: str) -> None:
    typer.echo(f"nmt: {message}", err=True)
