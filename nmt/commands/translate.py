"""`nmt translate`: line by line, from stdin or a file to stdout or a file."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import Show, progress
from nmt.data.line_reader import LineReader
from nmt.data.text import LONGEST_LINE, CorpusError, RawLine, Source, open_input, open_output, raw_lines, read_lines
from nmt.data.text_check import TextCheck
from nmt.decoding.formats import TSV_COLUMNS, Columns, JsonLine, as_json, as_rows, as_text, read_json
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import CHUNK_LINES, CHUNK_SIZE, Lines, Translator
from nmt.files import STREAM
from nmt.process import give_back_memory
from nmt.terminal import tell

if TYPE_CHECKING:
    from nmt.commands.texts import Texts


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
    prefixes: Path | None = None
    """File of what the translations begin with."""
    text: bool = False
    """Whether placeholders and capitals are kept."""
    html: bool = False
    """Whether the input is HTML, all of it one page or a part of one."""
    glossary: Path | None = None
    """Terms that the translations are to hold, and what is not to be translated."""


def run(folder: Path, search: SearchSettings, request: Request) -> None:
    """Translate a file or a stream.

    Args:
        folder: The model folder.
        search: How to search.
        request: What to read and what to write.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        SearchError: A setting is out of bounds.
        GlossaryError: The glossary is none.
        CorpusError: The input cannot be read, or lines of it hold no text (after all others are translated), or
            more than one line came to be drawn, or there are not as many prefixes as lines.
        OSError: A file cannot be read or written.
        BrokenPipeError: The reader of stdout has left.
    """
    # Files first: a mistake in a name is told at once, and not after a model was read.
    prefixes = None if request.prefixes is None else Prefixes(request.prefixes)
    with open_input(request.source) as source, open_output(request.output) as target:
        translator = load_translator("nmt translate", folder, search)
        around = _around(translator, request)
        if request.html and around is not None:
            around.translate_page(translator, source, target, _settings(search, request))
            return
        check = TextCheck(request.source, translator.source_language)
        if request.plot is not None:
            wrong = _translate_and_draw(translator, source, target, search, request, request.plot, check, prefixes)
        else:
            lines = LineReader(source, CHUNK_LINES, CHUNK_SIZE)
            to_terminal = request.output in (None, STREAM) and sys.stdout.isatty()
            with progress("nmt translate", shown=not to_terminal) as show:
                wrong = translate_stream(translator, lines, target, search, request, check, show, around or prefixes)
        if prefixes is not None:
            prefixes.end()
    if around is not None:
        around.tell()
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
    around: Prefixes | Texts | None = None,
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
        around: What the translations begin with, or what keeps those parts of lines that are not translated.

    Returns:
        Lines that held no text (JSON only).
    """
    request, check = request or Request(), check or TextCheck(None, "")
    settings = _settings(search, request)
    if request.format == "tsv":
        target.write(("\t".join(TSV_COLUMNS) + "\n").encode())
    wrong = 0
    done = _Done(lines, show)
    under_way: deque[_Chunk] = deque()

    def texts() -> Iterator[Sequence[str] | Lines]:
        for raw in lines.chunks():
            first = check.lines + 1
            read = [_read(line, number, request, check) for number, line in enumerate(raw, start=first)]
            under_way.append(_Chunk(first, raw, read))
            done.begin(len(raw))
            found = [line.text for line, _ in read]
            yield found if around is None else around.begin(found)

    for made in translator.translate_chunks(texts(), settings, done):
        chunk = under_way.popleft()
        translations = made if around is None else around.finish(made)
        rows = [
            row
            for number, (raw, (line, whole), found) in enumerate(
                zip(chunk.raw, chunk.read, translations, strict=True), start=chunk.first
            )
            for row in _write(line, found if whole else found.damaged(cut=raw.is_cut), number, request)
        ]
        target.write("".join(f"{row}\n" for row in rows).encode("utf-8"))
        target.flush()
        wrong += sum(line.error is not None for line, _ in chunk.read)
        done.end()
        del made, translations, chunk, rows
        if under_way:  # more follows: what each thread's part of the memory keeps adds up
            give_back_memory()
    return wrong


