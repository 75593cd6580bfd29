"""How a segment is translated: the line that the model gets, and what is made of its translation."""

from __future__ import annotations

from dataclasses import dataclass

from nmt.decoding.alignment import Links
from nmt.text.atoms import put_back, with_stand_ins
from nmt.text.placeholders import as_text, with_kept
from nmt.text.placing import place
from nmt.text.segments import Segment, plain
from nmt.text.tokens import tokens_of
from nmt.text.trees import tree_of


@dataclass(frozen=True)
class Finished:
    """A segment that is translated."""

    segment: Segment
    """Its translation."""
    alignment: Links | None = None
    """(word of the source, word of the translation), without tags; None if nobody knows."""
    missing: tuple[str, ...] = ()
    """Terms that were not met."""


class Plan:
    """How a segment is translated.

    Args:
        segment: It, with anything in it.
    """

    def __init__(self, segment: Segment) -> None:
        self.source: str = " ".join(plain(segment).split())
        """The segment without tags, on a line."""
        model_text, self._atoms = with_stand_ins(with_kept(segment))
        self._text, self._tree = tree_of(model_text)
        self._words = self._text.split()
        stand_ins = {atom.word for atom in self._atoms}
        speaks = any(number not in stand_ins and any(map(str.isalnum, word)) for number, word in enumerate(self._words))
        self.line: str = " ".join(self._words) if speaks else ""
        """What the model gets; empty if there is nothing to translate."""
        self.aligned: bool = bool(self._atoms or self._tree.children)
        """Whether it is to say which word came from which."""
        self._spaces = _spaces_around(plain(segment))

    def finish(self, text: str, links: Links | None) -> Finished:
        """Make a translation of the segment.

        Args:
            text: The translation of `line`.
            links: Its links, if `aligned`.
        """
        before, behind = self._spaces
        if not self.aligned:
            return Finished((f"{before}{text}{behind}",), links)
        tokens = put_back(tokens_of(text, links or ()), self._atoms, len(self._words))
        return Finished(as_text([before, *place(self._text, self._tree, tokens), behind]))


def _spaces_around(text: str) -> tuple[str, str]:
    """Return the white space at both ends of a text."""
    inner = text.strip()
    start = text.index(inner) if inner else len(text)
    return text[:start], text[start + len(inner) :]
