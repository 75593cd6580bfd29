"""`nmt translate`: stdin to stdout, line by line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from nmt.decoding.translator import Translator
from nmt.options import SearchSettings

_CHUNK: Final = 2_000  # lines translated together: enough to sort by length, few enough to hold in memory


@dataclass(frozen=True)
class Request:
    """What to read and what to write."""

    source: Path | None = None
    """File to read; None for stdin."""
    output: Path | None = None
    """File to write; None for stdout."""
    format: str = "text"
    """text, tsv or json."""
    status: bool = False
    scores: bool = False
    alignments: bool = False
    n_best: int = 1
    plot: Path | None = None
    retry: bool | None = None


def run(folder: Path, search: SearchSettings, request: Request) -> None:
    """Translate stdin to stdout.

    Args:
        folder: The model folder.
        search: How to search.
        request: What to read and what to write.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        BrokenPipeError: The reader of stdout has left.
    """
    translator = Translator.load(folder, threads=search.threads)
    # Someone who types wants the answer to each line at once.
    translate_stream(translator, sys.stdin.buffer, sys.stdout.buffer, search, 1 if sys.stdin.isatty() else _CHUNK)


def translate_stream(
    translator: Translator, source: BinaryIO, target: BinaryIO, search: SearchSettings, chunk: int = _CHUNK
) -> None:
    """Translate a stream with bounded memory: exactly one line out for each line in, whatever it holds.

    Args:
        translator: The model.
        source: UTF-8 text; invalid bytes become U+FFFD. Only LF ends a line.
        target: Receives UTF-8 text, flushed after each chunk.
        search: How to search.
        chunk: Lines read, translated and written at a time.
    """
    while raw_lines := list(islice(source, chunk)):
        lines = [raw.decode("utf-8", errors="replace").rstrip("\r\n") for raw in raw_lines]
        translations = translate_lines(translator, lines, search)
        target.write("".join(f"{line}\n" for line in translations).encode("utf-8"))
        target.flush()


def translate_lines(translator: Translator, lines: list[str], search: SearchSettings) -> list[str]:
    """Translate lines with the given settings."""
    return translator.translate(
        lines, beam_size=search.beam_size, length_penalty=search.length_penalty, batch_size=search.batch_size
    )
