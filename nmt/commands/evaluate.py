"""`nmt evaluate`: a test set to scores with signatures."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

import nmt
from nmt.brief import Settings
from nmt.commands.asked import SearchSettings, TestSet
from nmt.commands.loading import load_translator
from nmt.commands.progress import counted, progress
from nmt.data.dataset import PreparedError
from nmt.data.preparation.manifest import read_overlap
from nmt.data.preparation.overlap import Overlap
from nmt.data.text import open_output
from nmt.decoding.model_file import settings_of
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import by_sentence
from nmt.evaluation import score
from nmt.experiment import TestLines, read_test_set
from nmt.extras import require_moses
from nmt.model_folder.card import note_score
from nmt.model_folder.files import CARD_FILE
from nmt.model_folder.scores import ScoresFile
from nmt.terminal import tell


def run(
    folder: Path, chosen: TestSet, output: Path | None, search: SearchSettings, *, conventions: bool = False
) -> None:
    """Translate and score a test set; prints the scores and adds them to the model's `scores.jsonl`, if it is a folder,
    and by itself.

    Speed, what became of the lines if not all were translated at once, and how much of the test set the training text
    holds are told on stderr.

    Args:
        folder: The model folder or file.
        chosen: The test set.
        output: Where to write the translations; None for nowhere.
        search: How to search.
        conventions: Also print what papers report that score text in lower case.

    Raises:
        MissingError: What the conventions need is not installed.
        ConfigError: The settings name no such test set.
        ModelError, SubwordError: The model cannot be read.
        CorpusError, EvaluationError: The test set cannot be used.
        OSError: A file cannot be read or written.
    """
    if conventions:
        require_moses("--conventions")
    # The files come before the model: a wrong name is told at once.
    test = read_test_set(settings_of(folder), chosen.name, chosen.files, search.to)
    search = replace(search, to=test.target_language)
    with nullcontext() if output is None else open_output(output) as file:
        translator = load_translator("nmt evaluate", folder, search)
        _tell(f"translating {len(test.sources):,} lines")
        started = time.monotonic()
        settings = TranslationSettings(
            search.beam_size, search.length_penalty, search.batch_size, retry=search.retry, sentences=search.sentences
        )
        with progress("nmt evaluate") as show:
            found = translator.translate_detailed(test.sources, settings, counted(show, len(test.sources)))
        seconds = time.monotonic() - started
        translations = [translation.text for translation in found]
        if file is not None:
            file.write("".join(f"{line}\n" for line in translations).encode())
    language = translator.target_language
    scores = score(translations, test.references, language)
    typer.echo(f"BLEU {scores.bleu:.2f}  {scores.bleu_signature}")
    if conventions:
        from nmt.evaluation.conventions import in_lower_case

        for bleu, how in in_lower_case(translations, test.references, language):
            typer.echo(f"BLEU {bleu:.2f}  {how}")
    typer.echo(f"chrF {scores.chrf:.2f}  {scores.chrf_signature}")
    rate = len(found) / max(seconds, 1e-9)
    _tell(f"{seconds:.1f} seconds, {rate:,.1f} lines/s{_in_words(found)}")
    overlap = _overlap(folder, chosen, test) if folder.is_dir() else None
    if overlap is not None:
        _tell(
            f"{overlap.pairs:,} of {overlap.lines:,} lines are also in the training text, and {overlap.sources:,} if "
            "only the source is looked at"
        )
    row = {
        "version": nmt.__version__,
        "test": test.name,
        "lines": len(found),
        **search_used(translator.config, search, translator.network.precision),
        **scores.as_dict(),
        "seconds": round(seconds, 6),
        "lines_per_second": round(rate, 2),
        "statuses": _statuses(found),
        **({} if overlap is None else {"overlap_pairs": overlap.pairs, "overlap_sources": overlap.sources}),
    }
    if folder.is_dir() and not search.ensemble:  # what several translate together is the score of none of them
        _record(folder, row)


def search_used(config: Settings, search: SearchSettings, precision: str = "float32") -> dict[str, float | str]:
    """Return what changes translations of all search settings: those given, or else the model's."""
    decoding = config.decoding
    return {
        "beam_size": decoding.beam_size if search.beam_size is None else search.beam_size,
        "length_penalty": decoding.length_penalty if search.length_penalty is None else search.length_penalty,
        "retry": decoding.retry if search.retry is None else search.retry,
        "sentences": by_sentence(config, search.sentences),
        **({} if precision == "float32" else {"precision": precision}),
        **({"shortlist": search.shortlist} if search.shortlist else {}),
    }


def _statuses(found: Sequence[Translation]) -> dict[str, int]:
    counts = Counter(translation.status for translation in found)
    return {status.value: counts[status] for status in Status if counts[status]}


def _in_words(found: Sequence[Translation]) -> str:
    """Say what became of the lines, unless all are ok."""
    counts = _statuses(found)
    return "" if set(counts) == {"ok"} else "; " + ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _overlap(folder: Path, chosen: TestSet, test: TestLines) -> Overlap | None:
    """Look up what `nmt prepare` counted for this test set; None if it did not, or if the test set was another then."""
    try:
        overlap = read_overlap(folder).get(test.name if chosen.name else "")
    except PreparedError:  # the model is whole; that its training data is not is for `nmt prepare` to say
        return None
    return overlap if overlap is not None and overlap.lines == len(test.sources) else None


def _record(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row to the scores and the card; they have been printed, so a folder that takes no files is only noted."""
    scores, card = ScoresFile(folder), folder / CARD_FILE
    try:
        scores.add("test", row)
        if card.is_file():
            for metric in ("bleu", "chrf"):
                how = f"{row['lines']} lines, beam {row['beam_size']}, {row[f'{metric}_signature']}"
                note_score(card, f"{row['test']}, {metric}", f"{row[metric]:.2f} ({how})")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        _tell(f"the scores were not added to {scores.path}: {error.strerror}")


def _tell(message: str) -> None:
    tell("nmt evaluate", message)
