"""Which script a text is written in, as far as that says how its words are found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

_LINES: Final = 1_000  # enough to tell
_SCRIPTS: Final = {
    "kana": re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d]"),
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"),
    "hangul": re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]"),
    "unspaced": re.compile("[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]"),
}


def script_of(lines: Iterable[str]) -> str | None:
    """Tell languages that are written without spaces, or otherwise count words in their own way.

    Args:
        lines: The text; its beginning is looked at.

    Returns:
        "ja", "zh" or "ko" if most letters are Japanese, Chinese or Korean; "unspaced" if they are Thai, Lao, Burmese or
        Khmer; None for any other text.
    """
    text = "".join(islice(lines, _LINES))
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    letters = sum(map(str.isalpha, text))
    if counts["unspaced"] > letters / 2:
        return "unspaced"
    if counts["kana"] + counts["han"] + counts["hangul"] <= letters / 2:
        return None
    if counts["hangul"] > counts["han"]:
        return "ko"
    return "ja" if counts["kana"] > counts["han"] / 20 else "zh"
