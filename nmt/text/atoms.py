"""What a model is not to touch, such as placeholders: it gets stand-ins, which are found again in its translation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from nmt.text.segments import Kind, Segment, Tag, joined
from nmt.text.tokens import Token, boundary, is_punctuation

_STAND_INS: Final = ("X", "Y", "Z", "Q", "V", "W", "K", "J")


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
    used = {word for part in parts if isinstance(part, str) for word in part.split()}
    names = (name for name in itertools.chain(_STAND_INS, map("X{}".format, itertools.count())) if name not in used)
    found: list[str | Tag] = []
    atoms: list[Atom] = []
    text = ""
    for number, part in enumerate(parts):
        if not is_atom(part):
            found.append(part)
            text += part if isinstance(part, str) else ""
            continue
        glued = not is_punctuation(_last_word(text)), not is_punctuation(behind := _first_word(parts[number + 1 :]))
        name = next(names)
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
        places = [place for place, token in enumerate(found) if token.core == atom.stand_in]
        if places:
            place = min(places, key=lambda each: (found[each].link != atom.word, each))
            found[place] = replace(found[place], core=atom.content, link=atom.word)
        else:
            place = _insert(found, atom, words)
        if atom.glued[0] and place and found[place - 1].link == atom.word - 1:
            found[place - 1] = replace(found[place - 1], space="")
        if atom.glued[1] and place + 1 < len(found) and found[place + 1].link == atom.word + 1:
            found[place] = replace(found[place], space="")
    names = {atom.stand_in for atom in atoms}
    return [token for token in found if token.core not in names]


def _insert(tokens: list[Token], atom: Atom, words: int) -> int:
    """Put something among the words that come from its neighbours."""
    place = boundary(tokens, atom.word, words)
    trail = ""
    if place == len(tokens) and tokens and atom.trail:  # the full stop stays at the end
        last = tokens[-1]
        trail, tokens[-1] = last.trail, replace(last, trail="")
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
