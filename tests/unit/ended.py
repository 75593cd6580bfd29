"""What a signal may do: end some work at any moment of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator


class Ended(BaseException):
    """What a signal's handler raises."""


def ended_at_every_moment(work: Callable[[], object]) -> Iterator[bool]:
    """Do work again and again, ended later each time, until it is done.

    It is ended where Python looks for signals: where a function begins, or one of C's returns.

    Yields:
        Each time, whether the work was ended; the last time it is done. Any other error comes through, such as one
        of undoing what was begun.
    """
    moment = 0
    ended = True
    while ended:
        moment += 1
        ended = _ended_at(moment, work)
        yield ended


def _ended_at(moment: int, work: Callable[[], object]) -> bool:
    left = moment

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal left
        if event == "return":
            return
        left -= 1
        if left == 0:
            sys.setprofile(None)
            raise Ended

    sys.setprofile(count)
    try:
        work()
    except Ended:
        return True
    finally:
        left = 0  # what follows is not the work's
        sys.setprofile(None)
    return False
