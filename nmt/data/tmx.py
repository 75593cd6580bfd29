"""Translation memories: the pairs of a TMX file, read with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError, iterparse

_LANGUAGE: Final = ("{http://www.w3.org/XML/1998/namespace}lang", "lang")  # version 1.4, and those before
_SHOWN: Final = 20  # languages of a file that a message names
_CODE: Final = frozenset(("bpt", "ept", "it", "ph", "ut"))
"""Elements of a segment that hold another program's codes; only `hi` and `sub` hold text."""


class TmxError(ValueError):
    """What is wrong with a translation memory; the message says where, without the file's name."""


def read_tmx(file: BinaryIO, languages: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Read the pairs of a translation memory.

    Args:
        file: The XML; entities that it declares itself are left to the parser's bounds, and nothing else is opened.
        languages: Codes of source and target. A segment is of a language if its code is equal, or else if it begins
            with it and a region follows, as in `de-AT` for `de`.

    Yields:
        The texts of each unit that has both, on one line each, without codes of formatting.

    Raises:
        TmxError: It is no TMX, is cut off, or has no unit in both languages.
    """
    seen: dict[str, None] = {}
    units = pairs = 0
    root = None
    try:
        for event, element in iterparse(file, ("start", "end")):
            if root is None:
                root = element
                if _name(root) != "tmx":
                    raise TmxError(f"expected a translation memory, whose first element is tmx, got {_name(root)[:80]}")
            if event == "end" and _name(element) == "tu":
                units += 1
                texts = _texts(element)
                seen.update(dict.fromkeys(texts) if len(seen) < _SHOWN else {})
                found = [_text_in(texts, language) for language in languages]
                for child in root:
                    child.clear()  # what was read takes no more memory
                if found[0] is not None and found[1] is not None:
                    pairs += 1
                    yield found[0], found[1]
    except ParseError as error:
        raise TmxError(f"line {error.position[0]}: expected XML, got {error}") from None
    if not pairs:
        raise TmxError(
            f"expected units in {languages[0]} and {languages[1]} (data.source_language, data.target_language), got "
            f"{units:,} units in {', '.join(sorted(seen)) or 'no language'}"
        )


def _texts(unit: Element) -> dict[str, str]:
    """Texts of a unit by language, in small letters; the first of each."""
    texts: dict[str, str] = {}
    for variant in unit:
        code = next((variant.attrib[name] for name in _LANGUAGE if name in variant.attrib), None)
        segment = next((child for child in variant if _name(child) == "seg"), None)
        if _name(variant) == "tuv" and code is not None and segment is not None:
            texts.setdefault(code.lower().replace("_", "-"), " ".join("".join(_words(segment)).split()))
    return texts


def _text_in(texts: dict[str, str], language: str) -> str | None:
    wanted = language.lower().replace("_", "-")
    near = (code for code in texts if code.startswith(f"{wanted}-"))
    return texts.get(wanted if wanted in texts else next(near, ""))


def _words(element: Element) -> Iterator[str]:
    """Text of a segment, that of codes left out; what stands behind one belongs to what is around it."""
    if _name(element) not in _CODE:
        yield element.text or ""
        for child in element:
            yield from _words(child)
            yield child.tail or ""


def _name(element: Element) -> str:
    """Name of an element, without its namespace."""
    return element.tag.rpartition("}")[2]
