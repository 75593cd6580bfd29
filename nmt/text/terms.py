"""Terms of a glossary in a translation: where the model said something else, they take its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from nmt.text.tokens import Token, boundary, token_of

_ENDINGS: Final = 3  # letters that an inflected form may have more
_SMALL: Final = 3  # letters that an article or a preposition has


@dataclass(frozen=True)
class Wanted:
    """A term that a translation is to hold."""

    name: str
    """It, as the glossary writes it."""
    target: str
    """Its translation."""
    words: tuple[int, int]
    """The range of source words that it covers."""
    exact: bool = False
    """Whether it is to be there to the letter, as what is not translated is."""


def with_terms(tokens: Sequence[Token], wanted: Sequence[Wanted], words: int) -> list[Token]:
    """Put terms into a translation that it does not hold.

    A term takes the place of what comes of its source words; if nothing does, it is put in between what comes of their
    neighbours. One that is there already, if with another ending, stays as the model has inflected it.

    Args:
        tokens: The translation.
        wanted: The terms, each once for every time that it is in the source.
        words: How many words the source has.

    Returns:
        The translation with all of them.
    """
    found = list(tokens)
    taken: set[int] = set()
    left = []
    for term in wanted:  # those that are there keep their place, whatever the others take
        place = _held_at(found, term, taken)
        if place is None:
            left.append(term)
        else:
            taken |= set(place)
    for term in left:
        start, end = _span(found, term, taken)
        if start == end:
            start = end = _free(boundary(found, term.words[0], words), taken)
        new = _written(term, found[start:end], begins=start == 0)
        found[start:end] = new
        shift = len(new) - (end - start)
        taken = {place if place < end else place + shift for place in taken} | set(range(start, start + len(new)))
    return found


def missing(text: str, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Return the names of the terms that are not in a text, each as often as it is missing."""
    tokens = [token_of(word) for word in text.split()]
    taken: set[int] = set()
    names = []
    for term in wanted:
        place = _held_at(tokens, term, taken)
        if place is None:
            names.append(term.name)
        else:
            taken |= set(place)
    return tuple(names)


def _held_at(tokens: Sequence[Token], term: Wanted, taken: Set[int]) -> range | None:
    """Find a term in a translation; what comes of its own source words first."""
    parts = [_folded(token_of(word)) for word in term.target.split()]
    last = len(tokens) - len(parts)
    own = [place for place, token in enumerate(tokens) if token.link is not None and token.link in range(*term.words)]
    near = sorted({place - number for place in own for number in range(len(parts)) if 0 <= place - number <= last})
    for start in itertools.chain(near, range(last + 1)):
        if start in taken or not _is_form(_folded(tokens[start]), parts[0]):
            continue
        place = range(start, start + len(parts))
        words = [tokens[each] for each in place]
        same = not term.exact or [token.core for token in words] == [
            token_of(word).core for word in term.target.split()
        ]
        if same and taken.isdisjoint(place) and all(map(_is_form, map(_folded, words), parts)):
            return place
    return None


def _folded(token: Token) -> str:
    return token.core.casefold() if isinstance(token.core, str) else ""


def _is_form(word: str, term: str) -> bool:
    """Whether a word is a term, perhaps with an ending."""
    return word == term or (
        len(term) > _ENDINGS
        and word.startswith(term)
        and word[len(term) :].isalpha()
        and len(word) - len(term) <= _ENDINGS
    )


def _span(tokens: Sequence[Token], term: Wanted, taken: Set[int]) -> tuple[int, int]:
    """Find the words that come from those of a term: most of them, and few others, without a gap."""
    words = term.words
    best, found = 0, (0, 0)
    total, begun = 0, 0
    for number, token in enumerate(tokens):
        if number in taken or not isinstance(token.core, str):
            total, begun = 0, number + 1
            continue
        total += 0 if token.link is None else 1 if words[0] <= token.link < words[1] else -1
        if total > best:
            best, found = total, (begun, number + 1)
        if total <= 0:
            total, begun = 0, number + 1
    # Articles and prepositions look at the noun as well, and are no part of the term.
    start, end = found
    cores = [str(token.core) for token in tokens]
    noun = term.target[0].isupper() and any(core[0].isupper() for core in cores[max(1, start) : end])
    while end - start > words[1] - words[0] and _is_beside(cores[start], noun=noun, first=start == 0):
        start += 1
    while noun and end - start > words[1] - words[0] and cores[end - 1][0].islower():
        end -= 1
    return start, end


def _is_beside(core: str, *, noun: bool, first: bool) -> bool:
    """Whether a word is an article or a preposition, as far as can be told."""
    return (noun and (first or core[0].islower())) or (len(core) <= _SMALL and (first or core.islower()))


def _free(place: int, taken: Set[int]) -> int:
    """Return a place that is not inside of a term."""
    while place in taken and place - 1 in taken:
        place += 1
    return place


def _written(term: Wanted, instead: Sequence[Token], *, begins: bool) -> list[Token]:
    """Make the words of a term, with the punctuation of what they replace, and a capital where a sentence begins."""
    first = str(instead[0].core)[:1] if instead else ""
    text = term.target
    if begins and (first.isupper() or not instead):
        text = text[:1].upper() + text[1:]
    count = len(text.split())
    links = [min(term.words[0] + number, term.words[1] - 1) for number in range(count)]
    made = [Token("", word, "", link) for word, link in zip(text.split(), links, strict=True)]
    if instead:
        made[0] = replace(made[0], lead=instead[0].lead)
        made[-1] = replace(made[-1], trail=instead[-1].trail, space=instead[-1].space)
    return made


def covered(words: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the range of words of which some characters are within a range; both are ranges of characters."""
    inside = [number for number, (begin, stop) in enumerate(words) if begin < end and stop > start]
    return inside[0], inside[-1] + 1


def kept_apart(text: str, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Cut a text into what is in ranges and what is not, with which it is."""
    done = 0
    for start, end in ranges:
        yield text[done:start], False
        yield text[start:end], True
        done = end
    yield text[done:], False
