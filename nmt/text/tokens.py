"""The words of a line, what is punctuation in them, and the places between."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nmt.text.segments import Tag

_WORD = re.compile(r"\S+")
PARTS: Final = 4  # of a token: what opens before its core, the core, what closes behind it, the space that follows
BEFORE, CORE, BEHIND, AFTER = range(PARTS)
"""Places of a token: before all of it, before its core, behind its core, and behind all of it. A slot is such a place
in a line: token * PARTS + place."""


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


def boundary(tokens: Sequence[Token], word: int, words: int) -> int:
    """Find where to cut a translation so that what comes from the words before one stands before the cut.

    Args:
        tokens: The translation.
        word: The source word.
        words: How many there are.

    Returns:
        The number of tokens before the cut.
    """
    count = len(tokens)
    links = [token.link for token in tokens]
    costs = list(
        itertools.accumulate(
            (0 if link is None else 1 if link >= word else -1 for link in links),
            initial=sum(link is not None and link < word for link in links),
        )
    )
    beside = [
        (place > 0 and links[place - 1] == word - 1) + (place < count and links[place] == word)
        for place in range(count + 1)
    ]
    expected = count * word / max(1, words)
    return min(range(count + 1), key=lambda place: (costs[place], -beside[place], abs(place - expected)))


def is_punctuation(text: str) -> bool:
    """Whether a text is nothing but punctuation, if anything."""
    return all(map(_is_punctuation, text))


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
