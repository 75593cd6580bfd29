"""What a model is not to touch, such as placeholders: it gets stand-ins, which are found again in its translation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from nmt.text.segments import Kind, Segment, Tag, joined
from nmt.text.tokens import Token, boundary, core_of, is_punctuation, places_of

_NAMES: Final = ("John", "Mary", "Tom", "Boston", "Peter", "Maria", "London", "Paul", "Anna", "Paris")
"""What stands for words. Models copy names, those at least that they have seen often, and put them into sentences as
they do nouns: with `John`, 94 % came through a model of Tatoeba's sentences, with letters, `it` or an ellipsis none."""
_NUMBERS: Final = ("5", "7", "8", "3", "9", "4", "6", "2")
"""What stands for numbers and quantities."""
_OF_NUMBERS: Final = re.compile(r"[+−-]?\d|[€$£¥]|%.*[diufFeEgG]$")


@dataclass(frozen=True)
class Atom:
    """Something that is kept to the letter."""

    content: str | Tag
    """What it is."""
    stand_in: str
    """The word that the model sees."""
    word: int
    """Which of the words that the model sees it is."""
    trail: str
    """Punctuation behind it."""
    glued: tuple[bool, bool]
    """Whether nothing stands between it and the word before it, and the one behind."""


def _unused(words: Sequence[str], more: str, used: Set[str]) -> Iterator[str]:
    """Return words, and as many others as are wanted, without those that are used."""
    return (word for word in itertools.chain(words, map(more.format, itertools.count(2))) if word not in used)


def is_atom(part: str | Tag) -> bool:
    """Whether a part of a segment is kept to the letter."""
    return isinstance(part, Tag) and part.kind is Kind.WORD


def with_stand_ins(parts: Segment) -> tuple[Segment, list[Atom]]:
    """Put stand-ins in the place of what is kept to the letter; each is a word of its own, or with punctuation around.

    Args:
        parts: A segment.

    Returns:
        The segment without such parts, and what they were.
    """
    if not any(map(is_atom, parts)):
        return parts, []
    used = {part[slice(*core_of(part))] for part in " ".join(part for part in parts if isinstance(part, str)).split()}
    names, numbers = _unused(_NAMES, "John{}", used), _unused(_NUMBERS, "5{:02}", used)
    found: list[str | Tag] = []
    atoms: list[Atom] = []
    line = _Line()
    for number, part in enumerate(parts):
        if isinstance(part, str) or not is_atom(part):
            found.append(part)
            line.add(part if isinstance(part, str) else "")
            continue
        behind = _first_word(parts, number + 1)
        glued = not line.ends_in_punctuation, not is_punctuation(behind)
        name = next(numbers if _OF_NUMBERS.match(part.markup) else names)
        written = f"{' ' * glued[0]}{name}{' ' * glued[1]}"
        found.append(written)
        line.add(written)
        atoms.append(Atom(part, name, line.words - 1, "" if glued[1] else behind, glued))
    return joined(found), atoms


class _Line:
    """What is told of a line while it is written."""

    def __init__(self) -> None:
        self.words = 0
        """As `str.split` counts them."""
        self.ends_in_punctuation = True
        """Whether nothing but punctuation, if anything, stands behind the last white space."""
        self._is_open = False  # whether a word may go on

    def add(self, text: str) -> None:
        """Write something behind it."""
        if not text:
            return
        words = text.split()
        goes_on = self._is_open and not text[0].isspace()
        self.words += len(words) - (goes_on and bool(words))
        before = self.ends_in_punctuation or not goes_on or len(words) > 1
        self._is_open = not text[-1].isspace()
        self.ends_in_punctuation = not self._is_open or (before and is_punctuation(words[-1]))


def put_back(tokens: Sequence[Token], atoms: Sequence[Atom], words: int) -> list[Token]:
    """Put what is kept to the letter into a translation, each once.

    Args:
        tokens: The translation, with stand-ins or without.
        atoms: What is put in, in the order of its words.
        words: How many words the model saw.

    Returns:
        The translation, without stand-ins.
    """
    if not atoms:
        return list(tokens)
    found = list(tokens)
    copied: dict[str | Tag, list[int]] = {}
    for number, token in enumerate(tokens):
        copied.setdefault(token.core, []).append(number)
    linked = places_of(tokens)
    lost: list[Atom] = []
    for atom in atoms:
        place = _place_of(atom, found, copied.get(atom.stand_in, ()), linked.get(atom.word, ()))
        if place is None:
            lost.append(atom)
        else:
            found[place] = replace(found[place], core=atom.content, link=atom.word)
    found = _with(lost, found, words)
    by_word = {atom.word: atom.glued for atom in atoms}
    for number, token in enumerate(found):
        if token.link is None or isinstance(token.core, str):
            continue
        before, behind = by_word.get(token.link, (False, False))
        if before and number and found[number - 1].link == token.link - 1:
            found[number - 1] = replace(found[number - 1], space="")
        if behind and number + 1 < len(found) and found[number + 1].link == token.link + 1:
            found[number] = replace(token, space="")
    return _without_copies(found, atoms)


def _without_copies(tokens: Sequence[Token], atoms: Sequence[Atom]) -> list[Token]:
    """Leave out stand-ins that a model has said twice: those that come of the same word, and neighbours."""
    words = {atom.stand_in: atom for atom in atoms}
    found: list[Token] = []
    for number, token in enumerate(tokens):
        atom = words.get(token.core) if isinstance(token.core, str) else None
        beside = [each.core for each in tokens[max(0, number - 1) : number + 2]]
        if atom is None or not (token.link == atom.word or atom.content in beside):
            found.append(token)
        elif found:
            found[-1] = replace(found[-1], trail=found[-1].trail or token.trail)
    return found


def _place_of(atom: Atom, tokens: Sequence[Token], copied: Sequence[int], linked: Sequence[int]) -> int | None:
    """Find the word that came of a stand-in: itself, or a word that looked at it, a noun where that can be told."""
    copied = [place for place in copied if tokens[place].core == atom.stand_in]
    if copied:
        return min(copied, key=lambda place: (tokens[place].link != atom.word, place))
    words = [(place, core) for place in linked if isinstance(core := tokens[place].core, str)]
    return min(words, key=lambda word: (not (word[0] and word[1][0].isupper()), word[0]), default=(None, ""))[0]


def _with(lost: Sequence[Atom], tokens: Sequence[Token], words: int) -> list[Token]:
    """Put what the model has lost among the words that come from its neighbours."""
    links = [token.link for token in tokens]
    put: dict[int, list[Atom]] = {}
    place, last_word = 0, -2
    for atom in lost:
        if atom.word != last_word + 1:  # else it stays with the one before it
            place = boundary(links, atom.word, words)
        put.setdefault(place, []).append(atom)
        last_word = atom.word
    found: list[Token] = []
    for number in range(len(tokens) + 1):
        for atom in put.get(number, ()):
            trail = ""
            if number == len(tokens) and found and atom.trail:  # the full stop stays at the end
                trail, found[-1] = found[-1].trail or atom.trail, replace(found[-1], trail="")
            found.append(Token("", atom.content, trail, atom.word))
        found += tokens[number : number + 1]
    return found


def _first_word(parts: Segment, start: int) -> str:
    """Return what hangs together with the beginning of the parts from one on."""
    word = ""
    for number in range(start, len(parts)):
        part = parts[number]
        if is_atom(part):
            return f"{word}X"
        if not isinstance(part, str):
            continue
        first = part.split(maxsplit=1)[0] if part and not part[0].isspace() else ""
        word += first
        if len(first) < len(part):
            break
    return word
