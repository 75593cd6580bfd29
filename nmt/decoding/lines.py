"""What a line of text is before it is translated: cleaned, judged whether there is anything to translate, and cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nmt.data.characters import plain_text
from nmt.data.subwords import SPECIAL, Subwords
from nmt.decoding.splitting import Piece, split_line

Ids = tuple[int, ...]

_SURROGATES = re.compile("[\ud800-\udfff]")
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


class LineCutter:
    """Turns texts into lines for a model, whose pieces are as short as it was trained on.

    Args:
        subwords: The source's vocabulary.
        limit: Longest piece, in subwords.
    """

    def __init__(self, subwords: Subwords, limit: int) -> None:
        self._subwords, self._limit = subwords, limit
        self._with_text = frozenset(
            index
            for index in range(SPECIAL, subwords.size)
            if any(character.isalnum() for character in subwords.piece(index))
        )

    def cut(self, texts: Sequence[str]) -> list[Line]:
        """Cut texts into pieces within the limit; those without anything to read have none."""
        lines = []
        for text, ids in zip(texts, self._subwords.encode_lines(texts), strict=True):
            if not self._can_read(ids):
                lines.append(Line(text))
            elif len(ids) <= self._limit:
                lines.append(Line(text, ((Piece(text, ""), tuple(ids)),)))
            else:
                pieces = split_line(text, self._limit, self._lengths)
                spelt = self._subwords.encode_lines([piece.text for piece in pieces])
                parts = [tuple(ids) if self._can_read(ids) else () for ids in spelt]
                lines.append(Line(text, tuple(zip(pieces, parts, strict=True))))
        return lines

    def _can_read(self, ids: Sequence[int]) -> bool:
        """Whether there is a subword with a letter or a digit among the ids."""
        return not self._with_text.isdisjoint(ids)

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._subwords.encode_lines(texts)]
