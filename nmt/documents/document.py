"""What every format makes of a document, and what may be in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.text.results import TextResult
from nmt.text.segments import Segment


class DocumentError(ValueError):
    """A document that cannot be translated; the message says what was expected and what came."""


@dataclass(frozen=True)
class Limits:
    """How large a document may be. What is larger is refused before it takes memory or time."""

    size: int = 64 << 20
    """Bytes of the file."""
    unpacked: int = 256 << 20
    """Bytes of all that a zipped format packs."""
    parsed: int = 48 << 20
    """Bytes of text and XML that are taken apart, which takes ten times as much memory."""
    entries: int = 10_000
    """Files in a zipped format."""
    ratio: int = 200
    """How many times as large it may be unpacked, where that is more than `free`: ten is usual."""
    free: int = 16 << 20
    """Bytes below which nobody asks for the ratio."""


@dataclass(frozen=True)
class Left:
    """What of a document is not translated."""

    what: str
    """Such as "code"."""
    why: str
    count: int = 1
    """How many there are."""


class Languages(NamedTuple):
    """From what into what, as far as it is known: codes such as `en` or `pt-BR`, or nothing."""

    source: str = ""
    target: str = ""

    def change(self, code: str) -> bool:
        """Whether text that is said to be in a language is in another one now."""
        return self.target != "" and base_language(code) == base_language(self.source) != base_language(self.target)


@dataclass(frozen=True)
class Document:
    """A document that was taken apart."""

    texts: Sequence[str | Segment]
    """What is to be translated, in the order in which it is read."""
    write: Callable[[Sequence[TextResult]], bytes]
    """Makes the document again, with what became of each of `texts`; to be called once."""
    left: Sequence[Left] = ()
    """What is not."""
    format: str = "text"
    """What those of `texts` are that are no segments; see `nmt.text.translating.TextFormat`."""


@dataclass
class Leaving:
    """Counts what is left as it is."""

    found: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, what: str, why: str, count: int = 1) -> None:
        """Leave something, or nothing if the count is 0."""
        if count:
            self.found[what, why] += count

    def all(self) -> tuple[Left, ...]:
        """Return it, in the order in which it was first met."""
        return tuple(Left(what, why, count) for (what, why), count in self.found.items())


def base_language(code: str) -> str:
    """Return the language of a code without region and script: `pt` for `pt-BR` and `pt_BR`."""
    return code.replace("_", "-").partition("-")[0].lower()
