"""What a line of text is before it is translated: cleaned, and judged whether there is anything to translate."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Protocol

_SURROGATES = re.compile("[\ud800-\udfff]")
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_INVISIBLE_CHARACTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(
    chr(code) for code in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)
"""Fillers, blanks and variation selectors, which other categories hold."""
_SPECIAL_IDS: Final = 4
"""Ids 0..3 are pad, unk, bos and eos."""


class SubwordModel(Protocol):
    """What decoding needs of a subword vocabulary."""

    @property
    def size(self) -> int:
        """V, number of pieces with the four special ones."""

    def encode(self, text: str) -> list[int]:
        """Turn a text into ids, without bos and eos."""

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Turn each text into ids."""

    def decode_lines(self, lines: Sequence[Sequence[int]]) -> list[str]:
        """Turn each list of ids into a text."""

    def piece(self, index: int) -> str:
        """Return the piece of an id, with SentencePiece's mark for a space."""


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
    """Whether a text shows nothing: it is empty, or white space, control and format characters and fillers only."""
    return all(
        unicodedata.category(character) in _INVISIBLE_CATEGORIES or character in _INVISIBLE_CHARACTERS
        for character in text
    )


class Readable:
    """Knows of which ids a model can make something.

    Args:
        subwords: The source's vocabulary.
    """

    def __init__(self, subwords: SubwordModel) -> None:
        self._ids = frozenset(
            index
            for index in range(_SPECIAL_IDS, subwords.size)
            if any(character.isalnum() for character in subwords.piece(index))
        )

    def __call__(self, ids: Sequence[int]) -> bool:
        """Whether there is a subword with a letter or a digit among the ids."""
        return not self._ids.isdisjoint(ids)
