"""What in a text is kept to the letter, as patterns."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = """[kMGT]?i?[Bb] [kMGT]?bit/s [kMGT]i?B/s [kcmdµμn]?m[²³23]? [kMGmµ]?[WVAJNg] [kM]?cal [kMGT]?Hz k?Ω
    [kMG]?Wh [kh]?Pa [mcdhk]?l [mcdh]?L km/h m/s mph ft mi lbs? oz px rpm dB bar ha h min s ms °[CFK]? ℃ ℉
    [€$£¥₽₹₩] EUR USD GBP CHF JPY CZK PLN kg/m[³3] g/l mg/l mol ppm"""
_ALSO_WORDS: Final = "A B J N V W b bar ft g h ha l m mi min s"
"""Units that are words, too, in some language: `mi`, mine, is a mile, and `ha`, has, a hectare."""
_AMOUNT: Final = r"\d+(?:[.,'’\u00a0\u202f]\d+)*"
_EXTENSIONS: Final = """7z avi bash bat bin bmp bz2 c cfg conf cpp css csv dat db dll doc docx epub exe flac gif go
    gz h hpp htm html ico ics ini ipynb iso jar java jpe?g js json jsx log lua md mkv mov mp3
    mp4 odp ods odt ogg pdf php pl png po pptx? ps1 py rar rb rs rst rtf sh sql sqlite srt svg
    tar tex tiff? toml ts tsv ttf txt vtt wav webm webp whl xcf xhtml xlsx? xml ya?ml zip zst"""

_LETTER: Final = r"[0-9A-Za-z_\u00c0-\u052f]"  # in scripts without spaces, letters may stand right beside what is kept
_OF_ADDRESS: Final = r"[^\s<>\"\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]"


def _nested(depth: int) -> str:
    """Return a pattern for a character, or for braces within each other, so many at most."""
    return r"[^{}\n]" if not depth else rf"(?:[^{{}}\n]|\{{{_nested(depth - 1)}*+\}})"


# a place in a format of printf: %s, %5.2f, %1$s, %(x)d, %@
_PRINTF: Final = (
    r"(?<!\d)%(?:\d+\$|\([^()\s]{1,100}\))?[-+#0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?"
    r"(?:hh|h|ll|l|L|q|j|z|t)?[diouxXeEfFgGaAcCsSpn@](?![0-9A-Za-z_\u00c0-\u052f])"
)


def _quantity(but: str = "") -> str:
    """Return a pattern for an amount with its unit, unless another pattern fits the unit."""
    return (
        rf"(?<![.,])(?<!\d['’\u00a0\u202f])(?<!{_LETTER})[+−-]?{_AMOUNT}[\u00a0\u202f ]?{but}"
        rf"(?:{'|'.join(_UNITS.split())}|(?!{_PRINTF})%(?!%))(?!{_LETTER}|[/{{(@$]|['’]{_LETTER})"
    )


_SURE: Final = r"(?!0\d)" + _quantity(rf"(?!(?:{'|'.join(_ALSO_WORDS.split())})(?![\w/]))")
"""A quantity that cannot be the end of a number, and a word behind it."""
_NUMBERS: Final = (  # versions and numbers of machines and books, days and moments, 1e-5
    r"(?<![\w.])v?\d+(?:\.\d+){2,}(?:[-+][\w.+-]*\w)?(?:[:/]\d+)?(?!\w)|(?<!\w)[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}(?!\w)",
    r"(?<![\w:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:])|(?<![\w-])[A-Z]{2,}(?:-[A-Z0-9]+)*-\d+(?![\w-])",
    r"(?<!\w)ISBN(?:-1[03])?:? ?[\d-]{9,16}[\dX](?!\w)|(?<![\w.,])\d+(?:\.\d+)?[eE][+-]?\d+(?!\w)",
    r"(?<![\w-])\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w-])",
)
_BEGUN: Final = r"[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]{4}){2}"
"""What every number of an account has."""
_BLANK: Final = rf"[ \u00a0](?!{'|'.join((_SURE, *_NUMBERS, _BEGUN))})"
"""Within a number: none behind which something else begins."""
_ACCOUNT: Final = rf"(?<!\w){_BEGUN}(?:(?:{_BLANK})?(?:[A-Z0-9]{{4}}|\d{{1,3}}(?!\w))){{0,6}}(?!\w)"
_TELEPHONE: Final = (
    r"(?<!\w)\+\d{1,3}(?:[ \u00a0]\d(?=(?:[ \u00a0]\d\d){4}))?(?:[ \u00a0/-]?(?:\(\d{1,5}\)|\d{2,6})){2}"
    rf"(?:(?:{_BLANK}|[/-])?(?:\(\d{{1,5}}\)|\d{{2,6}})){{0,3}}(?:-\d)?(?!\w)"
)

# Whatever repeats without a bound begins where no other match could have begun before: else the time for a long word
# grows with its square.
_WORDS: Final = (
    # addresses
    rf"(?:https?|ftps?|file|ssh|git|wss?)://{_OF_ADDRESS}+|(?<![0-9A-Za-z_@.])www\.{_OF_ADDRESS}+"
    rf"|(?<!{_LETTER})(?:mailto|tel):{_OF_ADDRESS}+",
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    # templates: {{x}}, {%x%}, <%x%>, ${x}, #{x}, %{x}, {x}, {0:.2f}, {#if x}, [[x]], $(x), %x%, __x__
    r"\$?\{\{\{?[^{}\n]{0,200}\}?\}\}|\{%[^\n]{0,200}?%\}|<%[^\n]{0,200}?%>|<\?[^\n]{0,200}?\?>"
    r"|[$#%@]\{[^{}\n]{0,200}\}",
    # {n, plural, one {...} other {...}}
    rf"\{{\w+\s*,\s*(?:plural|select|selectordinal|number|date|time)\b{_nested(6)}*+\}}",
    r"\{[^{}\s]{0,100}\}|\{[@#/:!][^{}\n]{0,200}\}|\[\[[^\[\]\n]{1,100}\]\]|\[%[^\n%]{1,100}%\]|\$\([^()\s]{1,100}\)",
    r"(?<![\w%])%[A-Za-z_][\w.-]*%|(?<!\w)__\w+?__(?!\w)|&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,6});",
    # names in programs: :name, ::name, :name:, @:a.b, a::b, a->b
    r"(?<![^\s(\"'\[=,/])::?[a-z_][\w-]+:?|(?<![\w&])@(?:@|:)?[A-Za-z_]\w*(?:\.\w+)*|(?<![\w:])\w+(?:::\w+)+(?:\(\))?"
    r"|(?<!\w)\w+(?:->\w+)+(?:\(\))?",
    # formulas and escapes: $x$, $$x$$, \(x\), \frac{a}{b}, \n, \u00e9
    r"(?<![\w$\\])\$(?![\s$\d])[^$\n]{0,200}?[^$\s\\]\$(?!\w)|\$\$[^$\n]{1,300}\$\$"
    r"|\\\([^\n]{1,300}?\\\)|\\\[[^\n]{1,300}?\\\]",
    r"(?<!\w)\\(?:[A-Za-z]+\*?(?:\{[^{}\s]{0,100}\})+|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|\d+|[nrtvbf\"'\\]|[A-Za-z]+)|\\[nrt](?=[A-Z\s\\]|$)",
    # printf, with %%
    rf"%%|{_PRINTF}",
    r"(?<![\w$])\$[A-Za-z_]\w*(?:\.\w+)*",
    # paths, file names, identifiers
    r"(?<![\w/])(?:~|\.{1,2})?(?:/[\w.+@-]+)+/?(?=[/\s.,;:!?)\"'»“]|$)|(?<!\w)[A-Za-z]:\\[^\s\"<>|]+",
    rf"(?<![\w.+-])[\w+-][\w.+-]*\.(?:{'|'.join(_EXTENSIONS.split())})(?![\w-])",
    r"(?<![\w.])\w+(?:\.\w+)*\(\)|(?<!\w)(?:[a-zA-Z]\w*_\w+)(?!\w)|(?<!\w)--?[a-z][a-z-]+(?:=\S+)?(?![\w-])",
    r"(?<!\w)0x[0-9a-fA-F]+(?!\w)|(?<![\w&])#(?:\d+|[0-9A-Fa-f]{8}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3,4}|[A-Za-z_]\w*)(?!\w)",
    *_NUMBERS,
    _ACCOUNT,
    _TELEPHONE,
    _quantity(),
    rf"(?<!{_LETTER})(?:[€$£¥₽₹₩]|(?:EUR|USD|GBP|CHF)(?=[\u00a0 ]))[\u00a0\u202f ]?{_AMOUNT}(?!{_LETTER})",
)
_MARK: Final = r"<(?P<end>/?)(?P<name>[A-Za-z][\w.:-]{0,40}|\d{1,4})(?:\s[^<>]{0,500}?)?(?P<empty>/?)>"
_PICTURE: Final = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff]"
_EMOJI: Final = rf"(?:{_PICTURE}[\ufe0e\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff]*)+|[0-9#*]\ufe0f?\u20e3"
KEPT: Final = re.compile(f"{_MARK}|(?P<word>{'|'.join(_WORDS)})|(?P<emoji>{_EMOJI})")
ANY: Final = re.compile(rf"[{{%$@#_/\\<=&]|:[\w:]|->\w|\d|\w\.\w|\w\(\)|--?\w|\[\[|{_PICTURE}")
"""What any of them has: a text without is not looked at further."""
