"""Bytes that are no UTF-8: what they may be, and the command that would make text of them."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path
from typing import Final

_BY_LANGUAGE: Final = {
    "ja": ("CP932", "EUC-JP"),
    "zh": ("GB18030", "BIG5"),
    "ko": ("CP949",),
    **dict.fromkeys(("be", "bg", "mk", "ru", "sr", "uk"), ("CP1251",)),
    **dict.fromkeys(("bs", "cs", "hr", "hu", "pl", "ro", "sk", "sl"), ("CP1250",)),
    "el": ("CP1253",),
    "tr": ("CP1254",),
    "he": ("CP1255",),
    **dict.fromkeys(("ar", "fa", "ur"), ("CP1256",)),
    **dict.fromkeys(("et", "lt", "lv"), ("CP1257",)),
    "vi": ("CP1258",),
    "th": ("CP874",),
}
"""What text was written in before UTF-8, by language; CP1252, a wider Latin-1, for all others."""
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_COMPRESSED: Final = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_CONTROL: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))


def is_marked(content: bytes) -> bool:
    """Whether a file that begins like this says that it is UTF-16 or UTF-32."""
    return any(content.startswith(mark) for mark, _ in _MARKS)


def looks_wide(content: bytes) -> bool:
    """Whether a line is of an encoding of two or four bytes a character, which may well be UTF-8.

    In most scripts every other byte of it, or two of four, is a control character, and the byte of the letter is none.
    """
    controls = _controls(content)
    return sum(controls) > 0.45 * len(content) > 1 and min(controls) * 10 < len(content)


def _controls(content: bytes) -> list[int]:
    """Count the control characters among every fourth byte, from each of the first four on."""
    places = [content[start::4] for start in range(4)]
    return [len(place) - len(place.translate(None, _CONTROL)) for place in places]


def guess_encoding(content: bytes, language: str = "") -> str | None:
    """Guess what bytes that are no UTF-8 are.

    Args:
        content: The beginning of a file.
        language: Code of its language, if it is known.

    Returns:
        A name that `iconv` knows; None if none fits.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    if looks_wide(content):
        controls = _controls(content)
        mostly = [count * 5 > len(content) / 4 * 3 for count in controls]
        if mostly[0] and mostly[1]:
            return "UTF-32BE"
        if mostly[2] and mostly[3]:
            return "UTF-32LE"
        return "UTF-16BE" if controls[0] + controls[2] > controls[1] + controls[3] else "UTF-16LE"
    for name in _BY_LANGUAGE.get(language.lower().replace("_", "-").partition("-")[0], ("CP1252",)):
        try:
            codecs.getincrementaldecoder(name)().decode(content)
        except UnicodeDecodeError:
            continue
        return name
    return None


def advice(path: Path | None, content: bytes, language: str = "") -> str:
    """Say what would make text of a file.

    Args:
        path: The file; None for stdin.
        content: Its beginning.
        language: Code of its language, if it is known.
    """
    file = "FILE" if path is None else shlex.quote(str(path))
    for magic, kind in _COMPRESSED:
        if content.startswith(magic):
            return f"it is {kind} data: {kind} -dc {file} > TEXT"
    name = guess_encoding(content, language)
    if name is None:
        return f"iconv -f ENCODING -t UTF-8 {file} > TEXT makes text of it, with one of the encodings of iconv -l"
    return f"if it is {name}: iconv -f {name} -t UTF-8 {file} > TEXT"
