"""Say in plain words how good a model is, and what would make it better.

Run as `python recipes/your-pair/explain.py FOLDER TRANSLATION COMMAND...`: FOLDER is the recipe's, with data/ and
model/ in it, TRANSLATION the translation of data/test.src.gz, and COMMAND is the recipe's, without the folder.

Nothing is said that this run does not show: every number is counted or measured here, and every piece of advice is a
command that can be pasted as it stands, but for `FILE`, which the user has.
"""

from __future__ import annotations

import math
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

from more_text import PAIRS
from outcome import Outcome, read_outcome
from penalty import better_penalty
from sacrebleu.metrics.bleu import BLEU

EXAMPLES: Final = (0.9, 0.7, 0.5, 0.3, 0.1)
"""Which test lines are shown: each with the share of lines that are worse."""
NEARLY: Final = 80.0
"""ChrF from which on a line is nearly as given."""
LEAST_VALIDATIONS: Final = 4
MOST_DROPOUT: Final = 0.6
MORE_TEXT: Final = "--target-text"
SPREAD_SAMPLES: Final = 300


def quality(outcome: Outcome) -> Iterator[str]:
    """Say how good the translations are, and how sure that is."""
    bleu, chrf, lines = outcome.scores["bleu"], outcome.scores["chrf"], len(outcome.references)
    pairs = zip(outcome.translations, outcome.references, strict=True)
    exact = sum(text.strip() == reference.strip() for text, reference in pairs)
    nearly = sum(score >= NEARLY for score in outcome.line_scores) - exact
    useless = sum(score <= outcome.chance for score in outcome.line_scores)
    yield f"BLEU {bleu:.1f}, chrF {chrf:.1f}, both out of 100, on {lines:,} lines held out of your own corpus."
    yield (
        f"Of these, {exact:,} are exactly as given, {max(nearly, 0):,} nearly so (chrF {NEARLY:.0f} or more), and "
        f"{useless:,} have no more in common with the given translation than with that of another line. There is one "
        "given translation per line, and another may be as good: judge by the lines below."
    )
    yield (
        f"With so many lines, BLEU is certain to about {_spread(outcome):.1f}: a smaller difference between two models "
        "means nothing. Text of another kind will come out worse."
    )
    if "tok:13a" not in outcome.scores["bleu_signature"]:
        yield "For this language BLEU does not count words between blanks, so it does not compare with that of others."


def faults(outcome: Outcome) -> Iterator[str]:
    """Say what goes wrong, as far as counting shows it."""
    lines, translate = len(outcome.references), _translate(outcome)
    ratio = sum(map(len, outcome.translations)) / max(sum(map(len, outcome.references)), 1)
    if not 0.9 <= ratio <= 1.1:
        said = "shorter than the given ones: parts are left out" if ratio < 1 else "longer than the given ones"
        yield f"Translations are {100 * abs(1 - ratio):.0f} % {said}."
        better = better_penalty(outcome, shorter=ratio < 1)
        if better is not None:
            yield (
                f"On the validation text another length penalty gives BLEU {better.bleu:.1f} instead of "
                f"{better.before:.1f}:\n{translate} --length-penalty {better.penalty:g}"
            )
    statuses = outcome.scores.get("statuses", {})
    if failed := statuses.get("failed", 0):
        source = shlex.quote(str(outcome.folder / "data" / "test.src.gz"))
        yield (
            f"{failed:,} of {lines:,} translations look wrong, at a second try too. To see which:\n"
            f"{translate} --input {source} --status"
        )
    if cut := statuses.get("split", 0):
        yield f"{cut:,} of {lines:,} lines are longer than the model reads at once, and were translated in pieces."
    if empty := sum(not text.strip() for text in outcome.translations):
        yield f"{empty:,} of {lines:,} translations are empty."
    if loops := sum(map(_loops, outcome.translations)):
        yield f"{loops:,} of {lines:,} translations repeat themselves."
    sames = zip(outcome.sources, outcome.translations, outcome.references, strict=True)
    copied = sum(source == text != reference for source, text, reference in sames)
    if copied > lines // 50:
        yield (
            f"{copied:,} of {lines:,} lines came back as they were; {outcome.text.copies:,} of the "
            f"{outcome.text.lines:,} training pairs have two equal sides."
        )


