"""Say in plain words how good a model is, and what would make it better.

Run as `python recipes/your-pair/explain.py FOLDER TRANSLATION`: FOLDER is the recipe's, with data/ and model/ in it,
and TRANSLATION holds the model's translation of data/test.src.gz.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nmt.data.text import read_lines

BANDS: Final = (
    (5, "The translations have little to do with the text: too little was learned."),
    (15, "Single words and phrases come out right; what a sentence says can only be guessed at."),
    (25, "The gist often comes through, with many mistakes."),
    (35, "Most sentences can be understood; mistakes in grammar and choice of words are common."),
    (50, "Mostly right and readable on text like this; read it through before you use it."),
    (65, "Very good on text like this; look out for names, numbers and what is left out."),
    (math.inf, "Close to the given translations: very good, or the lines resemble those seen in training."),
)
"""Each sentence with the BLEU score up to which it is said."""
EXAMPLES: Final = 5
LEAST_VALIDATIONS: Final = 4


@dataclass(frozen=True)
class Words:
    """The different words and characters of the training text's source side, and its number of lines."""

    words: frozenset[str]
    characters: frozenset[str]
    lines: int


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

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
    seen: Words
    """The training text."""


def quality(outcome: Outcome) -> Iterator[str]:
    """Say how good the translations are, and how sure that is."""
    bleu, chrf, lines = outcome.scores["bleu"], outcome.scores["chrf"], len(outcome.references)
    pairs = zip(outcome.translations, outcome.references, strict=True)
    exact = sum(text.strip() == reference.strip() for text, reference in pairs)
    yield f"BLEU {bleu:.1f}, chrF {chrf:.1f}, both out of 100; {exact:,} of {lines:,} test lines are exactly as given."
    yield next(text for limit, text in BANDS if bleu < limit)
    yield (
        f"This is measured on {lines:,} lines held out of your own corpus, none of which was in training. With so "
        f"many, a difference of less than about {_margin(lines):.1f} BLEU means nothing, and text of another kind will "
        "come out worse. There is one given translation per line, and another may be as good: a rough guide, no more."
    )
    if "tok:13a" not in outcome.scores["bleu_signature"]:
        yield "For this language BLEU does not count words between blanks, so it does not compare with that of others."


def faults(outcome: Outcome) -> Iterator[str]:
    """Say what goes wrong, as far as counting shows it."""
    lines = len(outcome.references)
    ratio = sum(map(len, outcome.translations)) / max(sum(map(len, outcome.references)), 1)
    if ratio < 0.9:
        yield (
            f"Translations are {100 * (1 - ratio):.0f} % shorter than the given ones: parts are left out. Search with "
            "`--length-penalty 1.3`, or train longer."
        )
    elif ratio > 1.1:
        yield f"Translations are {100 * (ratio - 1):.0f} % longer than the given ones: words are repeated or made up."
    statuses = outcome.scores.get("statuses", {})
    if failed := statuses.get("failed", 0):
        yield (
            f"{failed:,} of {lines:,} translations look wrong, at a second try too; `nmt translate --status` marks "
            "such lines."
        )
    if cut := statuses.get("split", 0):
        yield f"{cut:,} of {lines:,} lines are longer than the model reads at once, and were translated in pieces."
    empty = sum(not text.strip() for text in outcome.translations)
    if empty:
        yield f"{empty:,} of {lines:,} translations are empty."
    loops = sum(map(_loops, outcome.translations))
    if loops:
        yield f"{loops:,} of {lines:,} translations repeat themselves; more training or more data is the cure."
    sames = zip(outcome.sources, outcome.translations, outcome.references, strict=True)
    copied = sum(source == text != reference for source, text, reference in sames)
    if copied > lines // 50:
        yield f"{copied:,} of {lines:,} lines came back as they were; see that no untranslated lines are in the corpus."


def coverage(outcome: Outcome) -> Iterator[str]:
    """Say what the test lines hold that training did not."""
    strange = {character for line in outcome.sources for character in line} - outcome.seen.characters
    if strange:
        shown = " ".join(sorted(strange)[:10])
        yield f"Characters in the test lines that training never had, and that the model cannot read: {shown}"
    words = [word for line in outcome.sources for word in _words(line)]
    share = sum(word not in outcome.seen.words for word in words) / max(len(words), 1)
    if share >= 0.02:
        yield (
            f"{100 * share:.0f} % of the words in the test lines are not in the training text. The model puts them "
            "together from parts, often wrongly; more text with such words helps most."
        )


def training_curve(outcome: Outcome) -> Iterator[str]:
    """Say what the validations tell about longer training and about overfitting."""
    if len(outcome.curve) >= LEAST_VALIDATIONS:
        yield _course(outcome)
    minutes, epochs = outcome.training.get("max_minutes"), outcome.training["epochs"]
    last = outcome.curve[-1] if outcome.curve else None
    if minutes and last and last["seconds"] >= 58 * minutes and last["epoch"] < epochs:
        yield f"Time ran out in epoch {last['epoch']} of {epochs}; `--minutes {2 * minutes:g}` gives it twice as long."


