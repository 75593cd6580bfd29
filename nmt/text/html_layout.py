"""HTML as segments, and all around them to the letter."""

from __future__ import annotations

import html
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nmt.text.html_names import (
    BUTTONS,
    DESCRIPTIONS,
    ENDED_BY,
    ENDERS,
    INLINE,
    LABELLED,
    PICTURES,
    TEXT_ATTRIBUTES,
    UNTOUCHED,
    WORDS,
)
from nmt.text.html_tokens import HtmlToken, Mark, read_html
from nmt.text.layout import Layout, Slot
from nmt.text.segments import Kind, Segment, Tag, plain, written

_NAME: Final = re.compile(r"<[^\s/>]*")
_ATTRIBUTE: Final = re.compile(r"""[\s/]*([^\s/>=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>]*))?""")
_INLINE_DEPTH: Final = 100  # inline elements that may be open inside of one that ends without a tag
_NO_BREAK: Final = re.compile(r"&(?:nbsp|#160|#[xX][aA]0);")


def layout_of_html(text: str) -> Layout:
    """Lay out HTML, whole pages or parts, however broken.

    What is between tags that are no inline elements is a segment; inline tags and comments are tags of it. Scripts,
    styles, code and preformatted text, and elements with `translate="no"` or the class `notranslate`, are kept to the
    letter, and stand for a word where they are inside a sentence. Attributes that are text are segments of their own.

    Args:
        text: The HTML.

    Returns:
        Its parts. What is not translated stays as it is to the letter.
    """
    builder = _Builder()
    for token in read_html(text):
        builder.add(token)
    return builder.layout()


@dataclass
class _Element:
    """An element that is open."""

    name: str
    translated: bool
    key: int | None = None
    """Of the tag in the segment that is being built, if it is one."""


class _Builder:
    """Makes a layout of tokens."""

    def __init__(self) -> None:
        self._done: list[str | Slot] = []
        self._segment: list[str | Tag] = []
        self._raw: list[str] = []  # the segment, to the letter
        self._tags: dict[int, Layout] = {}  # of it, those with attributes that are text
        self._open: list[_Element] = []
        self._names: Counter[str] = Counter()  # of those
        self._kept: list[str] | None = None  # what is kept inside a sentence, while it goes on
        self._kept_until = 0  # so many elements are open then
        self._kept_kind = Kind.WORD
        self._keys = itertools.count(1)

    def layout(self) -> Layout:
        """Return what all of it was made of."""
        self._end_kept(whole=False)
        self._flush()
        return tuple(self._done)

    def add(self, token: HtmlToken) -> None:
        """Take the next token."""
        if token.mark is Mark.START:
            self._start(token)
        elif token.mark is Mark.END:
            self._end(token)
        elif self._kept is not None and token.mark is not Mark.CUT:
            self._kept.append(token.raw)
        elif token.mark is Mark.CUT:
            self._end_kept(whole=False)
            self._literal(token.raw)
        elif token.mark is Mark.OTHER or not self._translated:
            self._literal(token.raw)
        elif token.mark is Mark.TEXT:
            self._add(html.unescape(token.raw), token.raw)
        else:
            self._add(Tag(Kind.ALONE, next(self._keys), token.raw), token.raw)

    @property
    def _translated(self) -> bool:
        return self._open[-1].translated if self._open else True

    def _start(self, token: HtmlToken) -> None:
        """Take a start tag."""
        name = token.name
        if self._kept is None or name not in INLINE:
            self._end_implied(name)
        translated = _translates(token, self._translated) and name not in UNTOUCHED
        inside = name in INLINE or name in WORDS or name in PICTURES
        element = _Element(name, translated and name not in WORDS and name not in PICTURES)
        if self._kept is not None:
            self._kept.append(token.raw)
        elif inside and self._translated and not element.translated:
            self._kept, self._kept_until = [token.raw], len(self._open)
            self._kept_kind = Kind.ALONE if name in PICTURES or token.is_void else Kind.WORD
        elif inside and self._translated:
            key = next(self._keys)
            layout = _tag_layout(token)
            if len(layout) > 1:
                self._tags[key] = layout
            self._add(Tag(Kind.ALONE if token.is_void else Kind.OPEN, key, token.raw), token.raw)
            element.key = key
        else:
            self._flush()
            self._done += _tag_layout(token) if translated else [token.raw]
        if not token.is_void:
            self._open.append(element)
            self._names[name] += 1
        self._end_kept_if_over()

    def _end(self, token: HtmlToken) -> None:
        """Take an end tag."""
        element = self._ended(token.name)
        if self._kept is not None:
            self._kept.append(token.raw)
            self._end_kept_if_over()
        elif token.name in INLINE and (element or self._current()).translated:
            key = element.key if element is not None else None
            self._add(Tag(Kind.CLOSE, next(self._keys) if key is None else key, token.raw), token.raw)
        else:
            self._literal(token.raw)

    def _current(self) -> _Element:
        return self._open[-1] if self._open else _Element("", translated=True)

    def _ended(self, name: str) -> _Element | None:
        """Close the element that an end tag ends, with those inside it; an inline one ends no others."""
        if not self._names[name]:
            return None
        place = next(place for place in range(len(self._open) - 1, -1, -1) if self._open[place].name == name)
        element = self._open[place]
        self._close(place, place + 1 if name in INLINE else len(self._open))
        return element

    def _end_implied(self, name: str) -> None:
        """Close the elements that end where another begins."""
        while name in ENDERS:
            upper = range(len(self._open) - 1, max(-1, len(self._open) - _INLINE_DEPTH), -1)
            place = next((place for place in upper if self._open[place].name not in INLINE), -1)
            if place < 0 or name not in ENDED_BY.get(self._open[place].name, ()):
                return
            self._close(place, len(self._open))

    def _close(self, start: int, end: int) -> None:
        for element in self._open[start:end]:
            self._names[element.name] -= 1
        del self._open[start:end]
        if self._kept is not None and start < self._kept_until:
            self._end_kept(whole=False)

    def _end_kept_if_over(self) -> None:
        if self._kept is not None and len(self._open) <= self._kept_until:
            self._end_kept()

    def _end_kept(self, *, whole: bool = True) -> None:
        """Make a tag of what is kept inside a sentence; what nothing closed stays where it is, and ends the segment."""
        if self._kept is not None:
            raw, self._kept = "".join(self._kept), None
            if whole:
                self._add(Tag(self._kept_kind, next(self._keys), raw), raw)
            else:
                self._literal(raw)

    def _add(self, part: str | Tag, raw: str) -> None:
        self._segment.append(part)
        self._raw.append(raw)

    def _literal(self, raw: str) -> None:
        """Keep something between segments."""
        self._flush()
        self._done.append(raw)

    def _flush(self) -> None:
        """End the segment."""
        if not self._segment:
            return
        raw = "".join(self._raw)
        if plain(self._segment).strip():
            write = _write_with_no_breaks if _NO_BREAK.search(raw) else write_html
            self._done.append(Slot(tuple(self._segment), write, raw, self._tags))
        else:
            for part, as_it_came in zip(self._segment, self._raw, strict=True):
                key = part.key if isinstance(part, Tag) and part.kind is not Kind.CLOSE else 0
                self._done += self._tags.get(key, (as_it_came,))
        self._segment, self._raw, self._tags = [], [], {}
        for element in self._open:
            element.key = None


