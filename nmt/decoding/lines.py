"""What a line of text is before it is translated: cleaned, judged whether there is anything to translate, and cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from nmt.data.characters import plain_text
from nmt.data.subwords import SPECIAL, UNK, PiecesThat, Subwords
from nmt.decoding.splitting import Piece, portions, sentences_of, split_line

Ids = tuple[int, ...]

_SURROGATES = re.compile("[\ud800-\udfff]")
_LONGEST_SUBWORD: Final = 16  # characters, as SentencePiece makes them: longer text is too long, whatever it says
_SHORTEST_PORTION: Final = 1_000  # characters
_SYLLABLE: Final = 2.5  # letters of a subword, on average, in a vocabulary that has more than letters
_STRANGE: Final = 1.6  # letters of a subword, on average, below which a text is spelt
_SPELT: Final = 4  # subwords with letters from which this means something
_BLANK: Final = " \u2800"  # and the pattern of Braille without a dot


def one_line(text: str) -> str:
    """Make any text a line of valid Unicode.

    Args:
        text: Anything, even with lone surrogates.

    Returns:
        The text without space around it; line breaks of every kind, which are all that `str.splitlines` knows, are
        spaces, and lone surrogates are U+FFFD.
    """
    line = " ".join(text.splitlines()).strip()
    return line if line.isascii() else _SURROGATES.sub("\ufffd", line)


def is_invisible(text: str) -> bool:
    """Whether a text shows nothing: it is empty, or holds white space and what `plain_text` takes out only."""
    return not plain_text(text).strip(_BLANK)


@dataclass(frozen=True)
class Line:
    """A line, ready for the model."""

    text: str
    parts: tuple[tuple[Piece, Ids], ...] = ()
    """Its pieces, and the subwords of each, none for a piece that cannot be read; no pieces if the line cannot."""
    cut: bool = False
    """Whether it was too long, and cut elsewhere than between sentences that are translated one by one."""

    def beginning_with(self, prefix: Ids) -> Line:
        """Return the same with target subwords that the translation of its first readable piece is to begin with."""
        parts = list(self.parts)
        first = next((number for number, (_, ids) in enumerate(parts) if ids), None)
        if first is not None:
            piece, ids = parts[first]
            parts[first] = replace(piece, prefix=prefix), ids
        return replace(self, parts=tuple(parts))


class LineCutter:
    """Turns texts into lines for a model, whose pieces are as short as it was trained on.

    Args:
        subwords: The source's vocabulary.
        limit: Longest piece, in subwords.
    """

    def __init__(self, subwords: Subwords, limit: int) -> None:
        self._subwords, self._limit = subwords, limit
        self._with_text = PiecesThat(subwords, lambda piece: any(map(str.isalnum, piece)))
        self._letters: dict[int, int] = {}

    def cut(self, texts: Sequence[str], *, sentences: bool = False) -> list[Line]:
        """Cut texts into pieces within the limit; those without anything to read have none.

        Args:
            texts: The lines.
            sentences: Whether every sentence is a piece; otherwise only lines that are too long are cut.
        """
        size = max(_SHORTEST_PORTION, self._limit * _LONGEST_SUBWORD)
        rough = [_rough(text, size, sentences) for text in texts]
        spelt = iter(self._spell([piece.text for pieces in rough for piece in pieces]))
        lines = zip(texts, rough, strict=True)
        return [self._line(text, [(piece, next(spelt)) for piece in pieces], sentences) for text, pieces in lines]

    def _line(self, text: str, pieces: Sequence[tuple[Piece, Ids]], sentences: bool) -> Line:
        parts: list[tuple[Piece, Ids]] = []
        for piece, ids in pieces:
            if len(ids) <= self._limit:
                parts.append((piece, ids if self._can_read(ids) else ()))
                continue
            smaller = split_line(piece.text, self._limit, self._lengths)
            smaller[-1] = replace(smaller[-1], separator=piece.separator, ends=piece.ends)
            spelt = self._spell([each.text for each in smaller])
            parts += [(each, ids if self._can_read(ids) else ()) for each, ids in zip(smaller, spelt, strict=True)]
        readable = any(ids for _, ids in parts)
        ends = sum(piece.ends for piece, _ in parts) if sentences else 0
        return Line(text, tuple(parts), cut=len(parts) - 1 > ends) if readable else Line(text)

    def has_unknown(self, ids: Sequence[int]) -> bool:
        """Whether there is text among the subwords that the vocabulary cannot spell."""
        return UNK in ids

    def is_strange(self, ids: Sequence[int]) -> bool:
        """Whether the subwords spell words letter by letter, as they do with another language or with no words at all.

        Nothing is strange to a vocabulary that has little but letters, nor in scripts without capitals.
        """
        letters = [count for count in map(self._letters_of, ids) if count]
        return len(letters) >= _SPELT and sum(letters) < _STRANGE * len(letters) and self._has_syllables

    @cached_property
    def _has_syllables(self) -> bool:
        """Whether the vocabulary has more than letters; rarely asked, and it takes a while to look at all pieces."""
        spelling = [count for count in map(self._letters_of, range(self._subwords.size)) if count]
        return sum(spelling) > _SYLLABLE * len(spelling)

    def _letters_of(self, index: int) -> int:
        """Count the letters of a piece, of scripts with capitals."""
        count = self._letters.get(index)
        if count is None:
            piece = self._subwords.piece(index) if index >= SPECIAL else ""
            count = self._letters[index] = sum(letter.lower() != letter.upper() for letter in piece)
        return count

    def _can_read(self, ids: Sequence[int]) -> bool:
        """Whether there is a subword with a letter or a digit among the ids."""
        return any(index >= SPECIAL and index in self._with_text for index in ids)

    def _spell(self, texts: Sequence[str]) -> list[Ids]:
        return [tuple(ids) for ids in self._subwords.encode_lines(texts)]

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._subwords.encode_lines(texts)]


def _rough(text: str, size: int, sentences: bool) -> list[Piece]:
    """Cut a text before it is spelt: at sentence ends, if asked for or if too long, then within sentences."""
    whole = Piece(text, "")
    pieces = sentences_of(whole) if sentences or len(text) > size else [whole]
    return [part for piece in pieces for part in _portions_of(piece, size)]


def _portions_of(piece: Piece, size: int) -> list[Piece]:
    if len(piece.text) <= size:
        return [piece]
    parts = portions(piece.text, size)
    return [*parts[:-1], replace(parts[-1], separator=piece.separator, ends=piece.ends)]
