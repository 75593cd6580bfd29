"""Whether one system is better than another, or only luckier: sacreBLEU's paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest, Result

from nmt.evaluation.scores import EvaluationError, tokenizer

SAMPLES: Final = 1000
"""Test sets drawn from the test set, with replacement."""
_UNLIKELY: Final = 0.05
LEAST_LINES: Final = 100
"""Lines of a test set below which nothing is said: samples of so few are much alike."""
LEAST_CHANGED: Final = 20
"""The same for lines in which the systems differ: whatever they say, it hangs on them alone."""


@dataclass(frozen=True)
class Difference:
    """Two systems by one metric."""

    metric: str
    """BLEU or chrF2."""
    signature: str
    """sacreBLEU's, with the number of samples and the seed."""
    a: float
    """Score of system A, 0 to 100."""
    b: float
    """Score of system B."""
    p_value: float | None
    """How often chance alone would give such a difference, either way; None if both say the same."""
    changed: int
    """Lines in which they differ."""

    @property
    def delta(self) -> float:
        """How much better B is, in points."""
        return self.b - self.a


def compare(
    a: Sequence[str],
    b: Sequence[str],
    references: Sequence[str],
    target_language: str | None = None,
    samples: int = SAMPLES,
) -> tuple[Difference, Difference]:
    """Compare two systems on a test set by BLEU and chrF.

    The seed is fixed, so the same texts give the same numbers. Memory grows with samples x lines: 0.1 kB for each.

    Args:
        a: Translations of system A, detokenised.
        b: Those of system B.
        references: What they should say, line by line.
        target_language: As for `nmt.evaluation.score`.
        samples: Test sets to draw.

    Returns:
        The differences in BLEU and in chrF.

    Raises:
        EvaluationError: There is nothing to score, or the numbers of lines differ.

    Source:
        Koehn 2004 (the paired bootstrap); Post 2018 (sacreBLEU).
    """
    for name, lines in (("A", a), ("B", b)):
        if len(lines) != len(references):
            raise EvaluationError(
                f"expected {len(references)} translations of system {name}, one for each reference, got {len(lines)}"
            )
    if not references:
        raise EvaluationError("expected lines to score, got none")
    test = PairedTest(
        [("A", list(a)), ("B", list(b))],
        {"BLEU": BLEU(tokenize=tokenizer(target_language, references)), "chrF": CHRF()},
        [list(references)],
        test_type="bs",
        n_samples=samples,
    )
    signatures, scores = test()
    changed = sum(one != other for one, other in zip(a, b, strict=True))
    bleu, chrf = (_difference(name, str(signatures[name]), scores[name], changed) for name in signatures)
    return bleu, chrf


def verdict(difference: Difference, lines: int) -> str:
    """Say in words what a difference means.

    Args:
        difference: By one metric.
        lines: Number of lines of the test set.

    Returns:
        One sentence, without the full stop.
    """
    name = difference.metric
    if difference.p_value is None:
        return f"{name}: A and B say the same"
    if lines < LEAST_LINES:
        return f"{name}: no verdict on {lines} line{'s' * (lines > 1)}, {LEAST_LINES} are needed"
    if difference.changed < LEAST_CHANGED:
        return (
            f"{name}: no verdict, A and B differ in {difference.changed} line{'s' * (difference.changed > 1)} alone, "
            f"{LEAST_CHANGED} are needed"
        )
    if difference.p_value >= _UNLIKELY or difference.delta == 0:
        return f"{name}: no difference that this test set can show, p = {difference.p_value:.3f}"
    better = "B" if difference.delta > 0 else "A"
    how = f"{abs(difference.delta):.2f}, p = {difference.p_value:.3f}: unlikely to be chance"
    return f"{name}: {better} is better by {how}"


def sentence_scores(translations: Sequence[str], references: Sequence[str]) -> list[float]:
    """Score each line by itself: chrF, 0 to 100."""
    metric = CHRF()
    return [
        float(metric.sentence_score(translation, [reference]).score)
        for translation, reference in zip(translations, references, strict=True)
    ]


def _difference(name: str, signature: str, results: Sequence[str | Result], changed: int) -> Difference:
    first, second = results
    if isinstance(first, str) or isinstance(second, str):  # sacreBLEU's type allows for the names of the systems
        raise TypeError("expected results")
    # sacreBLEU calls a difference of nothing significant: that the same texts have the same score is no chance.
    p_value = None if not changed or second.p_value is None else float(second.p_value)
    return Difference(name, signature, float(first.score), float(second.score), p_value, changed)