def write_html(segment: Segment) -> str:
    """Write a segment as HTML."""
    return "".join(html.escape(part, quote=False) if isinstance(part, str) else part.markup for part in segment)


def _write_with_no_breaks(segment: Segment) -> str:
    """The same where no-break spaces were written as entities."""
    return "".join(
        html.escape(part, quote=False).replace("\u00a0", "&nbsp;") if isinstance(part, str) else part.markup
        for part in segment
    )


def _write_attribute(segment: Segment) -> str:
    """Write a segment as the value of an attribute."""
    return f'"{html.escape(written(segment))}"'


def _translates(token: HtmlToken, otherwise: bool) -> bool:
    """Whether the text of an element is to be translated."""
    attributes = dict(reversed(token.attributes))  # of two with one name the first counts
    if "notranslate" in (attributes.get("class") or "").split():
        return False
    said = attributes.get("translate", "inherit")
    return {"no": False, "yes": True, "": True}.get((said or "").lower().strip(), otherwise)


def _tag_layout(token: HtmlToken) -> Layout:
    """Lay out a start tag: attributes that are text are segments."""
    wanted = _text_attributes(token)
    if not wanted:
        return (token.raw,)
    parts: list[str | Slot] = []
    done = 0
    for name, start, end in _attributes(token.raw):
        if name not in wanted:
            continue
        wanted.discard(name)  # of two with one name the first counts
        raw = token.raw[start:end]
        value = html.unescape(raw[1:-1] if raw[:1] in ('"', "'") else raw)
        if value.strip():
            parts += [token.raw[done:start], Slot((value,), _write_attribute, raw)]
            done = end
    return tuple(part for part in [*parts, token.raw[done:]] if part)


def _attributes(tag: str) -> Iterator[tuple[str, int, int]]:
    """Return the name of each attribute of a start tag, and where its value begins and ends, with quotes."""
    name = _NAME.match(tag)
    at = name.end() if name is not None else len(tag)
    while (match := _ATTRIBUTE.match(tag, at)) is not None:
        at = match.end()
        if match[2] is not None:
            yield match[1].lower(), match.start(2), match.end(2)


def _text_attributes(token: HtmlToken) -> set[str]:
    """Return the names of attributes of a start tag that are text."""
    attributes = dict(reversed(token.attributes))
    wanted = {name for name in attributes if name in TEXT_ATTRIBUTES}
    if token.name in LABELLED:
        wanted.add("label")
    if token.name == "input" and (attributes.get("type") or "").lower() in BUTTONS:
        wanted.add("value")
    if token.name == "meta" and (attributes.get("name") or attributes.get("property") or "").lower() in DESCRIPTIONS:
        wanted.add("content")
    return wanted
