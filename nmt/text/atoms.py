"""What a model is not to touch, such as placeholders: it gets stand-ins, which are found again in its translation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from nmt.text.segments import Kind, Segment, Tag, joined
from nmt.text.tokens import Token, boundary, core_of, is_punctuation

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


def with_stand_ins(parts: Sequence[str | Tag]) -> tuple[Segment, list[Atom]]:
    """Put stand-ins in the place of what is kept to the letter; each is a word of its own, or with punctuation around.

    Args:
        parts: The parts of a segment.

    Returns:
        The segment without such parts, and what they were.
    """
    used = {part[slice(*core_of(part))] for part in " ".join(part for part in parts if isinstance(part, str)).split()}
    names, numbers = _unused(_NAMES, "John{}", used), _unused(_NUMBERS, "5{:02}", used)
    found: list[str | Tag] = []
    atoms: list[Atom] = []
    text = ""
    for number, part in enumerate(parts):
        if isinstance(part, str) or not is_atom(part):
            found.append(part)
            text += part if isinstance(part, str) else ""
            continue
        glued = not is_punctuation(_last_word(text)), not is_punctuation(behind := _first_word(parts[number + 1 :]))
        name = next(numbers if _OF_NUMBERS.match(part.markup) else names)
        written = f"{' ' * glued[0]}{name}{' ' * glued[1]}"
        words = len(f"{text}{written}".split())
        atoms.append(Atom(part, name, words - 1, "" if glued[1] else behind, glued))
        found.append(written)
        text += written
    return joined(found), atoms


def put_back(tokens: Sequence[Token], atoms: Sequence[Atom], words: int) -> list[Token]:
    """Put what is kept to the letter into a translation, each once.

    Args:
        tokens: The translation, with stand-ins or without.
        atoms: What is put in.
        words: How many words the model saw.

    Returns:
        The translation, without stand-ins.
    """
    found = list(tokens)
    for atom in atoms:
        place = _place_of(atom, found)
        if place is None:
            place = _insert(found, atom, words)
        else:
            found[place] = replace(found[place], core=atom.content, link=atom.word)
        if atom.glued[0] and place and found[place - 1].link == atom.word - 1:
            found[place - 1] = replace(found[place - 1], space="")
        if atom.glued[1] and place + 1 < len(found) and found[place + 1].link == atom.word + 1:
            found[place] = replace(found[place], space="")
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


def _place_of(atom: Atom, tokens: Sequence[Token]) -> int | None:
    """Find the word that came of a stand-in: itself, or a word that looked at it, a noun where that can be told."""
    copied = [place for place, token in enumerate(tokens) if token.core == atom.stand_in]
    linked = [place for place, token in enumerate(tokens) if token.link == atom.word and isinstance(token.core, str)]
    if copied:
        return min(copied, key=lambda place: (place not in linked, place))
    return min(linked, key=lambda place: (not (place and str(tokens[place].core)[0].isupper()), place), default=None)


def _insert(tokens: list[Token], atom: Atom, words: int) -> int:
    """Put something among the words that come from its neighbours."""
    place = boundary(tokens, atom.word, words)
    trail = ""
    if place == len(tokens) and tokens and atom.trail:  # the full stop stays at the end
        last = tokens[-1]
        trail, tokens[-1] = last.trail or atom.trail, replace(last, trail="")
    tokens.insert(place, Token("", atom.content, trail, atom.word))
    return place


def _last_word(text: str) -> str:
    return text.rsplit(maxsplit=1)[-1] if text and not text[-1].isspace() else ""


def _first_word(parts: Sequence[str | Tag]) -> str:
    """Return what hangs together with the beginning of parts."""
    word = ""
    for part in parts:
        if is_atom(part):
            return f"{word}X"
        if not isinstance(part, str):
            continue
        first = part.split(maxsplit=1)[0] if part and not part[0].isspace() else ""
        word += first
        if len(first) < len(part):
            break
    return word
