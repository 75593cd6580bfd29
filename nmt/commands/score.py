"""`nmt score`: how likely a model finds given translations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import progress
from nmt.data.text import gather, read_pairs
from nmt.decoding.formats import dump_json
from nmt.files import STREAM

_CHUNK: Final = 2_000  # pairs scored together: enough to sort by length, few enough to hold in memory
_CHUNK_CHARACTERS: Final = 1_000_000  # and of how many characters

Pair = tuple[str, str]


def run(folder: Path, source: Path, target: Path, format: str, normalize: bool, search: SearchSettings) -> None:
    """Print the log-probability of every pair of lines, in order.

    text: the score, a line each. tsv: a header, then `line`, `score`, `subwords`. json: an object each, with `line`,
    `source`, `target`, `score`, `subwords`. Subwords are those of the translation, end of sentence included.

    Args:
        folder: The model folder.
        source: Text, plain or compressed; `-` is stdin.
        target: Its translation, line by line.
        format: text, tsv or json.
        normalize: Divide each log-probability by its number of subwords.
        search: Threads to use.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        CorpusError: The files are no text, or have different numbers of lines (said when the shorter one has ended).
        OSError: A file cannot be read.
        BrokenPipeError: The reader of stdout has left.
    """
    pairs = _open(source, target)
    translator = load_translator("nmt score", folder, search)
    out = sys.stdout.buffer
    if format == "tsv":
        out.write(b"line\tscore\tsubwords\n")
    number = 0
    with progress("nmt score", shown=not sys.stdout.isatty()) as show:
        for chunk in gather(pairs, lambda pair: len(pair[0]) + len(pair[1]), _CHUNK, _CHUNK_CHARACTERS):
            rows = []
            for pair, found in zip(chunk, translator.score(chunk), strict=True):
                number += 1
                score = found.log_probability / (found.subwords if normalize else 1)
                rows.append(_row(number, pair, score, found.subwords, format))
            out.write("".join(f"{row}\n" for row in rows).encode())
            out.flush()
            show(number, None)


def _row(number: int, pair: Pair, score: float, subwords: int, format: str) -> str:
    row = f"{score:.6f}"
    if format == "tsv":
        return f"{number}\t{row}\t{subwords}"
    if format == "json":
        fields = {"line": number, "source": pair[0], "target": pair[1]}
        return dump_json({**fields, "score": round(score, 6), "subwords": subwords})
    return row


def _open(source: Path, target: Path) -> Iterator[Pair]:
    """Read pairs; a file that is missing is told now, before a model is loaded."""
    for path in (source, target):
        if path != STREAM and (path.is_file() or not path.exists()):  # who writes into a pipe would miss its reader
            path.open("rb").close()
    return read_pairs(source, target)
