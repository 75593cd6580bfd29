"""Cutting lines that are too long into pieces."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nmt.data.sentences import split_sentences

Lengths = Callable[[Sequence[str]], list[int]]

_CUTS: Final = (
    # Any punctuation that may end a sentence or a large part of it, then lighter punctuation, then spaces.
    re.compile(r"""(?<=[.!?…;:—])\s+|(?<=[.!?…]["'”’»)\]])\s+|(?<=[。！？；：])\s*"""),
    re.compile(r"(?<=[,،])\s+|(?<=[，、])\s*"),
    re.compile(r"\s+"),
)
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")  # characters that hold the parts of one emoji together
_LONGEST_CLUSTER = 8  # characters: how far back the beginning of a letter with its marks, or of an emoji, is looked for


@dataclass(frozen=True)
class Piece:
    """A part of a line."""

    text: str
    """What to translate, without space around it."""
    separator: str
    """What stood between it and the next piece: white space or nothing."""
    ends: bool = False
    """Whether a sentence ends with it, and another one follows."""
    prefix: tuple[int, ...] = ()
    """Target subwords that its translation is to begin with."""

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """What its translation depends on: pieces that agree in it are translated once."""
        return self.text, self.prefix


Sized = tuple[Piece, int]


def portions(text: str, size: int) -> list[Piece]:
    """Cut a text at spaces, or where there are none, anywhere, so that what is done with it takes bounded memory.

    Args:
        text: The text.
        size: Characters of a part, at most.

    Returns:
        The parts in order, none empty unless the text is.
    """
    parts, start = [], 0
    while len(text) - start > size:
        space = text.rfind(" ", start + size // 2, start + size)
        end = space if space > 0 else _before_cluster(text, start + size)
        parts.append(text[start:end])
        start = end
    pieces = [
        Piece(part.strip(), " " if part[-1:] == " " or after[:1] == " " else "")
        for part, after in itertools.pairwise([*parts, text[start:]])
    ]
    return [piece for piece in [*pieces, Piece(text[start:].strip(), "")] if piece.text] or [Piece("", "")]


def sentences_of(line: Piece) -> list[Piece]:
    """Cut a piece at sentence ends alone; each keeps the white space behind it as its separator."""
    parts = [(sentence.strip(), sentence[len(sentence.rstrip()) :]) for sentence in split_sentences(line.text)]
    pieces = [Piece(text, space, ends=True) for text, space in parts if text]
    return [*pieces[:-1], replace(pieces[-1], separator=line.separator, ends=line.ends)] if pieces else [line]


def split_line(text: str, limit: int, lengths: Lengths) -> list[Piece]:
    """Cut a line at sentence ends if it can be, else at lighter punctuation, between words, or inside a word.

    Every stretch of text is measured twice at each of these levels at most, and some more times inside words longer
    than the limit: the time is that of a few calls of `lengths` for the whole text.

    Args:
        text: The line.
        limit: Longest piece, in the units of `lengths`, at least 1.
        lengths: Measures texts, in subwords; nearly additive over words.

    Returns:
        The pieces in order: a line within the limit is one piece; in a longer one every sentence is a piece, and parts
        of a sentence are as long as the limit allows. Only a single character may exceed the limit.
    """
    whole = Piece(text.strip(), "")
    if lengths([whole.text])[0] <= limit:
        return [whole]
    # Models are trained on sentences: each stays by itself, however short it is.
    sized = _measured(sentences_of(whole), lengths)
    for pattern in _CUTS:
        if any(size > limit for _, size in sized):
            sized = [part for each in sized for part in _split(each, limit, lengths, pattern)]
    while any(_too_long(each, limit) for each in sized):
        parts = [_chop(each[0], -(-each[1] // limit)) if _too_long(each, limit) else [each[0]] for each in sized]
        sized = _measured([piece for part in parts for piece in part], lengths)
    return [piece for piece, _ in sized]


def _measured(pieces: Iterable[Piece], lengths: Lengths) -> list[Sized]:
    found = list(pieces)
    return list(zip(found, lengths([piece.text for piece in found]), strict=True))


def _too_long(sized: Sized, limit: int) -> bool:
    return sized[1] > limit and len(sized[0].text) > 1


def _split(sized: Sized, limit: int, lengths: Lengths, pattern: re.Pattern[str]) -> list[Sized]:
    """Cut a piece, if it is too long, at some of the places that a pattern finds."""
    piece, size = sized
    units = _units(piece, pattern) if size > limit else []
    if len(units) < 2:
        return [sized]
    parts = []
    for group in _groups(_measured(units, lengths), limit):
        text = "".join(unit.text + unit.separator for unit in group[:-1]) + group[-1].text
        parts.append(Piece(text, " " if group[-1].separator else ""))
    parts[-1] = replace(parts[-1], separator=piece.separator, ends=piece.ends)
    return _measured(parts, lengths)


def _groups(units: Iterable[Sized], limit: int) -> Iterator[list[Piece]]:
    """Gather neighbours as long as they fit together; a unit too long by itself is alone."""
    group: list[Piece] = []
    room = 0
    for unit, size in units:
        if group and size > room:
            yield group
            group = []
        if not group:
            room = limit
        group.append(unit)
        room -= size
    yield group


def _units(piece: Piece, pattern: re.Pattern[str]) -> list[Piece]:
    """Cut a piece wherever a pattern finds something; all that it finds there is the separator for now."""
    units, start = [], 0
    for match in pattern.finditer(piece.text):
        if start < match.start() and match.end() < len(piece.text):
            units.append(Piece(piece.text[start : match.start()], match[0]))
            start = match.end()
    return [*units, Piece(piece.text[start:], piece.separator)]


def _chop(piece: Piece, count: int) -> list[Piece]:
    """Cut a text of at least two characters into about `count` parts, at least two, of as many characters each."""
    text = piece.text
    step = -(-len(text) // max(2, count))
    cuts = [_before_cluster(text, at) for at in range(step, len(text), step)]
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)} or {step}), len(text)]
    parts = [text[start:end] for start, end in itertools.pairwise(bounds)]
    # A cut may fall on a space, which then separates the parts and belongs to neither.
    spaced = [left[-1].isspace() or right[0].isspace() for left, right in itertools.pairwise(parts)]
    separators = [*(" " if space else "" for space in spaced), piece.separator]
    pieces = [Piece(part.strip(), space) for part, space in zip(parts, separators, strict=True) if part.strip()]
    return [*pieces[:-1], replace(pieces[-1], ends=piece.ends)] if pieces else []


def _before_cluster(text: str, at: int) -> int:
    """Move a cut back to where no mark is parted from its letter, nor an emoji in two, if that is near."""
    for cut in range(at, max(0, at - _LONGEST_CLUSTER), -1):
        glued = unicodedata.category(text[cut]).startswith("M") or text[cut] in _JOINERS or text[cut - 1] == "\u200d"
        if not glued:
            return cut
    return at
