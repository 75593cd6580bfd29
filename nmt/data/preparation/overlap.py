"""How much of a validation or test set also stands in the training text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from nmt.data.preparation.duplicates import hash_text

# Explicit ranges instead of \W, which would also take the vowel signs of Indic scripts. Full-width forms have become
# ASCII by then.
_SPACE_AND_PUNCTUATION: Final = re.compile(
    "[\\s!-/:-@\\[-`{-~\x00-\x1f\x7f-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\u2000-\u206f\u3000-\u3004\u3008-\u3020\u3030"
    "\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0589\u1362-\u1368\u17d4\u17d5\u104a\u104b\u30fb]+"
)


class Overlap(BaseModel):
    """How many lines of a set occur in the training text, whatever their case, spaces and punctuation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: int
    """Pairs of the set."""
    sources: int
    """Those whose source is also the source of a training pair."""
    pairs: int
    """Those whose source and target are also a training pair."""


def plain_text(text: str) -> str:
    """Take from a text what overlap does not look at: case, white space, punctuation, compatibility forms."""
    return _SPACE_AND_PUNCTUATION.sub("", unicodedata.normalize("NFKC", text).casefold())


class OverlapCounter:
    """Counts the overlap of sets with training text that streams past; memory grows with the sets alone.

    Args:
        sets: The pairs of each set.
    """

    def __init__(self, sets: Mapping[str, Iterable[tuple[str, str]]]) -> None:
        self._sets = {name: [_keys(*pair) for pair in pairs] for name, pairs in sets.items()}
        keys = [key for pairs in self._sets.values() for key in pairs]
        self._sources = {source: False for source, _ in keys if source is not None}
        self._pairs = {pair: False for _, pair in keys if pair is not None}

    def see(self, source: str, target: str) -> None:
        """Take note of a training pair."""
        plain = plain_text(source)
        key = hash_text(plain)
        if key not in self._sources:
            return
        self._sources[key] = True
        pair = hash_text(plain, plain_text(target))
        if pair in self._pairs:
            self._pairs[pair] = True

    def counts(self) -> dict[str, Overlap]:
        """Overlap of each set with the training pairs seen so far."""
        return {
            name: Overlap(
                lines=len(keys),
                sources=sum(self._sources.get(source, False) for source, _ in keys if source is not None),
                pairs=sum(self._pairs.get(pair, False) for _, pair in keys if pair is not None),
            )
            for name, keys in self._sets.items()
        }


def _keys(source: str, target: str) -> tuple[int | None, int | None]:
    """Hashes of a source and of a pair; None where there is no text to compare."""
    plain = plain_text(source)
    return (hash_text(plain), hash_text(plain, plain_text(target))) if plain else (None, None)
