"""Terms of a glossary in a translation: where the model said something else, they take its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nmt.text.tokens import Token, boundary, densest, places_of, token_of

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
    if not wanted:
        return list(tokens)
    held, places = _Held(tokens), places_of(tokens)
    own = [sorted(place for word in range(*term.words) for place in places.get(word, ())) for term in wanted]
    # Those that are there keep their place, whatever the others take.
    left = [(term, at) for term, at in zip(wanted, own, strict=True) if not held.take(term, at)]
    links = [token.link for token in tokens]
    spans: dict[int, tuple[int, Wanted]] = {}
    lost = []
    for term, at in left:
        span = _span(tokens, links, term, at, held.ends)
        if span is None:
            lost.append(term)
        else:
            spans[span[0]] = span[1], term
            held.ends |= dict.fromkeys(range(*span), span[1])
    between: dict[int, list[Wanted]] = {}
    for term in lost:
        between.setdefault(_free(boundary(links, term.words[0], words), held.ends), []).append(term)
    found: list[Token] = []
    place = 0
    while place <= len(tokens):
        for term in between.get(place, ()):
            found += _written(term, (), begins=not found)
        end, replaced = spans.get(place, (place + 1, None))
        instead = tokens[place:end]
        found += instead if replaced is None else _written(replaced, instead, begins=not found)
        place = end
    return found


def missing(text: str, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Return the names of the terms that are not in a text, each as often as it is missing."""
    if not wanted:
        return ()
    held = _Held([token_of(word) for word in text.split()])
    return tuple(term.name for term in wanted if not held.take(term, ()))


class _Held:
    """The terms that a translation holds already.

    Args:
        tokens: The translation.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.ends: dict[int, int] = {}
        """Of each place that is taken, where what takes it ends."""
        self._tokens = tokens
        self._folded = list(map(_folded, tokens))
        self._places: dict[str, list[int]] = {}  # of each word, and of what it may be a form of
        for place, word in enumerate(self._folded):
            for form in _forms(word):
                self._places.setdefault(form, []).append(place)
        self._anywhere: dict[tuple[str, bool], Iterator[int]] = {}

    def take(self, term: Wanted, own: Sequence[int]) -> bool:
        """Look for a term in places that are not taken, and take them; returns whether it is there.

        Args:
            term: The term.
            own: Places of what comes of its source words, which are looked at first.
        """
        cores = [str(token_of(word).core) for word in term.target.split()]
        count = len(cores)
        near = sorted({place - number for place in own for number in range(count)})
        key = (term.target, term.exact)
        if key not in self._anywhere:  # goes on where it was: what is taken stays so
            self._anywhere[key] = iter(self._places.get(cores[0].casefold(), ()))
        for start in itertools.chain(near, self._anywhere[key]):
            if self._is_at(start, cores, exact=term.exact):
                self.ends |= dict.fromkeys(range(start, start + count), start + count)
                return True
        return False

    def _is_at(self, start: int, cores: Sequence[str], *, exact: bool) -> bool:
        """Whether a term is at a place that is not taken."""
        if start < 0 or start + len(cores) > len(self._tokens):
            return False
        return all(
            place not in self.ends
            and _is_form(self._folded[place], core.casefold())
            and (not exact or self._tokens[place].core == core)
            for place, core in enumerate(cores, start)
        )


def _folded(token: Token) -> str:
    return token.core.casefold() if isinstance(token.core, str) else ""


def _forms(word: str) -> Iterator[str]:
    """Return the terms of which a word may be a form: see `_is_form`."""
    if word:
        yield word
    for length in range(len(word) - 1, max(_ENDINGS, len(word) - _ENDINGS - 1), -1):
        if not word[length:].isalpha():
            return
        yield word[:length]


def _is_form(word: str, term: str) -> bool:
    """Whether a word is a term, perhaps with an ending."""
    return word == term or (
        len(term) > _ENDINGS
        and word.startswith(term)
        and word[len(term) :].isalpha()
        and len(word) - len(term) <= _ENDINGS
    )


def _span(
    tokens: Sequence[Token], links: Sequence[int | None], term: Wanted, own: Sequence[int], taken: Mapping[int, int]
) -> tuple[int, int] | None:
    """Find the words that come from those of a term."""
    found = densest(own, links, lambda place: place not in taken and isinstance(tokens[place].core, str))
    if found is None:
        return None
    # Articles and prepositions look at the noun as well, and are no part of the term.
    start, end = found
    cores = {place: str(tokens[place].core) for place in range(start, end)}
    count = term.words[1] - term.words[0]
    noun = term.target[0].isupper() and any(cores[place][0].isupper() for place in range(max(1, start), end))
    while end - start > count and _is_beside(cores[start], noun=noun, first=start == 0):
        start += 1
    while noun and end - start > count and cores[end - 1][0].islower():
        end -= 1
    return start, end


def _is_beside(core: str, *, noun: bool, first: bool) -> bool:
    """Whether a word is an article or a preposition, as far as can be told."""
    return (noun and (first or core[0].islower())) or (len(core) <= _SMALL and (first or core.islower()))


def _free(place: int, ends: Mapping[int, int]) -> int:
    """Return a place that is not inside of a term."""
    return ends[place] if ends.get(place, -1) == ends.get(place - 1, -2) else place


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


def kept_apart(text: str, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Cut a text into what is in ranges and what is not, with which it is."""
    done = 0
    for start, end in ranges:
        yield text[done:start], False
        yield text[start:end], True
        done = end
    yield text[done:], False
