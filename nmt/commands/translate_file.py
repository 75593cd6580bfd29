"""`nmt translate-file`: documents, each into a document of the same format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import counted, progress
from nmt.decoding.translation import Translation, TranslationSettings
from nmt.documents.document import DocumentError
from nmt.documents.formats import format_of
from nmt.documents.translating import DocumentJob, DocumentReport, translate_document
from nmt.files import write_through
from nmt.terminal import tell
from nmt.text.glossary import Glossary
from nmt.text.translating import TextTranslator

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator

_WHO = "nmt translate-file"
_SHOWN = 5  # texts that did not go well


def run(
    model: Path,
    search: SearchSettings,
    files: Sequence[Path],
    report: Path | None = None,
    glossary: Path | None = None,
) -> None:
    """Translate documents.

    Args:
        model: The model.
        search: How to search.
        files: A document and what its translation is to be called; or documents, and the folder for their translations.
        report: Where to write what became of each, as a line of JSON; None for nowhere.
        glossary: File of terms; None for none.

    Raises:
        GlossaryError: The glossary is none.
        DocumentError: The only document cannot be translated. Of several, that is told, and the others are.
        ModelError, SubwordError: The model cannot be read.
        OSError: A file cannot be read or written.
    """
    jobs = _paired(files)  # a mistake in a name is told before a model was read
    translator = load_translator(_WHO, model, search)
    texts = TextTranslator.for_model(translator)
    terms = None if glossary is None else Glossary.read(glossary, (texts.source, texts.target))
    reports = []
    failed = 0
    for source, target in jobs:
        try:
            done = _translate(translator, texts, search, terms, source, target)
        except DocumentError as error:
            if len(jobs) == 1:
                raise
            tell(_WHO, f"error: {error}")
            failed += 1
            continue
        tell(_WHO, "\n".join(_told(source.name, done)))
        reports.append({"source": str(source), "target": str(target), **asdict(done)})
    if report is not None:
        with write_through(report) as file:
            file.write("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in reports).encode())
    if failed:
        raise SystemExit(1)


def _paired(files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Say where the translation of each document goes."""
    *sources, target = files
    for source in sources:
        format_of(source.name)
    if target.is_dir():
        jobs = [(source, target / source.name) for source in sources]
        names = {source.name for source in sources}
        if len(names) < len(sources):
            raise DocumentError("expected documents of different names for one folder, got two of the same")
    elif len(sources) > 1:
        raise DocumentError(f"expected a folder as the last of several names, got {target}; make it first")
    else:
        [source] = sources
        if format_of(target.name) != format_of(source.name):
            raise DocumentError(
                f"expected a translation of the same format, {source.suffix}, got the name {target.name}"
            )
        jobs = [(source, target)]
    for source, _ in jobs:
        source.open("rb").close()  # one that is missing is told now
    return jobs


def _translate(
    translator: Translator,
    texts: TextTranslator,
    search: SearchSettings,
    glossary: Glossary | None,
    source: Path,
    target: Path,
) -> DocumentReport:
    settings = TranslationSettings(
        search.beam_size, search.length_penalty, search.batch_size, retry=search.retry, sentences=search.sentences
    )

    def translate(job: DocumentJob) -> list[Translation]:
        with progress(f"{_WHO}: {source.name}") as show:
            return translator.translate_detailed(
                job.lines, job.settings(settings), counted(show, max(1, len(job.lines)))
            )

    result = translate_document(source, source.name, texts, translate, glossary=glossary)
    with write_through(target) as file:
        file.write(result.content)
    return result.report


def _told(name: str, report: DocumentReport) -> list[str]:
    """Say what became of a document."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(report.statuses.items()))
    lines = [f"{name}: {report.lines:,} lines{f' ({counts})' if counts else ': nothing to translate'}"]
    lines += [f"{name}: left as they are: {left.count:,} {left.what}: {left.why}" for left in report.left]
    lines += [f"{name}: {doubt.status}: {doubt.text}" for doubt in report.doubts[:_SHOWN]]
    if len(report.doubts) > _SHOWN:
        lines.append(f"{name}: and {len(report.doubts) - _SHOWN:,} more lines did not go well; --report lists them")
    if report.missing:
        lines.append(f"{name}: terms that were not met: {', '.join(report.missing[:20])}")
    return lines
