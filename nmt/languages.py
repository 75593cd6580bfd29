"""Language codes: which are equal, what several are together, and how a model is told which one to write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

CODE: Final = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,3}")
"""Codes as in BCP 47, if perhaps with `_`: short, and without what file names, URLs or tags give a meaning to."""
MULTIPLE: Final = "mul"
"""The code of several languages (ISO 639-2)."""

UNNAMED: Final = ("src", "tgt")
"""What stands for source and target where nobody said which languages they are."""

Direction = tuple[str, str]
"""Codes of source and target."""


class LanguageError(ValueError):
    """A language that a model does not write or read; the message names those that it does."""


def folded(code: str) -> str:
    """Return what is equal for equal language codes: `pt_BR` is `pt-br`."""
    return code.replace("_", "-").casefold()


def common(codes: Iterable[str]) -> str:
    """Return the one code that all are, or else that of several languages."""
    found = {folded(code): code for code in codes}
    return next(iter(found.values())) if len(found) == 1 else MULTIPLE


def distinct(codes: Iterable[str]) -> list[str]:
    """Leave out codes that are equal to one before."""
    found: dict[str, str] = {}
    for code in codes:
        found.setdefault(folded(code), code)
    return list(found.values())


def same_direction(one: Direction, other: Direction) -> bool:
    """Whether the languages may be the same: those that nobody named may be any."""
    return all(
        folded(mine) == folded(yours) or unnamed in (mine, yours)
        for mine, yours, unnamed in zip(one, other, UNNAMED, strict=True)
    )


def told_directions(directions: Iterable[Direction]) -> str:
    """Return what a message says of pairs of languages: `en-de, en-fr`."""
    return ", ".join("-".join(each) for each in directions)


def target_tag(code: str) -> str:
    """Return the subword that tells a network which language to write."""
    return f"<2{folded(code)}>"


def language_of_tag(piece: str) -> str | None:
    """Return the language, folded, of what `target_tag` made; None if a subword is none."""
    return piece[2:-1] if piece.startswith("<2") and piece.endswith(">") and CODE.fullmatch(piece[2:-1]) else None


def find_language(name: str, asked: str | None, known: Collection[str]) -> str:
    """Find the language that is asked for.

    Args:
        name: What asked, for the message.
        asked: Its code; None leaves it to there being one only.
        known: Codes of those that there are.

    Returns:
        The code as it is known.

    Raises:
        LanguageError: There is no such language, or none is named where there are several.
    """
    if asked is None and len(known) == 1:
        return next(iter(known))
    for code in known:
        if asked is not None and folded(code) == folded(asked):
            return code
    came = "none" if asked is None else repr(asked[:40])
    raise LanguageError(f"{name}: expected one of the languages that the model writes, {', '.join(known)}; got {came}")
