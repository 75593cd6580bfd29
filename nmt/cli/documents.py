"""Arguments of the command that translates documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.asked import SearchSettings
from nmt.commands.options import (
    BatchSize,
    BeamSize,
    Device,
    GlossaryFile,
    LengthPenalty,
    Model,
    Precision,
    Retry,
    Sentences,
    Shortlist,
    Threads,
    To,
)
from nmt.reporting import reporting


def translate_file(
    model: Model,
    files: Annotated[
        list[Path], typer.Argument(metavar="IN... OUT", help="Document and its translation; or several and a folder.")
    ],
    *,
    to: To = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what became of each document, a line of JSON each.")
    ] = None,
    glossary: GlossaryFile = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    retry: Retry = None,
    sentences: Sentences = None,
    threads: Threads = None,
    device: Device = None,
    precision: Precision = None,
    shortlist: Shortlist = 0,
) -> None:
    """Translate documents, and keep their layout.

    What is not translated, such as code and comments, is told on stderr.
    """
    if len(files) < 2:
        raise typer.BadParameter("expected a document and a name for its translation, got one name")
    with reporting():
        from nmt.commands.translate_file import run

        how = SearchSettings(
            beam_size,
            length_penalty,
            batch_size,
            threads,
            device or "cpu",
            retry,
            sentences,
            precision,
            shortlist=shortlist,
            to=to,
        )
        run(model, how, files, report, glossary)
