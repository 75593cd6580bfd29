"""How a segment is translated: the line that the model gets, and what is made of its translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from nmt.decoding.alignment import Links
from nmt.text.atoms import Atom, put_back, with_stand_ins
from nmt.text.capitals import Shape, as_sentence, restored, shape_of
from nmt.text.glossary import Found, Glossary
from nmt.text.placeholders import Kept, as_text, with_kept
from nmt.text.placing import place
from nmt.text.segments import Kind, Segment, Tag, joined, plain
from nmt.text.terms import Wanted, kept_apart, missing, with_terms
from nmt.text.tokens import Token, covered, tokens_of, words_of
from nmt.text.trees import tree_of

_NO_GLOSSARY = Glossary()


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
        glossary: Terms that its translation is to hold, and what is not to be translated.
        language: Of which language it is, as a code; empty if unknown.
    """

    def __init__(self, segment: Segment, glossary: Glossary | None = None, language: str = "") -> None:
        glossary = _NO_GLOSSARY if glossary is None else glossary
        self.source: str = " ".join(plain(segment).split())
        """The segment without tags, on a line."""
        model_text, self._atoms = with_stand_ins(_with_names(with_kept(segment), glossary))
        self._text, self._tree = tree_of(model_text)
        spans = words_of(self._text)
        self._words = len(spans)
        stand_ins = {atom.word for atom in self._atoms}
        terms = [(found, covered(spans, found.start, found.end)) for found in glossary.find(self._text)]
        self._wanted = [
            _wanted(found, self._text, words) for found, words in terms if stand_ins.isdisjoint(range(*words))
        ]
        own = [self._text[start:end] for number, (start, end) in enumerate(spans) if number not in stand_ins]
        self._shape = shape_of(own, language)
        text = _as_sentence(self._text, spans, self._atoms, self._shape, language)
        self.line: str = " ".join(text.split()) if any(map(str.isalpha, "".join(own))) else ""
        """What the model gets; empty if there is nothing to translate: models make words of lone numbers."""
        self.aligned: bool = bool(self._atoms or self._tree.children or self._wanted)
        """Whether it is to say which word came from which."""
        self._spaces = _spaces_around(plain(segment))
        self._outside = [isinstance(part, str) and part[end:][:1].isspace() for part, end in _ends(segment)]

    def finish(self, text: str, links: Links | None) -> Finished:
        """Make a translation of the segment.

        Args:
            text: The translation of `line`.
            links: Its links, if `aligned`.
        """
        before, behind = self._spaces
        if not self.aligned and self._shape is Shape.PLAIN:
            return Finished((f"{before}{text}{behind}",), links)
        tokens = put_back(tokens_of(text, links or ()), self._atoms, self._words)
        tokens = with_terms(tokens, self._wanted, self._words)
        tokens = restored(tokens, self._shape, self._text)
        placed = place(self._text, self._tree, tokens)
        inner = plain(placed)  # to which tags that were at the ends have brought their space
        before *= self._outside[0] or inner == inner.lstrip()
        behind *= self._outside[1] or inner == inner.rstrip()
        segment = as_text([before, *placed, behind])
        said = plain(segment)
        alignment = self._alignment(tokens, said) if links is not None else None
        return Finished(segment, alignment, self.missing(said))

    def missing(self, text: str) -> tuple[str, ...]:
        """Return the terms that are missing in a translation."""
        return missing(text, self._wanted)

    def _alignment(self, tokens: Sequence[Token], text: str) -> Links | None:
        """Return the links of the translation, if its words, and those of the source, are still the model's."""
        if len(text.split()) != len(tokens) or len(self.source.split()) != self._words:
            return None
        links = [(token.link, number) for number, token in enumerate(tokens) if token.link is not None]
        return tuple(sorted(links))


def _wanted(found: Found, text: str, words: tuple[int, int]) -> Wanted:
    """Say what a translation is to hold for a term; what is not translated, and was not kept, stands across tags."""
    kept = " ".join(text[found.start : found.end].split())
    return Wanted(found.term.source, found.term.target or kept, words, exact=found.term.target is None)


def _with_names(segment: Segment, glossary: Glossary) -> Segment:
    """Keep what the glossary says is not to be translated."""
    keys = count(-1_000_000, -1)
    found: list[str | Tag] = []
    for part in segment:
        if isinstance(part, Tag):
            found.append(part)
            continue
        names = [(each.start, each.end) for each in glossary.find(part) if each.term.target is None]
        found += [Kept(Kind.WORD, next(keys), text) if kept else text for text, kept in kept_apart(part, names)]
    return joined(found)


def _as_sentence(
    text: str, spans: Sequence[tuple[int, int]], atoms: Sequence[Atom], shape: Shape, language: str
) -> str:
    """Write a line as sentences are written, but for stand-ins."""
    if shape is Shape.PLAIN:
        return text
    small = as_sentence(text, shape, language)
    parts, done = [], 0
    for start, end in (spans[atom.word] for atom in atoms):
        parts += [small[done:start], text[start:end]]
        done = end
    return "".join([*parts, small[done:]])


def _ends(segment: Segment) -> Sequence[tuple[str | Tag, int]]:
    """Return the first and the last part of a segment, each with the place of the character at the segment's end."""
    return ((segment[0], 0), (segment[-1], -1)) if segment else (("", 0), ("", -1))


def _spaces_around(text: str) -> tuple[str, str]:
    """Return the white space at both ends of a text."""
    inner = text.strip()
    start = text.index(inner) if inner else len(text)
    return text[:start], text[start + len(inner) :]
