"""`nmt tune`: the length penalty with which a model translates its validation set best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Final

import typer

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import counted, progress
from nmt.config import Config
from nmt.data.preparation.manifest import valid_sets
from nmt.data.text import CorpusError
from nmt.decoding.translation import TranslationSettings
from nmt.evaluation import score
from nmt.experiment import TestLines, read_test_lines, read_test_set
from nmt.lock import locked
from nmt.model_folder.files import read_settings
from nmt.model_folder.settings import change_settings
from nmt.terminal import tell

PENALTIES: Final = tuple(round(0.2 * number, 1) for number in range(11))
"""Those that are tried, beside the model's own: 0 to 2."""


def run(folder: Path, files: tuple[Path, Path] | None, search: SearchSettings, keep: bool) -> None:
    """Translate a set once with each penalty, print what BLEU says of each, and give the best one to the model.

    Args:
        folder: The model folder.
        files: A source and a reference file; None takes the validation sets that the settings name, and the mean of
            their BLEU.
        search: How to search, apart from the penalty.
        keep: Leave the model's settings as they are.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        CorpusError, EvaluationError: The set cannot be used.
        OSError: A file cannot be read or written.
    """
    config = read_settings(folder)
    sets = _validation_sets(config) if files is None else [read_test_set(config, None, files, search.to)]
    translator = load_translator("nmt tune", folder, replace(search, to=sets[0].target_language))
    present = config.decoding.length_penalty
    penalties = sorted({*PENALTIES, present})
    found: dict[float, float] = {}
    with progress("nmt tune") as show:
        told = counted(show, len(penalties) * sum(len(lines.sources) for lines in sets))
        for penalty in penalties:
            settings = TranslationSettings(search.beam_size, penalty, search.batch_size)
            bleu = []
            for lines in sets:
                translations = translator.to(lines.target_language).translate_detailed(lines.sources, settings, told)
                texts = [translation.text for translation in translations]
                bleu.append(score(texts, lines.references, lines.target_language).bleu)
            found[penalty] = fmean(bleu)
            typer.echo(
                f"{penalty:.2f}  BLEU {found[penalty]:.2f}{'  (the model has it)' if penalty == present else ''}"
            )
    best = max(penalties, key=lambda penalty: (found[penalty], -abs(penalty - present)))
    if keep or best == present:
        tell("nmt tune", f"{best:.2f} is best{'' if keep else ', and the model has it'}")
        return
    _write(folder, config, best)
    tell("nmt tune", f"{folder}: decoding.length_penalty is {best:.2f} now")


def _validation_sets(config: Config) -> list[TestLines]:
    """Read the validation set of each pair of languages."""
    sets = []
    for place, (corpus, languages) in valid_sets(config.data).items():
        missing = [path for path in corpus if not path.exists()]
        if missing:
            raise CorpusError(f"{place}: {missing[0]}: no such file; give --source FILE and --reference FILE")
        sets.append(read_test_lines("validation set", corpus, languages))
    return sets


def _write(folder: Path, config: Config, penalty: float) -> None:
    with locked(folder):
        decoding = config.decoding.model_copy(update={"length_penalty": penalty})
        change_settings(folder, config.model_copy(update={"decoding": decoding}))