class Prefixes:
    """What translations begin with: a line for each line of the input.

    Args:
        path: The file, plain or compressed.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._taken = path, 0
        path.open("rb").close()  # one that is missing is told now
        self._lines = read_lines(path)

    def take(self, count: int) -> list[str]:
        """Read the next lines.

        Raises:
            CorpusError: There are fewer, or they are no text.
        """
        found = list(islice(self._lines, count))
        self._taken += len(found)
        if len(found) < count:
            raise CorpusError(f"{self._path}: expected a line for each line of the input, got only {self._taken:,}")
        return found

    def begin(self, lines: Sequence[str]) -> Lines:
        """Give lines their prefixes."""
        return Lines(lines, self.take(len(lines)))

    def finish(self, translations: list[Translation]) -> list[Translation]:
        """Return translations, which are what they are."""
        return translations

    def end(self) -> None:
        """Raise CorpusError if there are more."""
        if next(self._lines, None) is not None:
            raise CorpusError(f"{self._path}: expected a line for each of {self._taken:,} lines of the input, got more")


class _Chunk(NamedTuple):
    """Lines that are translated together."""

    first: int
    """Number of the first."""
    raw: list[RawLine]
    read: list[tuple[JsonLine, bool]]


class _Done:
    """Tells how far a stream is, of which only sentences are counted, most often one a line.

    Args:
        lines: The stream.
        show: What is told.
    """

    def __init__(self, lines: LineReader, show: Show | None) -> None:
        self._lines, self._size, self._show = lines, lines.source.size(), show
        self._under_way: deque[tuple[int, int]] = deque()  # of each chunk the lines, and where it ends
        self._before, self._start, self._sentences = 0, 0, 0  # lines and bytes of the chunks that are done; since then

    def begin(self, count: int) -> None:
        """Another chunk of so many lines was read."""
        self._under_way.append((count, self._lines.position))

    def __call__(self, sentences: int) -> None:
        """So many more sentences are translated."""
        self._sentences += sentences
        self._tell()

    def end(self) -> None:
        """The first of the chunks is written."""
        count, self._start = self._under_way.popleft()
        self._before += count
        self._sentences = max(0, self._sentences - count)
        self._tell()

    def _tell(self) -> None:
        if self._show is None:
            return
        chunks = list(self._under_way)
        count = sum(lines for lines, _ in chunks)
        done = min(self._sentences, count)
        end = chunks[-1][1] if chunks else self._start
        place = self._start + (end - self._start) * done / max(1, count)
        self._show(self._before + done, place / self._size if self._size else None)


def _around(translator: Translator, request: Request) -> Texts | None:
    """Read the glossary, if there is one, and make what keeps the rest of a text."""
    if not (request.text or request.html or request.glossary):
        return None
    from nmt.commands.texts import Texts

    return Texts(translator, request.glossary)


def _settings(search: SearchSettings, request: Request) -> TranslationSettings:
    placed = request.columns.alignments or request.text or request.html or request.glossary is not None
    return TranslationSettings(
        beam_size=search.beam_size,
        length_penalty=search.length_penalty,
        batch_size=search.batch_size,
        n_best=request.n_best,
        retry=search.retry,
        sentences=search.sentences,
        alignments=placed,
        min_length=search.min_length,
        max_length=search.max_length,
        no_repeat_ngram=search.no_repeat_ngram,
        sampling=search.sampling,
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
    prefixes: Prefixes | None,
) -> int:
    """Translate the only line of the input, and draw the attention of its translation."""
    from nmt.decoding.plot import draw_attention

    lines = list(islice(raw_lines(source.file), 2))
    if len(lines) != 1:
        raise CorpusError(f"--plot: expected exactly one line to translate, got {'more' if lines else 'none'}")
    line, _ = _read(lines[0], 1, request, check)
    begin = None if prefixes is None else prefixes.take(1)
    [translation] = translator.translate_detailed([line.text], _settings(search, request), prefixes=begin)
    target.write("".join(f"{row}\n" for row in _write(line, translation, 1, request)).encode("utf-8"))
    target.flush()
    if translation.status in (Status.EMPTY, Status.COPIED) or line.error is not None:
        raise CorpusError("--plot: expected a line that can be translated, got one that holds no text")
    if missing := draw_attention(translator.attention(line.text, translation.text), plot):
        tell(
            "nmt translate", f"{plot}: no font here has {missing[:20]}, so their numbers are shown; .svg needs no font"
        )
    return 0
