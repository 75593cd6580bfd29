"""Make a small German-English corpus of numbers, dates, times, amounts and measures, without any download.

Run as `python recipes/quickstart/make_corpus.py FOLDER`. It writes, for each split, `SPLIT.de` and `SPLIT.en` (one
sentence per line) and `SPLIT.kind` (what kind of value the line is about). The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import moments
import quantities
from frames import FRAMES
from spelling import capitalised
from values import SPLITS, Phrase, Split, UnsuitableError

KINDS: dict[str, tuple[Callable[[random.Random, Split], Phrase], float, float]] = {
    "number": (quantities.number, 0.30, 0.40),
    "ordinal": (quantities.ordinal, 0.10, 0.11),
    "year": (moments.year, 0.08, 0.07),
    "date": (moments.date, 0.22, 0.18),
    "time": (moments.time, 0.10, 0.08),
    "amount": (quantities.amount, 0.10, 0.10),
    "measure": (quantities.measure, 0.10, 0.06),
}
"""Each kind of value: what draws it, its share of the lines held out, and of those to train on: more of what is harder
to learn."""

SIZES: dict[Split, int] = {"train": 64_000, "valid": 1_000, "test": 1_000}


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence in both languages, with the kind and the names of the values in it."""

    german: str
    english: str
    kind: str
    keys: tuple[str, ...]


def fill(rng: random.Random, kind: str, phrase: Phrase) -> Pair:
    """Put a phrase into one of the sentences that it fits."""
    frame = rng.choice(FRAMES[phrase.slot])
    german, english = (
        text.format_map(values | {name.upper(): capitalised(value) for name, value in values.items()})
        for text, values in zip(frame, (phrase.german, phrase.english), strict=True)
    )
    return Pair(german, english, kind, phrase.keys)


def pairs_of(kind: str, split: Split, count: int, rng: random.Random) -> Iterator[Pair]:
    """Distinct sentences about one kind of value.

    Args:
        kind: A key of `KINDS`.
        split: The split whose values are used.
        count: Sentences wanted.
        rng: Source of randomness.

    Raises:
        ValueError: There are not that many distinct sentences.
    """
    make = KINDS[kind][0]
    seen: set[str] = set()
    for _ in range(50 * count + 1000):
        if len(seen) == count:
            return
        try:
            pair = fill(rng, kind, make(rng, split))
        except UnsuitableError:
            continue
        if pair.german not in seen:
            seen.add(pair.german)
            yield pair
    if len(seen) < count:
        raise ValueError(f"{split}: expected {count} distinct sentences about a {kind}, got {len(seen)}")


def make_split(split: Split, size: int, seed: int) -> list[Pair]:
    """All lines of one split, shuffled.

    Args:
        split: Which.
        size: Number of lines.
        seed: The same seed gives the same lines.
    """
    pairs: list[Pair] = []
    for place, (kind, (_, held_out, trained)) in enumerate(KINDS.items()):
        share = trained if split == "train" else held_out
        count = round(size * share) if place + 1 < len(KINDS) else size - len(pairs)
        pairs.extend(pairs_of(kind, split, count, random.Random(f"{seed} {split} {kind}")))
    random.Random(f"{seed} {split}").shuffle(pairs)
    return pairs


def write_lines(path: Path, lines: Iterator[str]) -> None:
    """Write a text file so that it appears complete or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main() -> None:
    """Make the corpus in the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Make a small German-English corpus of values.")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default: 1)")
    parser.add_argument("--train", type=int, default=SIZES["train"], help="training pairs (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        pairs = make_split(split, arguments.train if split == "train" else SIZES[split], arguments.seed)
        for ending, name in (("de", "german"), ("en", "english"), ("kind", "kind")):
            write_lines(arguments.folder / f"{split}.{ending}", map(attrgetter(name), pairs))
        print(f"{split}: {len(pairs)} pairs")


if __name__ == "__main__":
    main()
