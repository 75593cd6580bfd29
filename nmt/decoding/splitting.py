"""Cutting lines that are too long into pieces, and joining what came of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# After a full stop of any script and closing quotes or brackets, then after lighter punctuation, then between words.
SEPARATORS = tuple(
    re.compile(pattern)
    for pattern in (
        r"""(?<=[.!?…])\s+|(?<=[.!?…]["'”’»)\]])\s+|(?<=[。！？])""",
        r"(?<=[;:—])\s+|(?<=[；：])",
        r"(?<=[,])\s+|(?<=[，、])",
        r"\s+",
    )
)


@dataclass(frozen=True)
class Piece:
    """A part of a line."""

    text: str
    """What to translate."""
    joint: str
    """What stood between it and the next piece: a space or nothing."""


def split_line(text: str, limit: int, length: Callable[[str], int]) -> list[Piece]:
    """Cut a line at sentence ends if it can be, else at lighter punctuation, between words, or inside a word.

    Args:
        text: The line.
        limit: Longest piece, in the units of `length`, at least 1.
        length: Measures a text, in subwords; nearly additive over words.

    Returns:
        The pieces in order: a line within the limit is one piece; in a longer one every sentence is a piece, and parts
        of a sentence are as long as the limit allows. Only a single character may exceed the limit.
    """
    return _split(Piece(text.strip(), ""), limit, length, 0)


def _split(piece: Piece, limit: int, length: Callable[[str], int], level: int) -> list[Piece]:
    if len(piece.text) <= 1 or length(piece.text) <= limit:
        return [piece]
    if level == len(SEPARATORS):
        middle = len(piece.text) // 2
        halves = Piece(piece.text[:middle], ""), Piece(piece.text[middle:], piece.joint)
        return [part for half in halves for part in _split(half, limit, length, level)]
    parts: list[Piece] = []
    room = 0
    for unit in _units(piece, SEPARATORS[level]):
        size = length(unit.text)
        if parts and size <= room and level > 0:  # models are trained on sentences: each stays by itself
            parts[-1] = Piece(parts[-1].text + parts[-1].joint + unit.text, unit.joint)
            room -= size
        else:
            parts.append(unit)
            room = limit - size
    return [smaller for part in parts for smaller in _split(part, limit, length, level + 1)]


def _units(piece: Piece, separator: re.Pattern[str]) -> list[Piece]:
    units, start = [], 0
    for match in separator.finditer(piece.text):
        if start < match.start() < len(piece.text):
            units.append(Piece(piece.text[start : match.start()], " " if match.end() > match.start() else ""))
            start = match.end()
    return [*units, Piece(piece.text[start:], piece.joint)]
