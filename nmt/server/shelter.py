"""Translated documents, kept in memory until their clients fetch them, or for a while."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple


class Kept(NamedTuple):
    """A document."""

    name: str
    """For the client; no path is made of it."""
    media_type: str
    content: bytes
    until: float
    """When it is forgotten."""


class Shelter:
    """Keeps documents under names that nobody can guess.

    Args:
        most: Bytes that they take together; the oldest are forgotten first.
        seconds: For which one is kept.
        clock: Seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def put(self, name: str, media_type: str, content: bytes) -> str:
        """Keep a document; returns under which name."""
        token = secrets.token_urlsafe(24)
        self._kept[token] = Kept(name, media_type, content, self._clock() + self._seconds)
        self._bytes += len(content)
        self._forget()
        return token

    def get(self, token: str) -> Kept | None:
        """Return a document; None if there is none, or none any more."""
        self._forget()
        return self._kept.get(token)

    def _forget(self) -> None:
        now = self._clock()
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if oldest.until > now and (self._bytes <= self._most or len(self._kept) == 1):
                break
            self._kept.popitem(last=False)
            self._bytes -= len(oldest.content)
