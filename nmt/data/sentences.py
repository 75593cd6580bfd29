"""Where sentences end, in many scripts, told by punctuation and by tables of words; where in doubt, they do not."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from nmt.data.abbreviations import BEFORE_MORE, BEFORE_STARTERS_ONLY, STARTERS

_SPACED_ENDS: Final = ".!?…‼⁇⁈⁉؟۔।॥։።፧။။"
"""Punctuation that ends a sentence where white space follows."""
_UNSPACED_ENDS: Final = "。！？．｡"
"""The same, in scripts that put no space between sentences."""
_CLOSERS: Final = r"\"'”“’‘»«›)\]}」』）】〉》〕〗］｝"
_OPENERS: Final = "\"'“”„‚‘’«»‹›([{「『（【〈《〔〖［｛¿¡-–—*•·"

SENTENCE_END: Final = re.compile(rf"[{re.escape(_SPACED_ENDS + _UNSPACED_ENDS)}]+[{_CLOSERS}]*")
"""What may end a sentence; whether it does depends on what stands around it (see `split_sentences`)."""

_SPACE = re.compile(r"\s*")
_LAST_WORD = re.compile(rf"[^\s,;:!?/{_CLOSERS}{re.escape(_OPENERS)}]+$")  # `p.m` and `www.example.org` are one
_FIRST_WORD = re.compile(r"[^\W_]+")
_INITIAL = re.compile(r"[^\W\d_]\.")
_ROMAN = re.compile(r"[IVXLC]{1,6}")
_WORD_OF_TWO = re.compile(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]")  # two letters; or one of a script where one may be a word
_LONGEST_WORD: Final = 24  # characters looked back and ahead over: enough for any abbreviation, and a bound on the work
_ORDINAL = re.compile(r"\d{1,3}(?:[.,'’]\d{1,3})*")  # more digits are a year, which may well end a sentence
_NOT_SPLIT_BEFORE_NUMBERS: Final = 3  # letters: "No. 5", "pp. 7", "S. 3"

_BRACKETS: Final = {
    pair[0]: pair[1:] for pair in re.findall(r"\S+", "() [] 「」 『』 （） 【】 〈〉 《》 ［］ «» ‹› “” „“”")
}
_BRACKET: Final = re.compile(f"[{re.escape(''.join({*_BRACKETS, *''.join(_BRACKETS.values())}))}]")
_LONGEST_BRACKET: Final = 300  # characters: longer ones are cut inside


def split_sentences(text: str) -> list[str]:
    """Cut a text after each sentence.

    A sentence ends with a full stop, question mark, exclamation mark or ellipsis of any of the larger scripts, with the
    closing quotes and brackets behind it, if white space follows; in Chinese and Japanese also if none does. It does
    not end:

    - before a lower-case letter or more punctuation, nor inside brackets or quotes that close again soon;
    - after an abbreviation that more follows (`Dr.`, `Abs.`, `bzw.`); nor, unless a word follows that begins sentences
      (`The`, `Er`), after a single letter (an initial, `z. B.`, `p.m.`), another abbreviation (`etc.`), a number of up
      to three digits, or grouped, or Roman (`3. Mai`, `9.200. Besucher`, `Ludwig XIV. König`), an ellipsis, or a
      closing quote behind a question or exclamation mark (`“Why?” Tom asked`);
    - before a digit, after a number or a short word (`3. 4.`, `No. 5`);
    - with a full stop after what is no word yet: the number or letter of an item.

    Works in time linear in the length of the text.

    Args:
        text: A line.

    Returns:
        The sentences in order, white space between them at the end of the former: joined, they are the text. A text
        without an end inside is one sentence; an empty text is none.
    """
    parts, start = [], 0
    word = _WORD_OF_TWO.search(text)  # the first of the sentence
    inside: list[tuple[int, int]] | None = None  # brackets, if any are needed
    for match in SENTENCE_END.finditer(text):
        rest = _end_of_space(text, match.end())
        begun = match[0][0] != "." or (word is not None and word.end() <= match.start())
        if begun and rest < len(text) and _ends(text, match, rest):
            inside = _bracketed(text) if inside is None else inside
            while inside and inside[-1][1] <= match.end():
                inside.pop()
            if not inside or inside[-1][0] >= match.end():
                parts.append(text[start:rest])
                start = rest
                if word is not None and word.start() < start:  # else it is the first of what is left, too
                    word = _WORD_OF_TWO.search(text, start)
    return [*parts, text[start:]] if start < len(text) else parts


def _ends(text: str, end: re.Match[str], rest: int) -> bool:
    """Whether a sentence ends with the punctuation `end`, when the text goes on at `rest`, after white space."""
    following = text[rest]
    marks = end[0].rstrip(_CLOSERS.replace("\\", ""))
    closed = len(marks) < len(end[0])
    if any(mark in marks for mark in _UNSPACED_ENDS):
        # A particle goes on with the sentence 「…。」と, a digit with the number ３．５.
        return not (closed and "\u3041" <= following <= "\u309f") and not (marks == "．" and following.isdigit())
    ahead = text[rest : rest + _LONGEST_WORD].lstrip(_OPENERS)
    if rest == end.end() or not ahead or ahead[0].islower() or unicodedata.category(ahead[0])[0] == "P":
        return False
    first = _FIRST_WORD.match(ahead)
    if first is not None and first[0] in STARTERS and not _INITIAL.match(ahead):  # `А. С. Пушкин`: no preposition
        return marks != "." or _word_before(text, end.start()) not in BEFORE_MORE
    if marks[-1] == "…" or marks.endswith("..") or (closed and marks[-1] in "!?"):
        return marks[-1] in "!?" and following in _OPENERS
    return marks != "." or not _may_go_on(text, end.start(), ahead)


def _may_go_on(text: str, stop: int, ahead: str) -> bool:
    """Whether a full stop at `stop` may belong to an abbreviation or a number, with `ahead` behind it."""
    word = _word_before(text, stop)
    last = word.rpartition(".")[2]
    if not last:
        return False
    if word in BEFORE_MORE or word in BEFORE_STARTERS_ONLY or _ROMAN.fullmatch(last):
        return True
    if len(last) == 1 and unicodedata.category(last) in ("Lu", "Ll", "Lo") and not _is_ideograph(last):
        return True
    if _ORDINAL.fullmatch(word) and not ahead[:1].isdigit():
        return ahead[:1].isupper()  # an ordinal or a date, in the languages that write it with a full stop
    before_number = last.isdigit() or len(last) <= _NOT_SPLIT_BEFORE_NUMBERS or last.endswith("str")  # Hauptstr. 5
    return ahead[:1].isdigit() and before_number


def _word_before(text: str, stop: int) -> str:
    found = _LAST_WORD.search(text[max(0, stop - _LONGEST_WORD) : stop])
    return found[0] if found else ""


def _is_ideograph(letter: str) -> bool:
    return letter >= "\u3040"  # kana, Han, Hangul: one may be a word


def _bracketed(text: str) -> list[tuple[int, int]]:
    """Places of brackets and quotes that close again soon, from the last to the first, without those inside others."""
    found: list[tuple[int, int]] = []
    opened: list[tuple[int, str]] = []
    for match in _BRACKET.finditer(text):
        mark, place = match[0], match.start()
        matching = next(
            (at for at in range(len(opened) - 1, max(-1, len(opened) - 5), -1) if mark in opened[at][1]), -1
        )
        if matching >= 0:
            begin = opened[matching][0]
            del opened[matching:]
            if place - begin <= _LONGEST_BRACKET:
                while found and found[-1][0] > begin:
                    found.pop()
                found.append((begin, place))
        elif mark in _BRACKETS:
            opened.append((place, _BRACKETS[mark]))
    return found[::-1]


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    assert match is not None
    return match.end()
