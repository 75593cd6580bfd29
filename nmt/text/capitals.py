"""Lines in capitals and headings: a model gets them as sentences, and its translations are written as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from nmt.text.tokens import Token, core_of

_LEAST_LETTERS: Final = 4  # of a line in capitals: fewer are an abbreviation
_LEAST_WORDS: Final = 3  # of a heading
_SMALL: Final = 4  # letters that a word of a heading may have without a capital
_BEGINS: Final = re.compile(r"(?:^|[.!?…]\s+)\W*\w")
_CAPITALIZED_NOUNS: Final = ("de", "lb", "ksh", "bar", "nds", "gsw")


class Shape(Enum):
    """How a line is written."""

    PLAIN = "plain"
    UPPER = "upper"
    """All in capitals."""
    TITLE = "title"
    """A heading in which every word but small ones begins with a capital."""


def shape_of(words: Sequence[str], language: str = "") -> Shape:
    """Tell how a line is written.

    Args:
        words: Its words, without those that are kept to the letter.
        language: Of which language it is: where nouns have capitals, nothing tells headings from sentences.
    """
    text = " ".join(words)
    cased = [letter for letter in text if letter.lower() != letter.upper()]
    if len(cased) >= _LEAST_LETTERS and all(letter.upper() == letter for letter in cased):
        return Shape.UPPER
    cores = [word[slice(*core_of(word))] for word in words]
    spelt = [core for core in cores if core[:1].isalpha()]
    is_title = (
        len(spelt) >= _LEAST_WORDS
        and not text.endswith((".", "!", "…"))
        and _is_capitalized(spelt[0])
        and all(_is_capitalized(core) or len(core) < _SMALL for core in spelt)
        and sum(map(_is_capitalized, spelt)) > len(spelt) / 2
        and any(core[1:].islower() for core in spelt)
    )
    return Shape.TITLE if is_title and language[:2] not in _CAPITALIZED_NOUNS else Shape.PLAIN


def as_sentence(text: str, shape: Shape, language: str = "") -> str:
    """Write a line as sentences are written; no letter moves.

    Args:
        text: The line.
        shape: How it is written.
        language: Of which language it is.
    """
    if shape is Shape.PLAIN:
        return text
    small = _BEGINS.sub(lambda match: match[0][:-1] + match[0][-1].upper(), "".join(map(_lower, text)))
    return re.sub(r"\bi(?=['’ ]|$)", "I", small) if language[:2] == "en" else small


def restored(tokens: Sequence[Token], shape: Shape, source: str) -> list[Token]:
    """Write a translation as the line is written.

    Args:
        tokens: Its words; what is kept to the letter stays.
        shape: How the line is written.
        source: The line, which tells whether a full stop belongs at the end.
    """
    if shape is Shape.PLAIN or not tokens:
        return list(tokens)
    found = [_restored(token, shape, first=not number) for number, token in enumerate(tokens)]
    if not source.rstrip().endswith(tuple(".!?…:")) and found[-1].trail == ".":  # models end sentences with one
        found[-1] = replace(found[-1], trail="")
    return found


def _restored(token: Token, shape: Shape, *, first: bool) -> Token:
    if not isinstance(token.core, str):
        return token
    if shape is Shape.UPPER:
        return replace(token, lead=token.lead.upper(), core=token.core.upper(), trail=token.trail.upper())
    capital = first or len(token.core) >= _SMALL
    return replace(token, core=token.core[:1].upper() + token.core[1:]) if capital else token


def _lower(letter: str) -> str:
    small = letter.lower()
    return small if len(small) == 1 else letter


def _is_capitalized(word: str) -> bool:
    return word[:1].isupper()