def coverage(outcome: Outcome) -> Iterator[str]:
    """Say what the test lines hold that training did not, and what that costs."""
    if strange := outcome.unreadable():
        yield f"Characters in the test lines that the model cannot read: {' '.join(strange[:10])}"
    new = outcome.with_new_words()
    scores = [
        [score for score, is_new in zip(outcome.line_scores, new, strict=True) if is_new == kind]
        for kind in (True, False)
    ]
    if len(scores[0]) >= len(new) / 20 and scores[1]:
        yield (
            f"{len(scores[0]):,} test lines have a word that the training text has not: their chrF is "
            f"{fmean(scores[0]):.0f} on average, that of the others {fmean(scores[1]):.0f}."
        )


def advice(outcome: Outcome) -> Iterator[str]:
    """Say what would help, as far as this run shows it."""
    if outcome.text.misaligned:
        yield f"Mend the corpus before anything else. In the training text, {outcome.text.misaligned}."
        return
    yield f"There were {outcome.text.lines:,} training pairs."
    if not outcome.curve:
        return
    minutes, last = outcome.training.get("max_minutes"), outcome.curve[-1]
    epochs, taken = outcome.training["epochs"], last["seconds"] / 60
    gaining, rising = _course(outcome)
    if rising:
        yield rising
    elif minutes and taken >= 0.97 * minutes and last["epoch"] < epochs:
        needed = math.ceil(max(taken * epochs / _epochs_done(outcome), minutes + 1))
        yield (
            f"Time ran out in epoch {last['epoch']} of {epochs}. At this run's pace all of them take {needed:,} "
            f"minutes at most; this goes on:\n{_command(outcome, '--minutes', str(needed))}"
        )
    elif gaining:
        longer = ["--set", f"training.epochs={2 * epochs}"] + (
            ["--minutes", str(math.ceil(2.2 * taken))] if minutes else []
        )
        yield (
            "It was still getting better when training ended. Some of that is the learning rate coming down at the "
            f"end, as planned; twice as many epochs show how much:\n{_command(outcome, *longer)}"
        )
    elif len(outcome.curve) >= LEAST_VALIDATIONS:
        yield "Validation had stopped improving: longer training alone will not help."


def more_text(outcome: Outcome) -> Iterator[str]:
    """Say how text of the target language would be learned from, where pairs are few and there was none."""
    if outcome.text.lines < PAIRS and not outcome.text.misaligned and MORE_TEXT not in outcome.again:
        other = outcome.folder.with_name(f"{outcome.folder.name}-more")
        yield (
            "With so few pairs, more text in the target language alone can help much, if it is like the text to be "
            f"translated. Of a FILE with a sentence a line, this learns, too:\n"
            f"{_command(outcome, MORE_TEXT, 'FILE', folder=other)}"
        )


