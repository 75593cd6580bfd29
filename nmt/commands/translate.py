"""`nmt translate`: line by line, from stdin or a file to stdout or a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import Show, progress
from nmt.data.line_reader import LineReader
from nmt.data.text import LONGEST_LINE, CorpusError, RawLine, Source, open_input, open_output, raw_lines
from nmt.data.text_check import TextCheck
from nmt.decoding.formats import TSV_COLUMNS, Columns, JsonLine, as_json, as_rows, as_text, read_json
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import Translator
from nmt.files import STREAM
from nmt.terminal import tell

_CHUNK: Final = 2_000  # lines translated together: enough to sort by length, few enough to hold in memory
_CHUNK_BYTES: Final = 1_000_000  # and of how many bytes


@dataclass(frozen=True)
class Request:
    """What to read and what to write."""

    source: Path | None = None
    """File to read; None for stdin."""
    output: Path | None = None
    """File to write; None for stdout."""
    format: str = "text"
    """text, tsv or json."""
    columns: Columns = field(default_factory=Columns)
    """What to write beside the translations."""
    n_best: int = 1
    """Translations per line."""
    plot: Path | None = None
    """Image of the attention of the only line."""


def run(folder: Path, search: SearchSettings, request: Request) -> None:
    """Translate a file or a stream.

    Args:
        folder: The model folder.
        search: How to search.
        request: What to read and what to write.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        SearchError: A setting is out of bounds.
        CorpusError: The input cannot be read, or lines of it hold no text (after all others are translated), or
            more than one line came to be drawn.
        OSError: A file cannot be read or written.
        BrokenPipeError: The reader of stdout has left.
    """
    # Files first: a mistake in a name is told at once, and not after a model was read.
    with open_input(request.source) as source, open_output(request.output) as target:
        translator = load_translator("nmt translate", folder, search)
        check = TextCheck(request.source, translator.config.data.source_language)
        if request.plot is not None:
            wrong = _translate_and_draw(translator, source, target, search, request, request.plot, check)
        else:
            lines = LineReader(source, _CHUNK, _CHUNK_BYTES)
            to_terminal = request.output in (None, STREAM) and sys.stdout.isatty()
            with progress("nmt translate", shown=not to_terminal) as show:
                wrong = translate_stream(translator, lines, target, search, request, check, show)
    if wrong:
        tell("nmt translate", f"{wrong:,} of the lines held no text to translate; the field error of each says why")
    for warning in check.warnings():
        tell("nmt translate", f"warning: {warning}")
    if wrong or check.is_other_encoding:
        raise SystemExit(1)


def translate_stream(
    translator: Translator,
    lines: LineReader,
    target: BinaryIO,
    search: SearchSettings,
    request: Request | None = None,
    check: TextCheck | None = None,
    show: Show | None = None,
) -> int:
    """Translate a stream with bounded memory: in order, and a line out for each line in, whatever it holds.

    Args:
        translator: The model.
        lines: What to translate, in chunks.
        target: Receives UTF-8 text, flushed after each chunk.
        search: How to search.
        request: What to write; files named in it are not looked at.
        check: Counts the lines that are no UTF-8, or too long.
        show: Told how far it is.

    Returns:
        Lines that held no text (JSON only).
    """
    request, check = request or Request(), check or TextCheck(None, "")
    settings = _settings(search, request)
    if request.format == "tsv":
        target.write(("\t".join(TSV_COLUMNS) + "\n").encode())
    wrong = 0
    for chunk in lines.chunks():
        first = check.lines + 1
        read = [_read(raw, number, request, check) for number, raw in enumerate(chunk, start=first)]
        tell_batch = None if show is None else _Done(lines, first - 1, len(chunk), show)
        translations = translator.translate_detailed([line.text for line, _ in read], settings, tell_batch)
        rows = [
            row
            for number, (raw, (line, whole), found) in enumerate(
                zip(chunk, read, translations, strict=True), start=first
            )
            for row in _write(line, found if whole else found.damaged(cut=raw.is_cut), number, request)
        ]
        target.write("".join(f"{row}\n" for row in rows).encode("utf-8"))
        target.flush()
        wrong += sum(line.error is not None for line, _ in read)
        if tell_batch is not None:
            tell_batch(len(chunk))
    return wrong


class _Done:
    """Tells how far the translation of a chunk is, of which only sentences are counted, most often one a line."""

    def __init__(self, lines: LineReader, before: int, count: int, show: Show) -> None:
        self._before, self._count, self._done, self._show = before, count, 0, show
        self._start, self._end, self._size = lines.chunk_start, lines.position, lines.source.size()

    def __call__(self, sentences: int) -> None:
        self._done = min(self._done + sentences, self._count)
        place = self._start + (self._end - self._start) * self._done / self._count
        self._show(self._before + self._done, place / self._size if self._size else None)


def _settings(search: SearchSettings, request: Request) -> TranslationSettings:
    return TranslationSettings(
        beam_size=search.beam_size,
        length_penalty=search.length_penalty,
        batch_size=search.batch_size,
        n_best=request.n_best,
        retry=search.retry,
        sentences=search.sentences,
        alignments=request.columns.alignments,
    )


def _read(raw: RawLine, number: int, request: Request, check: TextCheck) -> tuple[JsonLine, bool]:
    """Make text of a line; also tells whether it is all there."""
    text, whole = check.read(raw)
    if request.format != "json":
        return JsonLine(text, {}), whole
    if raw.is_cut:
        return JsonLine("", {}, f"line {number}: expected at most {LONGEST_LINE:,} bytes, got more"), whole
    return read_json(text, number), whole


def _write(line: JsonLine, translation: Translation, number: int, request: Request) -> list[str]:
    if request.format == "json":
        return [as_json(line, translation, request.columns, request.n_best)]
    return as_rows(translation, number) if request.format == "tsv" else [as_text(translation, request.columns)]


def _translate_and_draw(
    translator: Translator,
    source: Source,
    target: BinaryIO,
    search: SearchSettings,
    request: Request,
    plot: Path,
    check: TextCheck,
) -> int:
    """Translate the only line of the input, and draw the attention of its translation."""
    from nmt.decoding.plot import draw_attention

    lines = list(islice(raw_lines(source.file), 2))
    if len(lines) != 1:
        raise CorpusError(f"--plot: expected exactly one line to translate, got {'more' if lines else 'none'}")
    line, _ = _read(lines[0], 1, request, check)
    [translation] = translator.translate_detailed([line.text], _settings(search, request))
    target.write("".join(f"{row}\n" for row in _write(line, translation, 1, request)).encode("utf-8"))
    target.flush()
    if translation.status in (Status.EMPTY, Status.COPIED) or line.error is not None:
        raise CorpusError("--plot: expected a line that can be translated, got one that holds no text")
    if missing := draw_attention(translator.attention(line.text, translation.text), plot):
        tell(
            "nmt translate", f"{plot}: no font here has {missing[:20]}, so their numbers are shown; .svg needs no font"
        )
    return 0
