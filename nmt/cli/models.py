"""Arguments of the commands about models that are there: files of them, what they know, what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.options import ModelFolder, Rounded
from nmt.reporting import reporting


def export(
    model: ModelFolder,
    *,
    out: Annotated[Path, typer.Option("--out", "--output", metavar="FILE", help="Where to write the model file.")],
    precision: Annotated[Rounded, typer.Option(help="What weights are rounded to.")] = Rounded.int8,
    shortlist: Annotated[bool, typer.Option("--shortlist", help="Put the folder's shortlist in.")] = False,
) -> None:
    """Write all that translating takes into one file.

    `nmt translate` and the others take it in the place of the folder.
    """
    with reporting():
        from nmt.commands.export import run

        run(model, out, precision.value, shortlist)


def shortlist(
    model: ModelFolder,
    *,
    data: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Model folder whose prepared data to take.  [default: MODEL]"),
    ] = None,
) -> None:
    """Find out which words are translated by which, for `--shortlist` of the commands that translate.

    `nmt train` does so when it ends.
    """
    with reporting():
        from nmt.commands.shortlist import run

        run(model, data or model)


def info(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="Model folder or file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a model is: network, sizes, vocabulary, training, scores; without one, what this machine has."""
    with reporting():
        if model is None:
            from nmt.commands.machine import run as machine

            machine(json)
            return
        from nmt.commands.info import run

        run(model, json)
