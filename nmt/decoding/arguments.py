"""What a caller may hand to a translator; all else is a TypeError that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import cast


def checked_lines(lines: object, name: str = "lines") -> list[str]:
    """Check that something is a list of texts, in the order in which they are wanted.

    Raises:
        TypeError: It is not; says `name`, and the place.
    """
    if isinstance(lines, (str, bytes, bytearray)):
        raise TypeError(f"{name}: expected a list of texts, got a single one; for one line: translate([line])[0]")
    return [checked_text(f"{name}[{place}]", line) for place, line in enumerate(_items(name, lines, "texts"))]


def each_checked(lines: object) -> Iterator[str]:
    """Go through texts one by one, however many there are.

    Raises:
        TypeError: It is nothing to go through; or, when its turn comes, an item is no text.
    """
    if isinstance(lines, (str, bytes, bytearray)):
        raise TypeError("lines: expected many texts, got a single one; for one line: translate([line])[0]")
    items = _items("lines", lines, "texts")
    return (checked_text(f"lines[{place}]", line) for place, line in enumerate(items))


def checked_pairs(pairs: object) -> list[tuple[str, str]]:
    """Check that something is a list of pairs of texts.

    Raises:
        TypeError: It is not; names the place.
    """
    found = []
    for place, pair in enumerate(_items("pairs", pairs, "pairs of texts")):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            what = f"{len(pair)} items" if isinstance(pair, (tuple, list)) else type(pair).__name__
            raise TypeError(f"pairs[{place}]: expected (source, translation), got {what}")
        found.append((checked_text(f"pairs[{place}][0]", pair[0]), checked_text(f"pairs[{place}][1]", pair[1])))
    return found


def _items(name: str, values: object, what: str) -> Iterable[object]:
    if isinstance(values, (str, bytes, bytearray, Mapping, Set)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name}: expected a list of {what}, got {type(values).__name__}")
    return cast(Iterable[object], values)


def checked_text(name: str, value: object) -> str:
    """Check that something is a text.

    Raises:
        TypeError: It is not; says `name`.
    """
    if isinstance(value, str):
        return value
    advice = "; decode it: .decode('utf-8')" if isinstance(value, (bytes, bytearray)) else ""
    raise TypeError(f"{name}: expected str, got {type(value).__name__}{advice}")
