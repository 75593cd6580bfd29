"""Which sentences of two texts that are translations belong together."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from typing import Final

from nmt.data.sentences import split_sentences

_NUMBER = re.compile(r"\d+(?:[.,:’'\u00a0\u202f]\d+)*")
_QUESTION: Final = frozenset("?？؟፧⁇")
_VARIANCE: Final = 6.8
"""Of the length of a translation, in characters, per character of its source."""
_FARTHEST: Final = 2.0
"""Standard deviations by which the length of a sentence may differ from what the texts' lengths lead to expect."""


def parallel_sentences(source: str, target: str) -> list[tuple[str, str]]:
    """Cut two texts into sentences that belong together.

    Args:
        source: A text of several sentences.
        target: Its translation.

    Returns:
        The sentences, two by two: as many as either side has. None if there is only one, if their numbers differ, or if
        any two that stand in the same place disagree: in length, seen how the lengths of the texts compare; in whether
        they are questions; or in the numbers that both texts hold.

    Source: Gale and Church 1993 (lengths).
    """
    sources, targets = split_sentences(source), split_sentences(target)
    if len(sources) != len(targets) or len(sources) < 2:
        return []
    pairs = list(zip(sources, targets, strict=True))
    numbers = [(_numbers(left), _numbers(right)) for left, right in pairs]
    shared = sum((left for left, _ in numbers), Counter[str]()) & sum((right for _, right in numbers), Counter[str]())
    ratio = _length(target) / max(1, _length(source))
    agree = all(
        _agree(left, right, ratio) and all(here[0][number] == here[1][number] for number in shared)
        for (left, right), here in zip(pairs, numbers, strict=True)
    )
    return pairs if agree else []


def _agree(source: str, target: str, ratio: float) -> bool:
    """Whether two sentences are both questions or both none, and of lengths that fit."""
    if (_last_mark(source) in _QUESTION) != (_last_mark(target) in _QUESTION):
        return False
    lengths = _length(source), _length(target)
    expected = (lengths[0] + lengths[1] / max(ratio, 1e-9)) / 2  # of the source, as far as both sides tell
    deviation = (lengths[1] - lengths[0] * ratio) / math.sqrt(max(1.0, expected) * _VARIANCE * max(ratio, 1e-9))
    return abs(deviation) <= _FARTHEST


def _length(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _last_mark(sentence: str) -> str:
    """The punctuation that ends a sentence, without quotes and brackets behind it."""
    for character in reversed(sentence.rstrip()):
        if unicodedata.category(character) not in ("Pf", "Pi", "Pe") and character not in "\"'":
            return character
    return ""


def _numbers(text: str) -> Counter[str]:
    """The numbers of a text, however their digits are grouped."""
    found = (re.sub(r"\D", "", number) for number in _NUMBER.findall(text))
    return Counter("".join(str(unicodedata.digit(digit, digit)) for digit in number) for number in found)
