"""How the translation of a line went."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How the translation of a line went.

    | status | what it means | what the output is |
    |---|---|---|
    | ok | translated in one piece; nothing looked wrong, or nothing was checked (`--no-retry`) | the translation |
    | split | longer than `data.max_length` subwords: cut, translated piece by piece | the pieces, rejoined |
    | retried | the first translation looked like a loop or like dropped content, the second did not | the second |
    | empty | nothing to translate: no characters, or only white space and invisible ones | an empty line |
    | copied | nothing that the model can read: no letter or digit of its vocabulary | the line as it came |
    | failed | both translations look wrong, or the search found none | the one least in doubt, or an empty line |

    A line in pieces has the worst status of any piece: failed, else retried, else split.
    """

    OK = "ok"
    SPLIT = "split"
    RETRIED = "retried"
    EMPTY = "empty"
    COPIED = "copied"
    FAILED = "failed"


_BY_WEIGHT = (Status.OK, Status.SPLIT, Status.RETRIED, Status.FAILED)


def worst(*statuses: Status) -> Status:
    """Return the worst of ok, split, retried and failed."""
    return max(statuses, key=_BY_WEIGHT.index)
