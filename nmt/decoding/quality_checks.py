"""Does a translation look wrong? Loops and dropped content, told from ids, attention and the model's own score.

Every check counts suspect subwords of the target or the source; 0 says that there are none. The thresholds were chosen
on validation text (`benchmarks/quality_checks.py`), so that few right translations are flagged: numbers German to
English, two models; captions English to German; everyday sentences German to English and Japanese to English.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Sequence
from typing import Final

LONGEST_PERIOD: Final = 16
"""Loops of up to this many subwords are found; what people meet is rarely longer than a clause."""
EXTRA_REPETITION: Final = 3
"""Subwords that may repeat those just before them, beyond what the source does. "Die, die" or a spelt-out number is
normal; "a a a a a", "a b a b a b" and "a b c d a b c d" are not."""
WORDLESS_REPETITION: Final = 15
"""The same where digits and punctuation count as well: more than a number has."""
NGRAM: Final = 4
"""Length of the n-grams counted wherever they stand."""
EXTRA_OCCURRENCES: Final = 2
"""Times that a 4-gram may occur beyond the commonest pair of subwords in the source."""
COVERED: Final = 0.15
"""Attention that a source subword receives from the whole translation, below which it is not covered. In a translation
that is complete, only 1 subword in 100 is below: function words without a counterpart."""
UNCOVERED_COUNT: Final = 5
"""Uncovered subwords that are needed for an alarm: fewer are often an idiom."""
UNCOVERED_SHARE: Final = 0.5
"""Share of the source that they must be. Of the captions hardly one complete translation in a thousand has a quarter of
its source uncovered, but nearly half of those from Japanese, where many subwords have no counterpart."""
SURE: Final = -0.3
"""Log-probability per subword from which nothing was dropped, whatever attention says: a model that leaves something
out is not sure of how it goes on. Where numbers are spelt digit by digit, attention passes over many of them."""
SHORT: Final = 0.3
"""Target per source subwords below which a translation is too short, whatever attention says. Complete ones had 0.4 and
more; between unlike scripts the usual ratio lies between 0.6 and 1.7."""
SHORT_SOURCE: Final = 10
"""Source subwords from which this ratio means something."""

Ids = Sequence[int]


def count_repeated(source: Ids, target: Ids, wordless: Container[int] = ()) -> int:
    """Count target subwords in loops: repetition at once, or of an n-gram again and again, beyond the source's own.

    Args:
        source: Ids of the source, S without eos.
        target: Ids of the translation, T without eos.
        wordless: Target ids without a letter: `1,000,000` is no loop.

    Returns:
        0 for a translation that looks right.
    """
    if len(set(itertools.pairwise(target))) >= len(target) - 1:
        return 0  # no pair of subwords comes twice: the commonest case, and the cheapest to see
    words = [index for index in target if index not in wordless]
    at_once = _repetition(words)
    if at_once > EXTRA_REPETITION and at_once > _repetition(source) + EXTRA_REPETITION:
        return at_once
    often = _commonest(words, NGRAM)
    # A source subword may become several target subwords: a repeated pair of the source may become a longer n-gram.
    if often > EXTRA_OCCURRENCES and often > max(1, _commonest(source, 2)) + EXTRA_OCCURRENCES - 1:
        return often * NGRAM
    if len(words) == len(target):
        return 0
    at_once = _repetition(target)
    return at_once if at_once > WORDLESS_REPETITION + _repetition(source) else 0


def count_dropped(source: Ids, target: Ids, uncovered: int, log_probability: float) -> int:
    """Count source subwords that seem to be left out.

    Args:
        source: Ids of the source, S without eos.
        target: Ids of the translation, T without eos.
        uncovered: Source subwords that receive less than `COVERED` of attention from the target's T.
        log_probability: Natural logarithm of the translation's probability, eos included.

    Returns:
        0 for a translation that looks right.
    """
    if log_probability >= SURE * (len(target) + 1):
        return 0
    if not target:
        return len(source)
    if len(source) >= SHORT_SOURCE and len(target) < SHORT * len(source):
        return len(source) - len(target)
    return uncovered if uncovered >= max(UNCOVERED_COUNT, UNCOVERED_SHARE * len(source)) else 0


def _repetition(ids: Ids) -> int:
    """Longest stretch in which every subword equals the one a period before it, for the worst period."""
    worst = 0
    for period in range(1, min(LONGEST_PERIOD, len(ids) // 2) + 1):
        stretch = 0
        for before, here in zip(ids, ids[period:], strict=False):
            stretch = stretch + 1 if before == here else 0
            # A stretch shorter than the period is no loop, but a phrase that two neighbours share.
            if stretch > worst and stretch >= period:
                worst = stretch
    return worst


def _commonest(ids: Ids, size: int) -> int:
    """How often the commonest n-gram of this size occurs."""
    grams = Counter(tuple(ids[start : start + size]) for start in range(len(ids) - size + 1))
    return max(grams.values(), default=0)
