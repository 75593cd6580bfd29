"""`nmt compare`: whether one system is better than another."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from nmt.commands.asked import SearchSettings, TestSet
from nmt.commands.loading import load_translator
from nmt.commands.progress import counted, progress
from nmt.config import Config
from nmt.data.text import read_lines
from nmt.decoding.model_file import is_model_file, settings_of
from nmt.decoding.translation import TranslationSettings
from nmt.evaluation import EvaluationError
from nmt.evaluation.page import Sentence, render_page
from nmt.evaluation.paired import Difference, compare, sentence_scores, verdict
from nmt.evaluation.scores import tokenizer
from nmt.experiment import TestLines, read_test_set, warn_of_misalignment
from nmt.files import write_through
from nmt.languages import find_language


@dataclass(frozen=True)
class System:
    """One of the two: a model, or what one has written."""

    name: str
    """A or B."""
    path: Path
    config: Config | None
    """The model's settings; None for a file of translations."""


def run(
    paths: tuple[Path, Path],
    chosen: TestSet,
    html: Path | None,
    search: SearchSettings,
    language: str | None = None,
) -> None:
    """Compare two systems on a test set: prints scores, difference, p-value and verdict.

    Args:
        paths: Each a model folder or file, or a file with a translation of every line of the test set.
        chosen: The test set.
        html: Where to write a page with both, side by side; None for nowhere.
        search: How models search.
        language: Target language, for BLEU's tokeniser; None takes the models'.

    Raises:
        ConfigError: The settings name no such test set.
        ModelError, SubwordError: A model cannot be read.
        CorpusError: A text cannot be used.
        EvaluationError: The systems cannot be compared.
        OSError: A file cannot be read or written.
    """
    systems = tuple(
        System(name, path, settings_of(path) if path.is_dir() or is_model_file(path) else None)
        for name, path in zip("AB", paths, strict=True)
    )
    test = _test_set(systems, chosen, search.to)
    language = language or _language(systems, test.references, search.to)
    with nullcontext() if html is None else write_through(html) as file:  # a wrong name is told before any work
        a, b = (_translations(system, test, search) for system in systems)
        differences = compare(a, b, test.references, language)
        for line in _report(systems, test, differences):
            typer.echo(line)
        if file is not None:
            names = str(systems[0].path), str(systems[1].path)
            file.write(render_page(test.name, names, differences, _sentences(test, a, b)).encode())


def _language(systems: Sequence[System], references: Sequence[str], to: str | None) -> str | None:
    """Find the target language; systems whose BLEU would be of different tokenisers are refused."""
    languages = [find_language("--to", to, system.config.data.target_languages) for system in systems if system.config]
    tokenizers = [tokenizer(language, references) for language in languages]
    if len(set(tokenizers)) > 1:
        raise EvaluationError(
            f"expected systems of one target language, got {' and '.join(languages)}: "
            f"BLEU with tokenisers {' and '.join(tokenizers)} cannot be compared"
        )
    return languages[0] if languages else None


def _test_set(systems: Sequence[System], chosen: TestSet, to: str | None) -> TestLines:
    """Read the test set; if both models name one, it must be the same text."""
    configs: list[Config | None] = [system.config for system in systems if system.config]
    tests = [read_test_set(config, chosen.name, chosen.files, to) for config in configs or [None]]
    first, last = tests[0], tests[-1]
    if (first.sources, first.references) != (last.sources, last.references):
        raise EvaluationError(
            f"--test {chosen.name}: the two models mean different text by it, {first.files[0]} and {last.files[0]}; "
            "give --source FILE and --reference FILE"
        )
    return first


def _translations(system: System, test: TestLines, search: SearchSettings) -> list[str]:
    """Translate with a model, which leaves the memory then, or read a file."""
    if system.config is None:
        lines = list(read_lines(system.path))
        if len(lines) != len(test.sources):
            raise EvaluationError(
                f"{system.path}: expected {len(test.sources)} lines, one for each of {test.name}, got {len(lines)}"
            )
        warn_of_misalignment(f"the source text and {system.path}", list(zip(test.sources, lines, strict=True)))
        return lines
    translator = load_translator("nmt compare", system.path, search)
    typer.echo(f"nmt compare: {system.name} translates {len(test.sources):,} lines", err=True)
    settings = TranslationSettings(
        search.beam_size, search.length_penalty, search.batch_size, retry=search.retry, sentences=search.sentences
    )
    with progress("nmt compare") as show:
        found = translator.translate_detailed(test.sources, settings, counted(show, len(test.sources)))
    texts = [translation.text for translation in found]
    del translator
    gc.collect()
    return texts


def _report(systems: Sequence[System], test: TestLines, differences: Sequence[Difference]) -> list[str]:
    lines = [f"{system.name} = {system.path}" for system in systems]
    lines += [f"test = {test.name}, {len(test.sources):,} lines", ""]
    lines.append(f"{'':<6}{'A':>8}{'B':>8}{'B - A':>9}{'p':>8}  signature")
    for found in differences:
        p_value = "-" if found.p_value is None else f"{found.p_value:.3f}"
        lines.append(
            f"{found.metric:<6}{found.a:>8.2f}{found.b:>8.2f}{found.delta:>+9.2f}{p_value:>8}  {found.signature}"
        )
    return [*lines, "", *(verdict(found, len(test.sources)) for found in differences)]


def _sentences(test: TestLines, a: Sequence[str], b: Sequence[str]) -> list[Sentence]:
    scores_a, scores_b = sentence_scores(a, test.references), sentence_scores(b, test.references)
    rows = zip(test.sources, test.references, a, b, scores_a, scores_b, strict=True)
    return [Sentence(number, *row) for number, row in enumerate(rows, start=1)]
