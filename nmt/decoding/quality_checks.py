"""Does a translation look wrong? Loops and dropped content, told from ids and attention alone.

Every check counts suspect subwords of the target or the source; 0 says that there are none. The thresholds were chosen
on English to German captions (a recurrent model of 3M parameters, 2,000 test sentences, the commonest kind of text that
looks repetitive without being wrong) so that at most a few translations in a thousand are flagged, and few of the human
ones. They are wide on purpose: a false alarm costs a second search, and a suspect translation is only replaced by one
that is not.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST_PERIOD: Final = 16
"""Loops of up to this many subwords are found; what people meet is rarely longer than a clause."""
EXTRA_REPETITION: Final = 3
"""Subwords that may repeat those just before them, beyond what the source does. "Die, die" or a spelt-out number is
normal; "a a a a a", "a b a b a b" and "a b c d a b c d" are not."""
NGRAM: Final = 4
"""Length of the n-grams counted wherever they stand."""
EXTRA_OCCURRENCES: Final = 2
"""Times that a 4-gram may occur beyond the commonest pair of subwords in the source."""
COVERED: Final = 0.15
"""Attention that a source subword receives from the whole translation, below which it is not covered. In a translation
that is complete, only 1 subword in 100 is below: function words without a counterpart."""
UNCOVERED_COUNT: Final = 5
"""Uncovered subwords that are needed for an alarm: fewer are often an idiom."""
UNCOVERED_SHARE: Final = 0.25
"""Share of the source that they must be. Of complete translations 3 in 1,000 pass both, of translations that lack one
of two sentences 6 in 10."""
SHORT: Final = 0.3
"""Target per source subwords below which a translation is too short, whatever attention says. Complete ones had 0.4 and
more; between unlike scripts the usual ratio lies between 0.6 and 1.7."""
SHORT_SOURCE: Final = 10
"""Source subwords from which this ratio means something."""

Ids = Sequence[int]


def count_suspect(source: Ids, target: Ids, attention: NDArray[np.float32]) -> int:
    """Count the subwords of a translation that look wrong.

    Args:
        source: Ids of the source, S without eos.
        target: Ids of the translation, T without eos.
        attention: Weights [T + 1, S + 1], both with eos at their end.

    Returns:
        0 for a translation that looks right; of two wrong ones, the lower is the better.
    """
    return count_repeated(source, target) + count_dropped(source, target, attention)


def count_repeated(source: Ids, target: Ids) -> int:
    """Count target subwords in loops: repetition at once, or of an n-gram again and again, beyond the source's own."""
    if len(set(itertools.pairwise(target))) >= len(target) - 1:
        return 0  # no pair of subwords comes twice: the commonest case, and the cheapest to see
    at_once = _repetition(target)
    if at_once > EXTRA_REPETITION and at_once > _repetition(source) + EXTRA_REPETITION:
        return at_once
    often = _commonest(target, NGRAM)
    # A source subword may become several target subwords: a repeated pair of the source may become a longer n-gram.
    if often > EXTRA_OCCURRENCES and often > max(1, _commonest(source, 2)) + EXTRA_OCCURRENCES - 1:
        return often * NGRAM
    return 0


def count_dropped(source: Ids, target: Ids, attention: NDArray[np.float32]) -> int:
    """Count source subwords that seem to be left out (see `count_suspect` for the arguments)."""
    if not target:
        return len(source)
    if len(source) >= SHORT_SOURCE and len(target) < SHORT * len(source):
        return len(source) - len(target)
    # The step that writes eos is left out: it looks at what is still to be said.
    mass = attention[:-1, :-1].sum(axis=0)  # [S]
    uncovered = int((mass < COVERED).sum())
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
