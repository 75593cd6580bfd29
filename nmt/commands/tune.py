"""`nmt tune`: the length penalty with which a model translates its validation set best."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.progress import counted, progress
from nmt.config import Config
from nmt.data.text import CorpusError
from nmt.decoding.translation import TranslationSettings
from nmt.evaluation import score
from nmt.experiment import read_test_lines
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
        files: A source and a reference file; None takes the validation set that the settings name.
        search: How to search, apart from the penalty.
        keep: Leave the model's settings as they are.

    Raises:
        ModelError, SubwordError: The model cannot be read.
        CorpusError, EvaluationError: The set cannot be used.
        OSError: A file cannot be read or written.
    """
    config = read_settings(folder)
    missing = [path for path in config.data.valid if not path.exists()]
    if files is None and missing:
        raise CorpusError(f"data.valid: {missing[0]}: no such file; give --source FILE and --reference FILE")
    lines = read_test_lines(config, "validation set", files or config.data.valid)
    translator = load_translator("nmt tune", folder, search)
    present = config.decoding.length_penalty
    penalties = sorted({*PENALTIES, present})
    found: dict[float, float] = {}
    with progress("nmt tune") as show:
        told = counted(show, len(penalties) * len(lines.sources))
        for penalty in penalties:
            settings = TranslationSettings(search.beam_size, penalty, search.batch_size)
            translations = translator.translate_detailed(lines.sources, settings, told)
            texts = [translation.text for translation in translations]
            found[penalty] = score(texts, lines.references, config.data.target_language).bleu
            typer.echo(
                f"{penalty:.2f}  BLEU {found[penalty]:.2f}{'  (the model has it)' if penalty == present else ''}"
            )
    best = max(penalties, key=lambda penalty: (found[penalty], -abs(penalty - present)))
    if keep or best == present:
        tell("nmt tune", f"{best:.2f} is best{'' if keep else ', and the model has it'}")
        return
    _write(folder, config, best)
    tell("nmt tune", f"{folder}: decoding.length_penalty is {best:.2f} now")


def _write(folder: Path, config: Config, penalty: float) -> None:
    with locked(folder):
        decoding = config.decoding.model_copy(update={"length_penalty": penalty})
        change_settings(folder, config.model_copy(update={"decoding": decoding}))
