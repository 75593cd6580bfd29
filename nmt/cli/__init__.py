"""The `nmt` command: arguments and exit codes only. What a subcommand needs is imported when it is called.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted. Results go to stdout, all else to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmt.cli.bulk import bulk
from nmt.cli.collecting import collection
from nmt.cli.documents import translate_file
from nmt.cli.models import export, info, shortlist
from nmt.cli.serving import keys, serve
from nmt.cli.training import average, backtranslate, config, distill, plan, prepare, train
from nmt.cli.translating import compare, evaluate, score, translate, tune
from nmt.process import at_home, ended_by_signals, open_standard_streams
from nmt.terminal import printable


class _Commands(TyperGroup):
    """The subcommands; what is wrong with their arguments is told in text that a terminal can show."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _showing():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _showing():
            return super().invoke(ctx)


@contextmanager
def _showing() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):  # an error of usage, which quotes arguments
            with suppress(AttributeError):  # of other errors it may be a property
                error.message = printable(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="nmt",
    cls=_Commands,
    help="Neural machine translation with recurrent models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take longer than all else
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line of this process."""
    open_standard_streams()
    with ended_by_signals():
        app([at_home(word) for word in sys.argv[1:]])


def _print_version(wanted: bool) -> None:
    if wanted:
        import nmt

        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


for _command in (
    config,
    prepare,
    train,
    plan,
    distill,
    backtranslate,
    average,
    export,
    shortlist,
    translate,
    translate_file,
    bulk,
    evaluate,
    tune,
    score,
    compare,
    info,
    serve,
):
    app.command(_command.__name__.replace("_", "-"))(_command)
app.add_typer(collection, name="models")
app.add_typer(keys, name="keys")


@app.command("help")
def help_(
    context: typer.Context,
    command: Annotated[
        str | None, typer.Argument(metavar="[COMMAND]", help="Which command; without, all of them.")
    ] = None,
) -> None:
    """Tell how a command is used."""
    root = context.find_root()
    if command is None:
        typer.echo(root.get_help())
        return
    found = root.command.get_command(root, command)  # type: ignore[attr-defined]
    if found is None:
        known = ", ".join(root.command.list_commands(root))  # type: ignore[attr-defined]
        raise typer.BadParameter(f"no such command: {command}; there are {known}")
    typer.echo(found.get_help(type(context)(found, info_name=command, parent=root)))
