"""Where sentences end, in many scripts, told by punctuation alone."""

from __future__ import annotations

import re
from typing import Final

_SPACED_ENDS: Final = ".!?…‼⁇⁈⁉؟۔।॥։።፧។။"
"""Punctuation that ends a sentence where white space follows."""
_UNSPACED_ENDS: Final = "。！？．｡"
"""The same, in scripts that put no space between sentences."""
_CLOSERS: Final = r"\"'”“’‘»«›)\]}」』）】〉》〕〗］｝"
_OPENERS: Final = "\"'“”„‚‘’«»‹›([{「『（【〈《〔〖［｛¿¡-–—"

SENTENCE_END: Final = re.compile(rf"[{re.escape(_SPACED_ENDS + _UNSPACED_ENDS)}]+[{_CLOSERS}]*")
"""What may end a sentence; whether it does depends on what stands around it (see `split_sentences`)."""

_SPACE = re.compile(r"\s*")
_LAST_WORD = re.compile(r"\w+$")
_LONGEST_WORD = 24  # characters looked back over: enough for any title, and a bound on the work
_TITLES: Final = frozenset(["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Mme", "Mlle", "Hr", "Fr", "Sr", "Sra", "Jr", "vs"])
_NOT_SPLIT_BEFORE_NUMBERS = 3  # letters: "No. 5", "pp. 7", "S. 3"


def split_sentences(text: str) -> list[str]:
    """Cut a text after each sentence.

    A sentence ends with a full stop, question mark, exclamation mark or ellipsis of any of the larger scripts, with the
    closing quotes and brackets behind it, if white space follows; in Chinese and Japanese also if none does. It does
    not end before a lower-case letter, nor after a single letter (an initial), a title such as `Dr.`, or, before
    a digit, a number or a short word (`3. 4.`, `No. 5`). Works in time linear in the length of the text.

    Args:
        text: A line.

    Returns:
        The sentences in order, white space between them at the end of the former: joined, they are the text. A text
        without an end inside is one sentence; an empty text is none.
    """
    parts, start = [], 0
    for match in SENTENCE_END.finditer(text):
        rest = _end_of_space(text, match.end())
        if rest < len(text) and _ends(text, match, rest):
            parts.append(text[start:rest])
            start = rest
    return [*parts, text[start:]] if start < len(text) else parts


def _ends(text: str, end: re.Match[str], rest: int) -> bool:
    """Whether a sentence ends with the punctuation `end`, when the text goes on at `rest`, after white space."""
    following = text[rest]
    if any(mark in end[0] for mark in _UNSPACED_ENDS):
        if end[0] == "．" and following.isdigit():
            return False
        closed = end[0][-1] not in _UNSPACED_ENDS
        return not (closed and "\u3041" <= following <= "\u309f")  # 「…。」と: a particle goes on with the sentence
    if rest == end.end():
        return False
    after_openers = text[rest : rest + 4].lstrip(_OPENERS)
    if after_openers[:1].islower():
        return False
    return end[0] != "." or not _abbreviates(text[max(0, end.start() - _LONGEST_WORD) : end.start()], following)


def _abbreviates(before: str, following: str) -> bool:
    """Whether the full stop after `before` belongs to an abbreviation or a number."""
    found = _LAST_WORD.search(before)
    if not found:
        return False
    word = found[0]
    if word in _TITLES or (len(word) == 1 and word.isalpha() and word.upper() != word.lower()):
        return True
    return following.isdigit() and (word.isdigit() or len(word) <= _NOT_SPLIT_BEFORE_NUMBERS)


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    assert match is not None
    return match.end()
