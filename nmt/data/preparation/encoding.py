"""The stages of preparing: survey the text, train the subword vocabularies, write ids."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from nmt.config_data import CorpusConfig, DataConfig
from nmt.data.dataset import sentence_writer
from nmt.data.preparation.cleaning import REASONS, Cleaner, EncodedPair, Pair, encode_pairs, tagged
from nmt.data.preparation.overlap import Overlap, OverlapCounter
from nmt.data.sides import SidesCheck
from nmt.data.subwords import UNK, SubwordError, Subwords, train_subwords, training_share
from nmt.data.text import CorpusError, read_pairs
from nmt.languages import Direction, folded

Progress = Callable[[str], None]
Text = tuple[tuple[Path, ...], Direction]
"""The files of a corpus or set, and its languages."""

_PROGRESS_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Survey:
    """What one reading of all text tells."""

    pairs: int
    """Training pairs."""
    characters: tuple[int, int]
    """Of all training sources, and of all targets."""
    overlap: dict[str, Overlap]
    """Overlap of each set with the training text."""
    misaligned: list[str]
    """Of each corpus or set whose sides do not belong together, its files and where."""


def survey(corpora: Iterable[Text], sets: Mapping[str, Text]) -> Survey:
    """Read all text once, which also finds what is wrong with it before any long work.

    Args:
        corpora: The training text.
        sets: Each validation and test set, by name.

    Raises:
        CorpusError: Text cannot be used, or a corpus or set is empty.
        FileNotFoundError: A file is missing.
    """
    checks: list[tuple[Text, SidesCheck]] = []

    def watched(text: Text) -> Iterator[Pair]:
        checks.append((text, SidesCheck()))
        return checks[-1][1].watch(_not_empty(*text))

    counter = OverlapCounter({name: watched(corpus) for name, corpus in sets.items()})
    pairs, characters = 0, [0, 0]
    for source, target in chain.from_iterable(map(watched, corpora)):
        pairs += 1
        characters[0] += len(source)
        characters[1] += len(target)
        counter.see(source, target)
    misaligned = []
    for (corpus, languages), check in reversed(checks):  # training text first
        found = check.misalignment(partial(read_pairs, *corpus, languages=languages))
        if found is not None:
            misaligned.append(f"{' and '.join(map(str, corpus))}: {found}")
    return Survey(pairs, (characters[0], characters[1]), counter.counts(), misaligned)


def train_vocabularies(data: DataConfig, found: Survey, progress: Progress) -> list[Subwords]:
    """Train one joint vocabulary, or one for each side, on as many lines as memory and time allow.

    Raises:
        SubwordError: A vocabulary cannot be trained.
    """

    languages = data.target_languages

    def train(*sides: int) -> Subwords:
        share = training_share(found.pairs * len(sides), sum(found.characters[side] for side in sides))
        drawn = f", {share:.1%} of their lines" if share < 1 else ""
        progress(f"training subwords on {found.pairs:,} pairs{drawn}")
        return train_subwords(
            _lines(data, sides),
            data.vocabulary_size,
            model_type=data.subword_model,
            character_coverage=data.character_coverage,
            split_digits=data.split_digits,
            normalization=data.normalization,
            share=share,
            target_languages=languages if len(languages) > 1 and 0 in sides else (),
        )

    return [train(0, 1)] if data.joint_vocabulary else [train(0), train(1)]


def encode_training(
    data: DataConfig, folder: Path, source: Subwords, target: Subwords, pairs: int, progress: Progress
) -> dict[str, int]:
    """Write the training pairs that `Cleaner` keeps as ids.

    Args:
        data: The settings.
        folder: Where to write.
        source: Subwords of the source.
        target: Subwords of the target.
        pairs: Number of training pairs, for `progress`.
        progress: Told from time to time how far it is.

    Returns:
        What was counted.

    Raises:
        CorpusError: No pair is usable.
    """
    cleaner = Cleaner(data, source, target)
    of_parts = Counter[str]()

    def clean() -> Iterator[EncodedPair]:
        for number, part in enumerate(data.parts):
            for pair in cleaner.clean(_pairs_of(part), tag_of(source, part)):
                of_parts[part_count("training", number)] += 1
                yield pair

    kept = _observed(clean(), lambda: cleaner.counts["read"], pairs, progress)
    written = _write(folder, "train", source, target, kept)
    if not written["pairs"]:
        reasons = ", ".join(f"{cleaner.counts[reason]} {reason.removeprefix('left out, ')}" for reason in REASONS)
        raise CorpusError(f"data.train: expected pairs to train on, got none that are usable ({reasons})")
    names = ("read", *REASONS, "split", "made by splitting", "copies")
    counts = {f"training pairs {name}": cleaner.counts[name] for name in names}
    counts |= {f"training pairs {name}": cleaner.sentences[name] for name in ("looked into", "several sentences")}
    counts |= {f"training {side} subwords": written[f"{side} subwords"] for side in ("source", "target")}
    return {"training pairs": written["pairs"], **counts, **(of_parts if data.corpora else {})}


def encode_validation(data: DataConfig, folder: Path, source: Subwords, target: Subwords) -> dict[str, int]:
    """Write every validation pair as ids, so that scores are of the whole set; returns what was counted."""
    of_parts = Counter[str]()

    def encoded() -> Iterator[EncodedPair]:
        for number, part in enumerate(data.parts):
            pairs = () if part.valid is None else read_pairs(*part.valid, languages=part.languages)
            found = (ids for _, ids in encode_pairs(pairs, source, target))
            for pair in tagged(found, tag_of(source, part)):
                of_parts[part_count("validation", number)] += 1
                yield pair

    written = _write(folder, "valid", source, target, encoded())
    names = ("pairs", "source subwords", "target subwords", "source unknown subwords", "target unknown subwords")
    return {f"validation {name}": written[name] for name in names} | (of_parts if data.corpora else {})


def part_count(split: str, number: int) -> str:
    """Return what the pairs of one of several corpora are counted as, from 0."""
    return f"corpus {number} {split} pairs"


def tag_of(source: Subwords, part: CorpusConfig) -> list[int]:
    """Subwords that sources of some text begin with: one where there are several target languages, or else none.

    Raises:
        SubwordError: There are several, but not this one.
    """
    if not source.tags:
        return []
    tag = source.tags.get(folded(part.target_language))
    if tag is None:
        raise SubwordError(
            f"target_language: expected one of those that the subwords know, {', '.join(source.tags)}, got "
            f"{part.target_language}"
        )
    return [tag]


def _write(folder: Path, split: str, source: Subwords, target: Subwords, pairs: Iterable[EncodedPair]) -> Counter[str]:
    written = Counter[str]()
    with (
        sentence_writer(folder, f"{split}.source", source.size) as write_source,
        sentence_writer(folder, f"{split}.target", target.size) as write_target,
    ):
        for pair in pairs:
            write_source(pair.source)
            write_target(pair.target)
            written["pairs"] += 1
            for side, ids in zip(("source", "target"), pair, strict=True):
                written[f"{side} subwords"] += len(ids)
                written[f"{side} unknown subwords"] += ids.count(UNK)
    return written


def _observed(
    items: Iterable[EncodedPair], done: Callable[[], int], total: int, progress: Progress
) -> Iterator[EncodedPair]:
    due = time.monotonic() + _PROGRESS_SECONDS
    for item in items:
        if time.monotonic() >= due:
            progress(f"encoded {done():,} of {total:,} training pairs")
            due += _PROGRESS_SECONDS
        yield item


def training_text(data: DataConfig) -> list[Text]:
    """Name the training corpora, each with its languages."""
    return [(corpus, part.languages) for part in data.parts for corpus in part.train]


def _lines(data: DataConfig, sides: Sequence[int]) -> Iterator[str]:
    """Read the text of some sides; of several corpora each file once, so that a language common to all counts once."""
    seen: set[Path] = set()
    for side in sides:
        for corpus, languages in training_text(data):
            if data.corpora and len(corpus) == 2:
                if corpus[side] in seen:
                    continue
                seen.add(corpus[side])
            yield from (pair[side] for pair in read_pairs(*corpus, languages=languages))


def _pairs_of(part: CorpusConfig) -> Iterator[Pair]:
    return chain.from_iterable(read_pairs(*corpus, languages=part.languages) for corpus in part.train)


def _not_empty(corpus: tuple[Path, ...], languages: Direction) -> Iterator[Pair]:
    pair = None
    for pair in read_pairs(*corpus, languages=languages):
        yield pair
    if pair is None:
        raise CorpusError(f"{corpus[0]}: expected text, got an empty file")
