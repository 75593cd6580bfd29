"""What is told on standard error, made safe for a terminal: the only place from which text of files gets there."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

_LONGEST: Final = 1000
_MOST_LINES: Final = 40


def printable(text: str, longest: int = _LONGEST) -> str:
    r"""Write a text so that it can be shown: what could move a cursor, or hide, as `\x1b`; what is long, shortened.

    Args:
        text: Any text, such as a message that names a key of a file.
        longest: Characters that may be shown; of more, the beginning and the end are.

    Returns:
        One line.
    """
    ends = text if len(text) <= 2 * longest else text[:longest] + text[-longest:]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in ends)
    if len(shown) <= longest:
        return shown
    return f"{shown[: 2 * longest // 3]} ... ({len(text):,} characters) ... {shown[-longest // 3 :]}"


def tell(who: str, message: str) -> None:
    """Say something on standard error, each line after the name of who says it.

    Args:
        who: Such as "nmt train".
        message: What; lines beyond the fortieth are left out.
    """
    lines = message.split("\n")
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"and {len(lines) - _MOST_LINES} more lines"]
    with suppress(OSError):  # nobody can hear it; what is to be done is done all the same
        for line in lines:
            print(f"{who}: {printable(line)}", file=sys.stderr, flush=True)
