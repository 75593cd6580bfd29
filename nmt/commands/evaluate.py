"""`nmt evaluate`: a test set to scores with signatures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import typer

import nmt
from nmt.commands.translate import translate_lines
from nmt.config import Config, ConfigError
from nmt.data.corpus import read_pairs
from nmt.decoding.translator import Translator
from nmt.evaluation import EvaluationError, Scores, score
from nmt.files import write_text
from nmt.options import SearchSettings, TestSet

SCORES_FILE = "scores.jsonl"


def run(folder: Path, test: TestSet, output: Path | None, search: SearchSettings) -> None:
    """Translate and score a test set; prints the scores and adds them to the model's `scores.jsonl`.

    Args:
        folder: The model folder.
        test: The test set.
        output: Where to write the translations; None for nowhere.
        search: How to search.

    Raises:
        ConfigError: The settings name no such test set.
        ModelError, SubwordError: The model cannot be read.
        CorpusError, EvaluationError: The test set cannot be used.
        OSError: A file cannot be read or written.
    """
    translator = Translator.load(folder, threads=search.threads)
    files = _test_files(translator.config, test)
    pairs = list(read_pairs(*files))
    if not pairs:
        raise EvaluationError(f"{files[0]}: expected lines to translate, got an empty file")
    sources, references = [source for source, _ in pairs], [reference for _, reference in pairs]
    typer.echo(f"nmt evaluate: translating {len(sources):,} lines", err=True)
    translations = translate_lines(translator, sources, search)
    if output is not None:
        write_text(output, "".join(f"{line}\n" for line in translations))
    scores = score(translations, references, translator.config.data.target_language)
    typer.echo(f"BLEU {scores.bleu:.2f}  {scores.bleu_signature}")
    typer.echo(f"chrF {scores.chrf:.2f}  {scores.chrf_signature}")
    name = test.name or str(files[0])
    _record(folder, name, len(sources), scores, translator.config, search)


def _test_files(config: Config, test: TestSet) -> tuple[Path, ...]:
    if test.source is not None and test.reference is not None:
        return test.source, test.reference
    try:
        return config.data.test[test.name or ""]
    except KeyError:
        known = ", ".join(config.data.test) or "none"
        raise ConfigError(f"--test {test.name}: no such test set in the model's settings; they name: {known}") from None


def _record(folder: Path, name: str, lines: int, scores: Scores, config: Config, search: SearchSettings) -> None:
    decoding = config.decoding
    row = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": nmt.__version__,
        "test": name,
        "lines": lines,
        "beam_size": decoding.beam_size if search.beam_size is None else search.beam_size,
        "length_penalty": decoding.length_penalty if search.length_penalty is None else search.length_penalty,
        **scores.as_dict(),
    }
    with (folder / SCORES_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
