"""`nmt distill`: a student that learns from what its teachers make of the training text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from nmt.commands.asked import SearchSettings
from nmt.commands.loading import load_translator
from nmt.commands.synthetic import Row, digests_of, is_made, usable, write_telling
from nmt.commands.training import check_trainable, train_model
from nmt.config import Config
from nmt.config_data import CorpusConfig
from nmt.config_file import load_config
from nmt.data.preparation.manifest import input_files, require_files
from nmt.data.text import read_pairs
from nmt.decoding.model_file import settings_of
from nmt.decoding.translation import Translation, TranslationSettings
from nmt.decoding.translator import Translator
from nmt.evaluation.scores import sentence_scorer
from nmt.languages import LanguageError, distinct, same_direction, told_directions
from nmt.reading import sha256

DISTILLED_FILE: Final = "distilled.tsv"


@dataclass(frozen=True)
class Lesson:
    """What the teachers are asked for."""

    teachers: tuple[Path, ...]
    n_best: int = 1
    """Translations of each line, of which the one that is nearest to the reference is taken; 1: the likeliest."""
    mix: bool = False
    """Whether the student learns from the training text as well."""


def run(path: Path, overrides: Sequence[str], lesson: Lesson, search: SearchSettings, command: Sequence[str]) -> bool:
    """Translate the training sources with the teachers, together, and train a student on that.

    Args:
        path: The student's TOML file.
        overrides: `section.key=value` each.
        lesson: The teachers.
        search: How they search.
        command: The words by which a user goes on after an interruption.

    Returns:
        False if the user interrupted the training.

    Raises:
        ConfigError: A setting is wrong.
        LanguageError: A teacher translates other languages.
        ModelError, SubwordError: A teacher cannot be read, or they do not fit each other.
        CorpusError, PreparedError, TrainingError, OSError: See `train_model`.
    """
    config = load_config(path, overrides)
    require_files(input_files(config))
    check_trainable(config)
    return train_model(_taught_config(config, lesson, search), command).status != "interrupted"


def _taught_config(config: Config, lesson: Lesson, search: SearchSettings) -> Config:
    """Let teachers translate the training text; returns the settings of a training on what they said."""
    data = config.data
    config.folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}-{DISTILLED_FILE}" for number in range(len(data.corpora))] or [DISTILLED_FILE]
    teachers = _teachers_of_each(data.parts, lesson.teachers)
    texts = [  # all, before the first is translated: a teacher that cannot be used is told at once
        _Text.planned(config.folder / name, part, replace(lesson, teachers=each), search)
        for name, part, each in zip(names, data.parts, teachers, strict=True)
    ]
    for text in texts:
        text.write()
    learned = [((text.output,), *(text.part.train if lesson.mix else ())) for text in texts]
    if data.corpora:
        parts = zip(data.corpora, learned, strict=True)
        changed: dict[str, object] = {"corpora": tuple(part.model_copy(update={"train": new}) for part, new in parts)}
    else:
        changed = {"train": learned[0]}
    return config.model_copy(update={"data": data.model_copy(update=changed)})


def _teachers_of_each(parts: Sequence[CorpusConfig], teachers: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Choose for each corpus the teachers that translate its pair of languages.

    Raises:
        LanguageError: A corpus has none, or a teacher has no corpus.
    """
    known = [(path, settings_of(path).data.directions) for path in teachers]
    found = [
        tuple(path for path, directions in known if any(same_direction(each, part.languages) for each in directions))
        for part in parts
    ]
    asked = ", ".join(distinct(part.direction for part in parts))
    for path, directions in known:
        if not any(path in chosen for chosen in found):
            told = told_directions(directions)
            raise LanguageError(f"--teacher {path}: expected a model that translates {asked}, got one for {told}")
    for part, chosen in zip(parts, found, strict=True):
        if not chosen:
            raise LanguageError(f"--teacher: expected one that translates {part.direction}, which none of these does")
    return found


@dataclass(frozen=True)
class _Text:
    """Training text that teachers translate."""

    output: Path
    part: CorpusConfig
    stamp: dict[str, object]
    translator: Translator | None
    """The teachers; none if it is translated already."""
    settings: TranslationSettings

    @classmethod
    def planned(cls, output: Path, part: CorpusConfig, lesson: Lesson, search: SearchSettings) -> _Text:
        """Load the teachers, unless there is nothing for them to do."""
        stamp = {
            "teachers": digests_of(lesson.teachers),
            "n_best": lesson.n_best,
            "beam_size": search.beam_size,
            "length_penalty": search.length_penalty,
            "precision": search.precision,
            "text": [sha256(file) for corpus in part.train for file in corpus],
        }
        settings = TranslationSettings(search.beam_size, search.length_penalty, search.batch_size, lesson.n_best)
        translator = None if is_made(output, stamp) else _load(lesson.teachers, part.target_language, search)
        return cls(output, part, stamp, translator, settings)

    def write(self) -> None:
        """Write what the teachers make of it, if that is not there."""
        if (translator := self.translator) is None:
            return

        def make(pairs: Sequence[Row]) -> Iterator[tuple[str, str]]:
            return _taught(translator, self.settings, pairs, self.part.target_language)

        text = chain.from_iterable(read_pairs(*corpus, languages=self.part.languages) for corpus in self.part.train)
        write_telling("nmt distill", self.output, text, make, self.stamp)


def _load(teachers: Sequence[Path], language: str, search: SearchSettings) -> Translator:
    """Load teachers, to translate together."""
    first, *others = teachers
    several = len(settings_of(first).data.target_languages) > 1
    asked = replace(search, ensemble=tuple(others), to=language if several else None)
    return load_translator("nmt distill", first, asked)


def _taught(
    translator: Translator, settings: TranslationSettings, pairs: Sequence[Row], language: str
) -> Iterator[tuple[str, str]]:
    """Translate some lines, and take of each the likeliest translation, or the one nearest to the reference."""
    scorer = sentence_scorer([target for _, target in pairs], language) if settings.n_best > 1 else None
    translations = translator.translate_detailed([source for source, _ in pairs], settings)
    for (source, target), translation in zip(pairs, translations, strict=True):
        if usable(translation):
            yield source, translation.text if scorer is None else _nearest(translation, target, scorer)


def _nearest(translation: Translation, reference: str, scorer: Callable[[str, str], float]) -> str:
    texts = [candidate.text for candidate in translation.hypotheses if candidate.text.strip()]
    return max(texts, key=lambda text: scorer(text, reference))  # the likeliest of equals, which comes first
