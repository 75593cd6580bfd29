"""Arguments of the commands about a folder of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.options import Model, Rounded
from nmt.reporting import FAILED, reporting

collection = typer.Typer(no_args_is_help=True, help="Look after a folder of models, as `nmt serve` takes it.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of model files and model folders.")]


@collection.command("list")
def list_(folder: Folder, json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Tell what a folder of models holds: languages, sizes, licences, digests."""
    with reporting():
        from nmt.commands.models import list_ as run

        run(folder, json)


@collection.command()
def add(
    folder: Folder,
    model: Model,
    *,
    source: Annotated[str | None, typer.Option(metavar="CODE", help="Source language.  [default: the model's]")] = None,
    target: Annotated[str | None, typer.Option(metavar="CODE", help="Target language.  [default: the model's]")] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What people are to call it.")] = "",
    license: Annotated[str | None, typer.Option(metavar="TEXT", help="Its licence.  [default: the model's]")] = None,
    tag: Annotated[list[str], typer.Option(metavar="TEXT", help="A word about it; may be given many times.")] = [],  # noqa: B006
    precision: Annotated[
        Rounded, typer.Option(help="What weights of a model folder are rounded to; a file is what it is.")
    ] = Rounded.int8,
    replace: Annotated[bool, typer.Option("--replace", help="Instead of the one for these languages.")] = False,
) -> None:
    """Copy a model into a folder, or export it there, checked, and list it in models.toml.

    A server that is running takes it without an interruption.
    """
    with reporting():
        from nmt.commands.models import add as run
        from nmt.server.collection import Adding

        run(folder, model, Adding(source, target, name, license, tuple(tag), precision.value, replace))


@collection.command()
def verify(folder: Folder) -> None:
    """Check digests, open every model of a folder and translate a line with it.

    Exit code 1 if anything is wrong.
    """
    with reporting():
        from nmt.commands.models import verify as run

        if not run(folder):
            raise typer.Exit(FAILED)