def _course(outcome: Outcome) -> str:
    """Say whether validation was still improving, had stopped to, or got worse."""
    metric, rows = outcome.training["early_stopping_metric"], outcome.curve
    values = [row[metric] if metric == "bleu" else -row[metric] for row in rows]
    best, ahead = values.index(max(values)), max(1, len(rows) // 5)
    gain = max(values) - max(values[:-ahead])
    losses = [row["loss"] for row in rows]
    lowest = min(losses)
    if losses[-1] > lowest * 1.03 and best < len(rows) - ahead:
        return (
            f"The validation loss rose again, from {lowest:.2f} to {losses[-1]:.2f}, and the best model came before "
            "the end: it has begun to learn lines by heart. More data is best; else stronger dropout "
            f"(`--set model.dropout={_stronger(outcome):.2f}`) or a smaller network."
        )
    if gain > (0.3 if metric == "bleu" else 0.01):
        return (
            "It was still getting better when training ended. Some of that is the learning rate coming down at the "
            "end, as planned, but more epochs and minutes are worth a try."
        )
    return "Validation had stopped improving: longer training alone will not help much."


def size(outcome: Outcome) -> Iterator[str]:
    """Say what more data would do."""
    lines = outcome.seen.lines
    if lines < 200_000:
        yield (
            f"There were {lines:,} training pairs. As a rule of thumb, each doubling of the data adds a few BLEU "
            "points at this size, if it is of the same kind and as clean. To see what it does for you, train on half "
            "of yours and compare."
        )
    else:
        yield (
            f"There were {lines:,} training pairs. Each further doubling adds less than the one before, often a point "
            "or two; cleaner data, or more of exactly the kind you want to translate, may add more."
        )


def explanation(outcome: Outcome) -> str:
    """Put everything that there is to say into a text."""
    parts = [
        ("How good it is", quality(outcome)),
        ("What goes wrong", (*faults(outcome), *coverage(outcome))),
        ("What would help", (*training_curve(outcome), *size(outcome))),
    ]
    text = []
    for title, sentences in parts:
        found = list(sentences) or ["Nothing that counting would show."]
        text.append(f"\n{title}")
        text += [_filled(line) for line in found]
    text.append("\nSome test lines")
    for index in _examples(outcome):
        text += [
            f"  source       {outcome.sources[index]}",
            f"  translation  {outcome.translations[index]}",
            f"  as given     {outcome.references[index]}",
            "",
        ]
    return "\n".join(text).strip()


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


def read_outcome(folder: Path, translation: Path) -> Outcome:
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
    tests = [row for row in rows if row.get("test") == "test"]
    if not tests:
        raise ValueError(f"{model / 'scores.jsonl'}: expected scores of the test set, got none")
    curve = [row for row in rows if row.get("kind") == "validation"]
    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    training = settings["training"] | {"dropout": settings["model"]["dropout"]}
    return Outcome(sources, references, translations, tests[-1], curve, training, _seen(data))


def _stronger(outcome: Outcome) -> float:
    return min(float(outcome.training["dropout"]) + 0.1, 0.6)


def _seen(data: Path) -> Words:
    words, characters, lines = set[str](), set[str](), 0
    for line in read_lines(data / "train.src.gz"):
        lines += 1
        words.update(_words(line))
        characters.update(line)
    return Words(frozenset(words), frozenset(characters), lines)


def _words(line: str) -> list[str]:
    return [word for part in line.casefold().split() if (word := part.strip(".,;:!?\"'()[]«»„“”‚‘’…-"))]


def _margin(lines: int) -> float:
    """About two standard errors of BLEU on test lines of common length; 1 point for 2,000 lines."""
    return 45 / math.sqrt(max(lines, 1))


def _loops(text: str) -> bool:
    """Whether the same one to four words come four times in a row."""
    words = text.split()
    return any(
        words[start : start + width] * 4 == words[start : start + 4 * width]
        for width in range(1, 5)
        for start in range(len(words) - 4 * width + 1)
    )


def _examples(outcome: Outcome) -> list[int]:
    """Numbers of some lines, evenly spread over the test set, neither the shortest nor the longest."""
    order = sorted(range(len(outcome.sources)), key=lambda index: (len(outcome.sources[index]), index))
    middle = sorted(order[len(order) // 4 : len(order) - len(order) // 10])
    return middle[:: max(1, len(middle) // EXAMPLES)][:EXAMPLES]


def main() -> None:
    """Explain the run that the command line names."""
    try:
        print(explanation(read_outcome(Path(sys.argv[1]), Path(sys.argv[2]))))
    except OSError as error:
        sys.exit(f"explain: error: {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"explain: error: {error}")


if __name__ == "__main__":
    main()
