"""What of a text reaches a model: characters that show something, and one kind of space."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SPACES: Final = "\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space but for the plain space: all that `str.isspace` knows, as ranges of a regular expression."""
_HIDDEN: Final = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters
    # Unicode's default ignorable code points: format characters, fillers, variation selectors, tags; annotations
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ODD: Final = re.compile(f"[{_SPACES}{_HIDDEN}]+")
_JOINERS: Final = re.compile("[\u200c\u200d\u180b-\u180f]")
"""Non-joiner, joiner, and the selectors of Mongolian: what may say how the letters beside it are written."""
_JOINED_SCRIPTS: Final = re.compile(
    "[\u0600-\u0dff\u1000-\u109f\u1780-\u18af\u1b00-\u1bff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff]"
)
"""Arabic and its neighbours, and the scripts of India and of South-East Asia that came of Brahmi."""


def plain_text(text: str) -> str:
    """Take from a text what nobody sees, so that what looks alike is alike to a model.

    All white space, such as tabs and no-break spaces, is a space. Control and format characters, such as NUL, soft
    hyphens, zero-width spaces, byte order marks, marks of direction and variation selectors, are taken out. A joiner
    or non-joiner stays where it changes what is seen: between letters of Arabic, Indic and other scripts that join,
    and in an emoji that is made of several.

    Args:
        text: Anything.

    Returns:
        The text; plain spaces in it are as they were.
    """
    return text if text.isascii() and text.isprintable() else _ODD.sub(_instead, text)


def _instead(match: re.Match[str]) -> str:
    """What stands for a run of white space and hidden characters."""
    run, text = match[0], match.string
    if any(map(str.isspace, run)):
        return " "
    joiner = _JOINERS.search(run)
    if joiner and match.start() > 0 and match.end() < len(text):
        before, after = text[match.start() - 1], text[match.end()]
        if _joins(before, after):
            return joiner[0]
    return ""


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between two characters changes how they are written."""
    kinds = unicodedata.category(before), unicodedata.category(after)
    if all(kind[0] in "LM" for kind in kinds):
        return bool(_JOINED_SCRIPTS.match(before) and _JOINED_SCRIPTS.match(after))
    return kinds[0] in ("So", "Sk") and kinds[1] == "So"  # pictures, of which the first may have a skin's colour
