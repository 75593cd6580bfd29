"""Which languages a service translates, what they are called, and which codes mean them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from babel import Locale, UnknownLocaleError

from nmt.server.errors import Refused


class Language(NamedTuple):
    """A language of which, or to which, something is translated."""

    code: str
    name: str
    """In English."""
    targets: tuple[str, ...]
    """Codes of those to which it is translated; itself is one of them, as which nothing changes."""


@lru_cache(maxsize=1000)
def name_of(code: str) -> str:
    """Return the English name of a language, or the code itself if it has none."""
    try:
        return Locale.parse(code.replace("-", "_")).english_name or code
    except (ValueError, UnknownLocaleError):
        return code


class Languages:
    """The languages of some directions.

    Args:
        directions: Codes of sources and targets.
    """

    def __init__(self, directions: Iterable[tuple[str, str]]) -> None:
        targets: dict[str, set[str]] = {}
        for source, target in directions:
            targets.setdefault(source, {source}).add(target)
            targets.setdefault(target, {target})
        self.all = tuple(Language(code, name_of(code), tuple(sorted(targets[code]))) for code in sorted(targets))
        """Sorted by their codes."""
        self._by_code = {_folded(each.code): each for each in self.all}

    def find(self, code: str) -> Language:
        """Return the language of a code: by itself, or without its region or script, as `en` for `en-GB`.

        Raises:
            Refused: There is none.
        """
        folded = _folded(code)
        while folded:
            if found := self._by_code.get(folded):
                return found
            folded = folded.rpartition("-")[0]
        raise Refused(400, f"{code[:40]} is not supported")

    def direction(self, source: str, target: str) -> tuple[str, str]:
        """Return the codes of a direction.

        Raises:
            Refused: One of them is unknown, or there is no way from one to the other.
        """
        first, second = self.find(source), self.find(target)
        if second.code not in first.targets:
            raise Refused(
                400,
                f"{second.name} ({second.code}) is not available as a target language from {first.name} ({first.code})",
            )
        return first.code, second.code


def _folded(code: str) -> str:
    return code.replace("_", "-").casefold()
