"""A length penalty for a model whose translations are too short or too long: tried on the validation text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from outcome import Outcome

from nmt.data.text import read_pairs
from nmt.decoding.translator import Translator
from nmt.evaluation.paired import compare

LINES: Final = 300
STEPS: Final = (0.3, 0.6)
UNLIKELY: Final = 0.05


@dataclass(frozen=True)
class Better:
    """A penalty that gives a better BLEU, more than chance would explain."""

    penalty: float
    before: float
    """BLEU with the model's own penalty, 0 to 100."""
    bleu: float


def better_penalty(outcome: Outcome, *, shorter: bool) -> Better | None:
    """Try a model's search with other penalties.

    Args:
        outcome: The run.
        shorter: Whether translations are too short, so that long ones are to be favoured; else the other way.

    Returns:
        The best, if it is better at all.
    """
    data = outcome.folder / "data"
    pairs = list(islice(read_pairs(data / "valid.src.gz", data / "valid.tgt.gz"), LINES))
    sources, references = (list(side) for side in zip(*pairs, strict=True))
    translator = Translator.load(outcome.folder / "model", threads=outcome.training.get("threads"))
    language, own = translator.config.data.target_language, translator.config.decoding.length_penalty
    if outcome.to:
        language, translator = outcome.to, translator.to(outcome.to)
    before = translator.translate(sources)
    best: Better | None = None
    for step in STEPS:
        penalty = round(min(max(own + (step if shorter else -step), 0.0), 5.0), 2)
        found, _ = compare(before, translator.translate(sources, length_penalty=penalty), references, language)
        certain = found.delta > 0 and found.p_value is not None and found.p_value < UNLIKELY
        if certain and (best is None or found.b > best.bleu):
            best = Better(penalty, found.a, found.b)
    return best
