"""What a run of the recipe left behind, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from nmt.data.scripts import script_of
from nmt.data.sides import SidesCheck
from nmt.data.subwords import UNK, Subwords, load_subwords
from nmt.data.text import read_lines, read_pairs
from nmt.evaluation.paired import sentence_scores
from nmt.model_folder.files import read_settings

_STRIPPED: Final = ".,;:!?\"'()[]«»„“”‚‘’…-"


@dataclass(frozen=True)
class TrainingText:
    """What the training text holds."""

    words: frozenset[str]
    """Those of the source side, in small letters."""
    lines: int
    copies: int
    """Pairs whose sides are alike."""
    misaligned: str
    """What is wrong with its sides, if they do not belong together."""


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    folder: Path
    """With data/ and model/ in it."""
    sources: Sequence[str]
    """The test lines."""
    references: Sequence[str]
    """Their translations in the corpus."""
    translations: Sequence[str]
    """Their translations by the model."""
    scores: dict[str, Any]
    """The test's row of scores.jsonl."""
    curve: Sequence[dict[str, Any]]
    """The validations, in order; empty if none were noted."""
    training: dict[str, Any]
    """The section `training` of the model's settings, and `dropout` of its `model`."""
    text: TrainingText
    epoch_tokens: int
    """Target subwords of an epoch; 0 if that is not known."""
    again: Sequence[str]
    """The recipe's command, with all that was given but the folder."""
    to: str = ""
    """The language that the test's translations are in, of a model that writes several."""

    @cached_property
    def line_scores(self) -> list[float]:
        """ChrF of each translation, 0 to 100."""
        return sentence_scores(self.translations, self.references)

    @cached_property
    def chance(self) -> float:
        """What chrF of a translation and another line's reference stays below in 19 of 20 cases."""
        half = len(self.references) // 2
        others = [*self.references[half:], *self.references[:half]]
        return float(np.percentile(sentence_scores(self.translations, others), 95)) if half else 0.0

    @cached_property
    def subwords(self) -> Subwords:
        """The source vocabulary."""
        model = self.folder / "model"
        return load_subwords(model, read_settings(model).data.subword_files)[0]

    def unreadable(self) -> list[str]:
        """Characters of the test lines that the model has no subword for."""
        characters = sorted({character for line in self.sources for character in line if not character.isspace()})
        found = zip(characters, self.subwords.encode_lines(characters), strict=True)
        return [character for character, ids in found if UNK in ids]

    def with_new_words(self) -> list[bool]:
        """Whether each test line has a word that training had not; none has where words are not separated by blanks."""
        if script_of(self.sources) in ("ja", "zh", "unspaced"):
            return [False] * len(self.sources)
        return [any(word not in self.text.words for word in words(line)) for line in self.sources]


def words(line: str) -> list[str]:
    """The words of a line, in small letters and without punctuation."""
    return [word for part in line.casefold().split() if (word := part.strip(_STRIPPED))]


def read_outcome(folder: Path, translation: Path, again: Sequence[str]) -> Outcome:
    """Read what a run left in its folder.

    Raises:
        ValueError: Something is missing, or does not belong together.
        OSError: A file cannot be read.
    """
    data, model = folder / "data", folder / "model"
    sources, references = (list(read_lines(data / f"test.{side}.gz")) for side in ("src", "tgt"))
    translations = list(read_lines(translation))
    if not len(sources) == len(references) == len(translations):
        raise ValueError(
            f"{translation}: expected {len(sources)} lines, as in {data / 'test.src.gz'}, got {len(translations)}"
        )
    rows = [json.loads(line) for line in read_lines(model / "scores.jsonl") if line.strip()]
    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    ways = [(each["source_language"], each["target_language"]) for each in settings["data"].get("corpora", ())]
    name = "test:{}-{}".format(*ways[0]) if ways else "test"
    several = len({target for _, target in ways}) > 1
    tests = [row for row in rows if row.get("test") == name]
    if not tests:
        raise ValueError(f"{model / 'scores.jsonl'}: expected scores of the test set, got none")
    return Outcome(
        folder=folder,
        sources=sources,
        references=references,
        translations=translations,
        scores=tests[-1],
        curve=[row for row in rows if row.get("kind") == "validation"],
        training=settings["training"] | {"dropout": settings["model"]["dropout"]},
        text=read_training_text((data / "train.src.gz", data / "train.tgt.gz")),
        epoch_tokens=_epoch_tokens(model / "data" / "prepared.json"),
        again=again,
        to=ways[0][1] if several else "",
    )


def read_training_text(corpus: tuple[Path, Path]) -> TrainingText:
    """Read a training text once."""
    seen, lines, copies, check = set[str](), 0, 0, SidesCheck()
    for source, target in check.watch(read_pairs(*corpus)):
        lines += 1
        copies += source == target
        seen.update(words(source))
    misaligned = check.misalignment(lambda: read_pairs(*corpus))
    return TrainingText(frozenset(seen), lines, copies, str(misaligned) if misaligned else "")


def _epoch_tokens(manifest: Path) -> int:
    if not manifest.exists():
        return 0
    counts = json.loads(manifest.read_text(encoding="utf-8"))["counts"]
    return int(counts["training target subwords"] + counts["training pairs"])  # each line has an end, too
