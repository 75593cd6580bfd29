"""HTML as a sequence of tags, texts and all else, which joined are the page to the letter."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from html.parser import HTMLParser

from nmt.text.html_names import VOID

_OPENS = re.compile("<[a-zA-Z/!?]")


class Mark(Enum):
    """What a token of HTML is."""

    TEXT = "text"
    START = "start"
    END = "end"
    COMMENT = "comment"
    """Or a processing instruction."""
    CUT = "cut"
    """A tag whose end is missing, behind which nothing comes."""
    OTHER = "other"
    """A declaration, or what nobody can read."""


Attributes = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class HtmlToken:
    """A tag, a text, or something else."""

    mark: Mark
    """What it is."""
    raw: str
    """It, to the letter."""
    name: str = ""
    """Of a tag, in lower case."""
    attributes: Attributes = ()
    """Of a start tag: names in lower case, values without entities."""

    @property
    def is_void(self) -> bool:
        """Whether it is a start tag without an end."""
        return self.name in VOID


def read_html(text: str) -> list[HtmlToken]:
    """Cut HTML into tokens, however broken it is.

    Args:
        text: A page, or a part of one.

    Returns:
        The tokens; joined, `raw` is the text. Texts do not stand beside each other.
    """
    reader = _Reader(text)
    tokens: list[HtmlToken] = []
    starts = [start for start, _, _ in reader.found]
    if not starts or starts[0] > 0:
        tokens.append(HtmlToken(Mark.OTHER, text[: starts[0] if starts else len(text)]))
    ends = [*starts[1:], len(text)][: len(starts)]
    for (start, length, token), end in zip(reader.found, ends, strict=True):
        if token.mark is not Mark.TEXT:
            tokens.append(HtmlToken(token.mark, text[start:end], token.name, token.attributes))
            continue
        tokens.append(HtmlToken(Mark.TEXT, text[start : min(end, start + length)]))
        tokens.append(HtmlToken(Mark.OTHER, text[start + length : end]))  # what the parser left out
    return _joined([token for token in tokens if token.raw])


def _joined(tokens: Sequence[HtmlToken]) -> list[HtmlToken]:
    """Make one text of neighbours."""
    found: list[HtmlToken] = []
    for mark, group in itertools.groupby(tokens, key=lambda token: token.mark):
        same = list(group)
        found += [HtmlToken(mark, "".join(token.raw for token in same))] if mark is Mark.TEXT else same
    return found


class _Reader(HTMLParser):
    """Notes where tokens begin.

    Args:
        text: The page.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[int, int, HtmlToken]] = []
        """Where each token begins, how long it is if it is text, and what it is; `raw` is missing."""
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        # Behind the last bracket no tag ends: the parser would look for its end from each that begins there.
        self._end = text.rfind(">") + 1
        self.feed(text[: self._end])
        self.close()
        cut = _OPENS.search(text, self._end)
        cut_at = len(text) if cut is None else cut.start()
        if self._end < cut_at:
            self.found.append((self._end, cut_at - self._end, HtmlToken(Mark.TEXT, "")))
        if cut_at < len(text):
            self.found.append((cut_at, 0, HtmlToken(Mark.CUT, "")))

    def _note(self, token: HtmlToken, length: int = 0) -> None:
        line, column = self.getpos()
        at = self._lines[line - 1] + column
        if not self.found or at > self.found[-1][0]:
            self.found.append((at, length, token))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a start tag."""
        self._note(HtmlToken(Mark.START, "", tag, tuple(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a start tag with a slash, which means nothing in HTML but on foreign elements."""
        self._note(HtmlToken(Mark.START, "", tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Note an end tag."""
        self._note(HtmlToken(Mark.END, "", tag))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self._note(HtmlToken(Mark.TEXT, ""), len(data))

    def handle_entityref(self, name: str) -> None:
        """Note an entity, which is text; a semicolon may follow."""
        self._note(HtmlToken(Mark.TEXT, ""), len(name) + 2)

    def handle_charref(self, name: str) -> None:
        """Note a number of a character, likewise."""
        self._note(HtmlToken(Mark.TEXT, ""), len(name) + 3)

    def handle_comment(self, data: str) -> None:
        """Note a comment."""
        self._note(HtmlToken(Mark.COMMENT, ""))

    def handle_pi(self, data: str) -> None:
        """Note a processing instruction."""
        self._note(HtmlToken(Mark.COMMENT, ""))

    def handle_decl(self, decl: str) -> None:
        """Note a declaration."""
        self._note(HtmlToken(Mark.OTHER, ""))

    def unknown_decl(self, data: str) -> None:
        """Note something that looks like one."""
        self._note(HtmlToken(Mark.OTHER, ""))

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Take what is no marked section for a comment, as browsers do, where the parser would give up."""
        where = self.lineno, self.offset
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            self.lineno, self.offset = where  # the parser has counted what it could not read
            return self.parse_bogus_comment(i)
