"""Lines that were broken to fit a width: joined to be translated, and broken again at the same shares of the whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import median
from typing import Final

_WIDTHS: Final = (50, 100)  # characters of the longest line of text that was broken to fit a width


def is_wrapped(lines: Sequence[str]) -> bool:
    """Whether lines are a paragraph that was broken to fit a width: all but the last have about the same length.

    A list, an address or a poem has lines of very different lengths, or short ones.

    Args:
        lines: Lines without blank ones between them.
    """
    lengths = [len(line.rstrip()) for line in lines]
    widest = max(lengths)
    return (
        len(lines) > 1
        and _WIDTHS[0] <= widest <= _WIDTHS[1]
        and lengths[-1] <= widest
        and median(lengths[:-1]) >= 0.8 * widest
        and min(lengths[:-1]) >= 0.6 * widest
        and not any(line[:1].isspace() or not line[0].isalnum() for line in lines[1:])
    )


def as_wrapped(text: str, lines: Sequence[str], between: Sequence[str]) -> str:
    """Break a text into as many lines as another one, each of about the same share of the whole.

    The lines of the other one itself, joined by single spaces, are broken just as they were.

    Args:
        text: The text, on one line.
        lines: The lines of the other text; white space at their ends does not count.
        between: What stands behind each of them, such as a line end and the indentation of the next.

    Returns:
        The text; what stands behind lines that it is too short for is left out, but for the last.
    """
    if len(lines) == 1:
        return text + between[0]
    lengths = [len(lines[0].rstrip()), *(len(line.strip()) for line in lines[1:])]
    total = sum(lengths) + len(lengths) - 1
    spaces = [place for place, character in enumerate(text) if character == " "]
    parts: list[str] = []
    start = at = 0
    for length, behind in zip(lengths[:-1], between, strict=False):
        at += length
        wanted = at * len(text) / max(1, total)
        at += 1
        right = bisect_right(spaces, max(wanted, start))
        near = [each for each in spaces[max(0, right - 1) : right + 1] if each > start]
        if not near:
            break
        place = min(near, key=lambda each: abs(each - wanted))
        parts += [text[start:place], behind]
        start = place + 1
    return "".join([*parts, text[start:], between[-1]])
