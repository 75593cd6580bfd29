"""What in a text is kept to the letter: placeholders, addresses, quantities, file names, identifiers, emoji."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from nmt.text.segments import Kind, Segment, Tag, joined


@dataclass(frozen=True)
class Kept(Tag):
    """Text that is kept to the letter, `markup`; in the translation it is text again."""


_UNITS: Final = """[kMGT]?i?[Bb] [kMGT]?bit/s [kMGT]i?B/s [kcmdµμn]?m[²³23]? [kMGmµ]?[WVAJNg] [kM]?cal [kMGT]?Hz k?Ω
    [kMG]?Wh [kh]?Pa [mcdhk]?l [mcdh]?L km/h m/s mph ft mi lbs? oz px rpm dB bar ha h min s ms °[CFK]? ℃ ℉
    [€$£¥₽₹₩] EUR USD GBP CHF JPY CZK PLN kg/m[³3] g/l mg/l mol ppm"""
_AMOUNT: Final = r"\d+(?:[.,'’\u00a0\u202f]\d+)*"
_EXTENSIONS: Final = """7z avi bash bat bin bmp bz2 c cfg conf cpp css csv dat db dll doc docx epub exe flac gif go
    gz h hpp htm html ico ics ini ipynb iso jar java jpe?g js json jsx log lua md mkv mov mp3
    mp4 odp ods odt ogg pdf php pl png po pptx? ps1 py rar rb rs rst rtf sh sql sqlite srt svg
    tar tex tiff? toml ts tsv ttf txt vtt wav webm webp whl xcf xhtml xlsx? xml ya?ml zip zst"""

_LETTER: Final = r"[0-9A-Za-z_\u00c0-\u052f]"  # in scripts without spaces, letters may stand right beside what is kept
_OF_ADDRESS: Final = r"[^\s<>\"\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]"

# Whatever repeats without a bound begins where no other match could have begun before: else the time for a long word
# grows with its square.
_WORDS: Final = (
    # addresses
    rf"(?:https?|ftps?|file|ssh|git|wss?)://{_OF_ADDRESS}+|(?<![0-9A-Za-z_@.])www\.{_OF_ADDRESS}+"
    rf"|(?<!{_LETTER})(?:mailto|tel):{_OF_ADDRESS}+",
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    # templates: {{x}}, {%x%}, ${x}, #{x}, %{x}, {x}, {0:.2f}, {n, plural, one {...} other {...}}, [[x]], %x%, __x__
    r"\{\{\{?[^{}\n]{0,200}\}?\}\}|\{%[^\n]{0,200}?%\}|[$#%@]\{[^{}\n]{0,200}\}",
    r"\{\w+\s*,\s*(?:plural|select|selectordinal|number|date|time)\b(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\})*\}",
    r"\{[^{}\s]{0,100}\}|\[\[[^\[\]\n]{1,100}\]\]|(?<![\w%])%[A-Za-z_][\w.-]*%|(?<!\w)__\w+?__(?!\w)",
    # printf: %s, %5.2f, %1$s, %(x)d, %@, %%
    r"%%|(?<!\d)%(?:\d+\$|\([^()\s]{1,100}\))?[-+#0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|L|q|j|z|t)?[diouxXeEfFgGaAcCsSpn@](?![0-9A-Za-z_\u00c0-\u052f])",
    r"(?<![\w$])\$[A-Za-z_]\w*(?:\.\w+)*",
    # paths, file names, identifiers, versions and numbers of machines
    r"(?<![\w/])(?:~|\.{1,2})?(?:/[\w.+@-]+)+/?(?=[/\s.,;:!?)\"'»“]|$)|(?<!\w)[A-Za-z]:\\[^\s\"<>|]+",
    rf"(?<![\w.+-])[\w+-][\w.+-]*\.(?:{'|'.join(_EXTENSIONS.split())})(?![\w-])",
    r"(?<![\w.])\w+(?:\.\w+)*\(\)|(?<!\w)(?:[a-zA-Z]\w*_\w+)(?!\w)|(?<!\w)--?[a-z][a-z-]+(?:=\S+)?(?![\w-])",
    r"(?<![\w.])v?\d+(?:\.\d+){2,}(?:-[\w.]+)?(?!\w)|(?<!\w)[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}(?!\w)|(?<!\w)0x[0-9a-fA-F]+(?!\w)",
    r"(?<![\w&])[@#][A-Za-z_]\w*",
    # quantities
    rf"(?<![.,])(?<!\d['’\u00a0\u202f])(?<!{_LETTER})[+−-]?{_AMOUNT}[\u00a0\u202f ]?"
    rf"(?:{'|'.join(_UNITS.split())}|%(?!%))(?!{_LETTER}|[/{{(])",
    rf"(?<!{_LETTER})(?:[€$£¥₽₹₩]|(?:EUR|USD|GBP|CHF)(?=[\u00a0 ]))[\u00a0\u202f ]?{_AMOUNT}(?!{_LETTER})",
)
_MARK: Final = r"<(?P<end>/?)(?P<name>[A-Za-z][\w.:-]{0,40}|\d{1,4})(?:\s[^<>]{0,500}?)?(?P<empty>/?)>"
_PICTURE: Final = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff]"
_EMOJI: Final = rf"(?:{_PICTURE}[\ufe0e\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff]*)+|[0-9#*]\ufe0f?\u20e3"
_KEPT: Final = re.compile(f"{_MARK}|(?P<word>{'|'.join(_WORDS)})|(?P<emoji>{_EMOJI})")
_ANY: Final = re.compile(rf"[{{%$@#_/\\<=]|\d|\w\.\w|\w\(\)|--?\w|\[\[|{_PICTURE}")
"""What any of them has: a text without is not looked at further."""
_CLOSERS: Final = {")": "(", "]": "[", "}": "{"}


def with_kept(segment: Sequence[str | Tag], keys: Iterator[int] | None = None) -> Segment:
    """Find what in the text of a segment is kept to the letter.

    Args:
        segment: Text and tags.
        keys: Keys that no tag of the segment has; None for negative ones.

    Returns:
        The same with `Kept` for all that is kept: as words, as pictures that stand alone, or, where the text is marked
        up (`<0>this</0>`), as pairs of tags.
    """
    numbers = count(-1, -1) if keys is None else keys
    return joined(
        piece
        for part in segment
        for piece in ([part] if isinstance(part, Tag) or not _ANY.search(part) else _kept_in(part, numbers))
    )


def _kept_in(text: str, keys: Iterator[int]) -> list[str | Tag]:
    """Cut a text around what is kept."""
    found: list[str | Tag] = []
    opened: list[tuple[str, int]] = []  # names of tags that are open, and their places in what is found
    names: Counter[str] = Counter()  # of those
    done = 0
    for match in _KEPT.finditer(text):
        start, end = match.span()
        if match["word"] is not None:
            end = start + len(_without_the_sentence_s(match[0]))
            tag = Kept(Kind.WORD, next(keys), text[start:end])
        else:
            tag = Kept(Kind.ALONE, next(keys), match[0])
        found += [text[done:start], tag]
        done = end
        if match["name"] is not None and not match["empty"]:
            _pair(found, opened, names, match["name"], ends=bool(match["end"]))
    return [*found, text[done:]]


def _pair(found: list[str | Tag], opened: list[tuple[str, int]], names: Counter[str], name: str, *, ends: bool) -> None:
    """Make a pair of the tag that was found last and the one that opened, if it is one that closes."""
    if not ends:
        opened.append((name, len(found) - 1))
        names[name] += 1
    elif names[name]:
        inner = ""
        while inner != name:
            inner, place = opened.pop()
            names[inner] -= 1
        first, last = found[place], found[-1]
        assert isinstance(first, Kept)
        assert isinstance(last, Kept)
        found[place] = Kept(Kind.OPEN, first.key, first.markup)
        found[-1] = Kept(Kind.CLOSE, first.key, last.markup)


def _without_the_sentence_s(word: str) -> str:
    """Return an address without the punctuation of the sentence in which it stands."""
    if "://" not in word and not word.startswith(("www.", "mailto:", "tel:")) and word[1:3] != ":\\":
        return word
    end, counts = len(word), Counter(letter for letter in word if letter in "()[]{}")
    while end and (
        word[end - 1] in ".,;:!?'\"»”’*"
        or (word[end - 1] in _CLOSERS and counts[_CLOSERS[word[end - 1]]] < counts[word[end - 1]])
    ):
        end -= 1
        counts[word[end]] -= 1
    return word[:end]


def as_text(segment: Sequence[str | Tag]) -> Segment:
    """Make text again of what was kept."""
    return joined(part.markup if isinstance(part, Kept) else part for part in segment)
