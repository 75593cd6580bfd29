"""What in a text is kept to the letter: placeholders, addresses, quantities, file names, identifiers, emoji."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from nmt.text.patterns import ANY, KEPT
from nmt.text.segments import Kind, Segment, Tag, joined


@dataclass(frozen=True)
class Kept(Tag):
    """Text that is kept to the letter, `markup`; in the translation it is text again."""


_CLOSERS: Final = {")": "(", "]": "[", "}": "{"}


def with_kept(segment: Sequence[str | Tag], keys: Iterator[int] | None = None) -> Segment:
    """Find what in the text of a segment is kept to the letter.

    Args:
        segment: Text and tags.
        keys: Keys that no tag of the segment has; None for negative ones.

    Returns:
        The same with `Kept` for all that is kept: as words, as pictures that stand alone, or, where the text is marked
        up (`<0>this</0>`), as pairs of tags.
    """
    numbers = count(-1, -1) if keys is None else keys
    return joined(
        piece
        for part in segment
        for piece in ([part] if isinstance(part, Tag) or not ANY.search(part) else _kept_in(part, numbers))
    )


def _kept_in(text: str, keys: Iterator[int]) -> list[str | Tag]:
    """Cut a text around what is kept."""
    found: list[str | Tag] = []
    opened: list[tuple[str, int]] = []  # names of tags that are open, and their places in what is found
    names: Counter[str] = Counter()  # of those
    done = 0
    for match in KEPT.finditer(text):
        start, end = match.span()
        if match["word"] is not None:
            end = start + len(_without_the_sentence_s(match[0]))
            tag = Kept(Kind.WORD, next(keys), text[start:end])
        else:
            tag = Kept(Kind.ALONE, next(keys), match[0])
        found += [text[done:start], tag]
        done = end
        if match["name"] is not None and not match["empty"]:
            _pair(found, opened, names, match["name"], ends=bool(match["end"]))
    return [*found, text[done:]]


def _pair(found: list[str | Tag], opened: list[tuple[str, int]], names: Counter[str], name: str, *, ends: bool) -> None:
    """Make a pair of the tag that was found last and the one that opened, if it is one that closes."""
    if not ends:
        opened.append((name, len(found) - 1))
        names[name] += 1
    elif names[name]:
        inner = ""
        while inner != name:
            inner, place = opened.pop()
            names[inner] -= 1
        first, last = found[place], found[-1]
        assert isinstance(first, Kept)
        assert isinstance(last, Kept)
        found[place] = Kept(Kind.OPEN, first.key, first.markup)
        found[-1] = Kept(Kind.CLOSE, first.key, last.markup)


def _without_the_sentence_s(word: str) -> str:
    """Return an address without the punctuation of the sentence in which it stands."""
    if "://" not in word and not word.startswith(("www.", "mailto:", "tel:")) and word[1:3] != ":\\":
        return word
    end, counts = len(word), Counter(letter for letter in word if letter in "()[]{}")
    while end and (
        word[end - 1] in ".,;:!?'\"»”’*"
        or (word[end - 1] in _CLOSERS and counts[_CLOSERS[word[end - 1]]] < counts[word[end - 1]])
    ):
        end -= 1
        counts[word[end]] -= 1
    return word[:end]


def as_text(segment: Sequence[str | Tag]) -> Segment:
    """Make text again of what was kept."""
    return joined(part.markup if isinstance(part, Kept) else part for part in segment)
