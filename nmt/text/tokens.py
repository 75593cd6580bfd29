"""The words of a line, what is punctuation in them, and the places between."""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from nmt.text.segments import Tag

_WORD = re.compile(r"\S+")
PARTS: Final = 4  # of a token: what opens before its core, the core, what closes behind it, the space that follows
BEFORE, CORE, BEHIND, AFTER = range(PARTS)
"""Places of a token: before all of it, before its core, behind its core, and behind all of it. A slot is such a place
in a line: token * PARTS + place."""

_AROUND: Final = 200  # tokens
_GAP: Final = 50  # tokens


@dataclass(frozen=True)
class Token:
    """A word, with the punctuation that stands at it."""

    lead: str
    """Punctuation that opens, such as a bracket."""
    core: str | Tag
    """The word itself; all of it if it is punctuation only."""
    trail: str
    """Punctuation that closes, such as a full stop."""
    link: int | None = None
    """Of a translation, the source word that it comes from."""
    space: str = " "
    """What stands between it and the next one."""

    def part(self, place: int) -> str | Tag:
        """Return the part behind a place; the space for the last one."""
        return (self.lead, self.core, self.trail, self.space)[place]


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end, as `str.split` finds them."""
    return [match.span() for match in _WORD.finditer(text)]


def covered(words: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the range of words of which some characters are within a range; both are ranges of characters."""
    first = bisect_right(words, start, key=lambda word: word[1])
    return first, max(first, bisect_left(words, end, key=lambda word: word[0]))


def core_of(word: str) -> tuple[int, int]:
    """Return where the core of a word begins and ends: what is left without the punctuation at its ends."""
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return (start, end) if start < end else (0, len(word))


def token_of(word: str, link: int | None = None) -> Token:
    """Make a token of a word."""
    start, end = core_of(word)
    return Token(word[:start], word[start:end], word[end:], link)


def tokens_of(text: str, links: Sequence[tuple[int, int]]) -> list[Token]:
    """Make tokens of a translation.

    Args:
        text: The translation.
        links: (source word, word of the translation); of several of a word, the first counts.
    """
    source = {target: word for word, target in reversed(links)}
    return [token_of(word, source.get(number)) for number, word in enumerate(text.split())]


def places_of(tokens: Sequence[Token]) -> dict[int, list[int]]:
    """Return, for source words from which something comes, the places of these tokens."""
    found: dict[int, list[int]] = {}
    for place, token in enumerate(tokens):
        if token.link is not None:
            found.setdefault(token.link, []).append(place)
    return found


def densest(own: Sequence[int], links: Sequence[int | None], is_free: Callable[[int], bool]) -> tuple[int, int] | None:
    """Find where most tokens of a kind are, and few others, without a gap.

    Args:
        own: Places of tokens of the kind, in order.
        links: The source word of each token of the translation; tokens without one cost nothing.
        is_free: Whether a place may be taken; what is found holds no others.

    Returns:
        The range, or None if no place is free. It holds no gap that is wider than any that people write.
    """
    best, found = 0, None
    total, begun, before = 0, 0, 0
    for place in own:
        if not is_free(place):
            total = 0
            continue
        if total and place - before > _GAP:
            total = 0
        for between in range(before + 1, place) if total else ():
            total = total - (links[between] is not None) if is_free(between) else 0
            if total <= 0:
                total = 0
                break
        begun = begun if total else place
        total += 1
        before = place
        if total > best:
            best, found = total, (begun, place + 1)
    return found


def boundary(links: Sequence[int | None], word: int, words: int) -> int:
    """Find where to cut a translation so that what comes from the words before one stands before the cut.

    Args:
        links: The source word of each token of the translation.
        word: The source word.
        words: How many there are.

    Returns:
        The number of tokens before the cut. Of a long line, only the tokens around its share of the text are looked at.
    """
    expected = len(links) * word / max(1, words)
    first, last = max(0, int(expected) - _AROUND), min(len(links), int(expected) + _AROUND)
    near = links[first:last]
    costs = list(itertools.accumulate((0 if link is None else 1 if link >= word else -1 for link in near), initial=0))
    beside = [(before == word - 1) + (behind == word) for before, behind in pairwise([None, *near, None])]
    places = range(len(costs))
    return first + min(places, key=lambda place: (costs[place], -beside[place], abs(first + place - expected)))


def is_punctuation(text: str) -> bool:
    """Whether a text is nothing but punctuation, if anything."""
    return all(map(_is_punctuation, text))


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
