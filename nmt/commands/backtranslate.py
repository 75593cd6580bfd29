"""`nmt backtranslate`: pairs of text that exists only in the target language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.synthetic import Row, digests_of, is_made, usable, write_telling
from nmt.data.text import read_lines
from nmt.decoding.translation import TranslationSettings
from nmt.files import STREAM
from nmt.reading import sha256
from nmt.terminal import tell


def run(model: Path, source: Path, output: Path, tag: str, search: SearchSettings) -> None:
    """Translate text of the target language into the source language, and write both as pairs to train on.

    Args:
        model: A model of the opposite direction, folder or file.
        source: The text, a segment a line; `-` is stdin.
        output: The .tsv file to write: what the model made, and the line that it was made of.
        tag: What each made line begins with, so that a network can tell them from those that people wrote.
        search: How to search.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        SearchError: A setting is out of bounds.
        CorpusError: The text cannot be read, or what was begun was begun otherwise.
        OSError: A file cannot be read or written.
    """
    stamp: dict[str, object] = {
        "models": digests_of((model, *search.ensemble)),
        "tag": tag,
        **({} if search.to is None else {"to": search.to}),
        "beam_size": search.beam_size,
        "precision": search.precision,
        "sampling": None if search.sampling is None else asdict(search.sampling),
        "text": None if source == STREAM else sha256(source),
    }
    if source != STREAM and is_made(output, stamp):
        tell("nmt backtranslate", f"{output}: made already, of the same text by the same model")
        return
    translator = load_translator("nmt backtranslate", model, search)
    settings = TranslationSettings(search.beam_size, None, search.batch_size, sampling=search.sampling)

    def make(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
        lines = [line for (line,) in rows]
        for line, translation in zip(lines, translator.translate_detailed(lines, settings), strict=True):
            if usable(translation):
                yield f"{tag} {translation.text}" if tag else translation.text, line

    write_telling("nmt backtranslate", output, ((line,) for line in read_lines(source)), make, stamp)
