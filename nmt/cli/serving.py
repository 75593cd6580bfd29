"""Arguments of the commands that serve translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.options import BeamSize, Threads, within
from nmt.reporting import reporting
from nmt.values import Bounds


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...|FOLDER", help="Model files, model folders, or folders of them."),
    ],
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, within(Bounds(0, 65_535), "Port to listen on; 0 is any that is free.")] = 5000,
    threads: Threads = None,
    beam_size: BeamSize = None,
    memory: Annotated[
        int | None, within(Bounds(1, 1_000_000), "Megabytes that open models may take.  [default: any number]")
    ] = None,
    pivot: Annotated[
        list[str],
        typer.Option(metavar="LANGUAGE", help="Translate through this language where no model knows a pair."),
    ] = [],  # noqa: B006  (typer copies it)
) -> None:
    """Serve translations over HTTP, by LibreTranslate's API."""
    with reporting():
        from nmt.commands.serve import run
        from nmt.server.options import ServeOptions

        options = ServeOptions(
            host=host,
            port=port,
            threads=threads,
            memory=None if memory is None else memory * 1_000_000,
            pivots=tuple(pivot),
            beam_size=beam_size,
        )
        run(models, options)