def _course(outcome: Outcome) -> tuple[bool, str]:
    """Tell whether validation was still improving, and what to say if it got worse."""
    metric, rows = outcome.training["early_stopping_metric"], outcome.curve
    if len(rows) < LEAST_VALIDATIONS:
        return False, ""
    values = [row[metric] if metric == "bleu" else -row[metric] for row in rows]
    best, ahead = values.index(max(values)), max(1, len(rows) // 5)
    losses = [row["loss"] for row in rows]
    lowest, gain = min(losses), max(values) - max(values[:-ahead])
    if losses[-1] <= lowest * 1.03 or best >= len(rows) - ahead:
        return gain > (0.3 if metric == "bleu" else 0.01), ""
    text = (
        f"The validation loss rose again, from {lowest:.2f} to {losses[-1]:.2f}, and the best score came before the "
        "end: it had begun to learn lines by heart. Longer training will not help"
    )
    dropout = round(float(outcome.training["dropout"]) + 0.1, 2)
    if dropout > MOST_DROPOUT:
        return False, f"{text}."
    other = outcome.folder.with_name(f"{outcome.folder.name}-dropout-{dropout:g}")
    command = _command(outcome, "--set", f"model.dropout={dropout:g}", folder=other)
    return False, f"{text}; this tries stronger dropout, in another folder:\n{command}"


def _epochs_done(outcome: Outcome) -> float:
    """Epochs that were trained, or somewhat fewer: by the validations, or in the first epoch by the subwords."""
    last = outcome.curve[-1]
    steps = [row["step"] / (row["epoch"] - 1) for row in outcome.curve if row["epoch"] > 1]  # an epoch has no more
    if steps:
        return float(last["step"] / min(steps))
    times = [0.0, *(row["seconds"] for row in outcome.curve)]
    spans = zip(pairwise(times), outcome.curve, strict=True)
    done = sum((end - begin) * row["tokens_per_second"] for (begin, end), row in spans)
    return float(min(0.9 * done / outcome.epoch_tokens, 1.0)) if outcome.epoch_tokens and done else 1.0


def explanation(outcome: Outcome) -> str:
    """Put everything that there is to say into a text."""
    parts = [
        ("How good it is", quality(outcome)),
        ("What goes wrong", (*faults(outcome), *coverage(outcome))),
        ("What would help", (*advice(outcome), *more_text(outcome))),
    ]
    text = []
    for title, sentences in parts:
        found = list(sentences) or ["Nothing that counting would show."]
        text.append(f"\n{title}")
        text += [_laid_out(line) for line in found]
    text.append("\nSome test lines, from good to bad")
    order = sorted(range(len(outcome.sources)), key=lambda index: (outcome.line_scores[index], index))
    for share in EXAMPLES:
        index = order[int(share * len(order))]
        text += [
            f"  better than {100 * share:.0f} % of the lines, chrF {outcome.line_scores[index]:.0f}",
            f"    source       {outcome.sources[index]}",
            f"    translation  {outcome.translations[index]}",
            f"    as given     {outcome.references[index]}",
        ]
    return "\n".join(text).strip()


def _laid_out(text: str) -> str:
    """Fill a sentence; what follows on lines of its own is a command, which stays as it is."""
    sentence, *commands = text.split("\n")
    filled = textwrap.fill(sentence, 100, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join([filled, *(f"      {command}" for command in commands)])


def _translate(outcome: Outcome) -> str:
    language = ["--to", outcome.to] if outcome.to else []
    return shlex.join([shutil.which("nmt") or "nmt", "translate", str(outcome.folder / "model"), *language])


def _command(outcome: Outcome, *options: str, folder: Path | None = None) -> str:
    return shlex.join([*outcome.again, "--folder", str(folder or outcome.folder), *options])


def _spread(outcome: Outcome) -> float:
    """Half of the interval in which BLEU lies in 19 of 20 test sets drawn from this one."""
    tokens = next(part[4:] for part in outcome.scores["bleu_signature"].split("|") if part.startswith("tok:"))
    metric = BLEU(tokenize=tokens)
    found = metric.corpus_score(outcome.translations, [outcome.references], n_bootstrap=SPREAD_SAMPLES)
    return float(found._ci)


def _loops(text: str) -> bool:
    """Whether the same one to four words come four times in a row."""
    words = text.split()
    return any(
        words[start : start + width] * 4 == words[start : start + 4 * width]
        for width in range(1, 5)
        for start in range(len(words) - 4 * width + 1)
    )


def main() -> None:
    """Explain the run that the command line names."""
    folder, translation, *again = sys.argv[1:]
    try:
        print(explanation(read_outcome(Path(folder), Path(translation), again)))
    except OSError as error:
        sys.exit(f"explain: error: {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"explain: error: {error}")


if __name__ == "__main__":
    main()
