"""Where the tags of a segment stand in its translation, by the links between words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from nmt.text.segments import Segment, Tag, joined
from nmt.text.tokens import (
    AFTER,
    BEFORE,
    BEHIND,
    CORE,
    PARTS,
    Token,
    boundary,
    core_of,
    covered,
    densest,
    places_of,
    words_of,
)
from nmt.text.trees import Node, depth_of, events_of

_DEEPEST: Final = 100  # tags within each other: a text with more was not written by people
_FAR: Final = 50  # words from where something belongs to where it may be put instead

Spans = list[tuple[int, int]]
"""Ranges of slots in order, which have nothing in common."""


@dataclass
class _Placed:
    """A node that has its place in the translation."""

    node: Node
    start: int
    """Slot before which it begins."""
    end: int
    """Slot before which it ends."""
    space: tuple[str, str] = ("", "")
    """White space before and behind it, of a point that stands by itself between words."""
    children: list[_Placed] = field(default_factory=list)


def place(text: str, root: Node, tokens: Sequence[Token]) -> Segment:
    """Put the tags of a segment into its translation: each once, nested as they were, around the words they stood at.

    Args:
        text: The segment without tags.
        root: Its tree.
        tokens: The words of the translation, with the words of `text` that they come from.

    Returns:
        The translation with all tags.
    """
    last = max(0, PARTS * len(tokens) - 1)  # before the space that would follow the last word
    if depth_of(root) > _DEEPEST:
        return _in_order(text, root, tokens)
    top = _Placer(text, tokens).inside(root, (0, last), None, 1)
    parts: list[str | Tag] = []
    done = 0
    for slot, part in _events(_Placed(root, 0, last, children=top)):
        parts += [*_between(tokens, done, slot), part]
        done = slot
    return joined([*parts, *_between(tokens, done, last)])


def _in_order(text: str, root: Node, tokens: Sequence[Token]) -> Segment:
    """Put tags into a translation in the order in which they came, each as far from its beginning as it was."""
    parts: list[str | Tag] = []
    done, last = 0, max(0, PARTS * len(tokens) - 1)
    for at, tag in events_of(root):
        upto = min(last, PARTS * (len(tokens) * at // max(1, len(text))))
        parts += _between(tokens, done, upto)
        parts.append(tag)
        done = max(done, upto)
    return joined([*parts, *_between(tokens, done, last)])


def _between(tokens: Sequence[Token], start: int, end: int) -> list[str | Tag]:
    """Return what stands between two slots."""
    return [tokens[slot // PARTS].part(slot % PARTS) for slot in range(start, end)]


def _events(placed: _Placed) -> Iterator[tuple[int, str | Tag]]:
    """Return the tags of a node and of all inside it, in the order in which they are written."""
    yield placed.start, placed.space[0]
    if placed.node.opening is not None:
        yield placed.start, placed.node.opening
    for child in sorted(placed.children, key=lambda each: (each.start, each.end)):
        yield from _events(child)
    if placed.node.closing is not None:
        yield placed.end, placed.node.closing
    yield placed.end, placed.space[1]


def _open_ended(node: Node, found: tuple[int, int], bounds: tuple[int, int], taken: Spans) -> tuple[int, int]:
    """Let a node that nothing closes reach the end, and one that nothing opens the beginning."""
    if node.closing is None:
        return max(found[0], taken[-1][1] if taken else 0), bounds[1]
    return (bounds[0] if node.opening is None else found[0]), found[1]


def _token_from(slot: int) -> int:
    """Return the first token whose core is not before a slot."""
    return (slot - CORE + PARTS - 1) // PARTS


def _collapsed(node: Node, slot: int) -> _Placed:
    """Put a node and all inside it in one place."""
    return _Placed(node, slot, slot, children=[_collapsed(each, slot) for each in node.children])


class _Placer:
    """Finds places for the nodes of one segment.

    Args:
        text: The segment without tags.
        tokens: The words of its translation.
    """

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text, self._tokens = text, tokens
        self._words = words_of(text)
        self._links = [token.link for token in tokens]
        self._places = places_of(tokens)
        self._depths = [0] * len(tokens)
        """How deep within each other the nodes are that hold a token."""

    def inside(self, parent: Node, bounds: tuple[int, int], words: tuple[int, int] | None, depth: int) -> list[_Placed]:
        """Place the children of a node.

        Args:
            parent: The node.
            bounds: Slots where it begins and ends.
            words: Source words that it covers; None for all.
            depth: How deep the children are.

        Returns:
            The children; those with text have no word in common.
        """
        covering = (0, len(self._words)) if words is None else words
        taken: Spans = []
        placed: dict[int, _Placed] = {}
        for number, node in enumerate(parent.children):
            own = covered(self._words, node.start, node.end)
            if own[0] == own[1]:
                continue
            found = bounds if own == covering and not taken else self._span(node, own, bounds, depth)
            if found is not None:
                found = _open_ended(node, found, bounds, taken)
                insort(taken, found)
                for token in range(_token_from(found[0]), _token_from(found[1])):
                    self._depths[token] = depth
                placed[number] = _Placed(node, *found, children=self.inside(node, found, own, depth + 1))
        for number, node in enumerate(parent.children):
            if number not in placed:
                placed[number] = self._point(node, bounds, taken, covering)
                before = placed.get(number - 1)
                if before is not None and (before.start, before.node.end) == (placed[number].start, node.start):
                    before.space = before.space[0], ""  # no space came between them
        return [placed[number] for number in sorted(placed)]

    def _span(self, node: Node, own: tuple[int, int], bounds: tuple[int, int], depth: int) -> tuple[int, int] | None:
        """Find the words that come from those of a node."""

        def is_free(number: int) -> bool:
            inside = bounds[0] <= PARTS * number + CORE and PARTS * number + BEHIND <= bounds[1]
            return inside and self._depths[number] < depth

        found = densest(
            sorted(place for word in range(*own) for place in self._places.get(word, ())), self._links, is_free
        )
        if found is None:
            near, count = self._boundary(own[0]), len(self._tokens)
            around = (number for far in range(_FAR) for number in dict.fromkeys((near - far, near + far)))
            nearest = next((number for number in around if 0 <= number < count and is_free(number)), None)
            if nearest is None:
                return None
            found = (nearest, nearest + 1)
        return self._trimmed(node, own, found, bounds)

    def _trimmed(
        self, node: Node, own: tuple[int, int], found: tuple[int, int], bounds: tuple[int, int]
    ) -> tuple[int, int]:
        """Return the slots around words: with the punctuation at their ends only if the node holds some there."""
        (first, first_end), (last, last_end) = self._words[own[0]], self._words[own[1] - 1]
        opens = core_of(self._text[first:first_end])[0] > 0 and node.start <= first
        closes = core_of(self._text[last:last_end])[1] < last_end - last and node.end >= last_end
        start = PARTS * found[0] + (BEFORE if opens else CORE)
        end = PARTS * (found[1] - 1) + (AFTER if closes else BEHIND)
        return max(start, bounds[0]), min(end, bounds[1])

    def _point(self, node: Node, bounds: tuple[int, int], taken: Spans, covering: tuple[int, int]) -> _Placed:
        """Find a place for a node without text, or for whose text there is none."""
        slot, space = self._slot(node.start, covering, bounds)
        slot = min(max(slot, bounds[0]), bounds[1])
        number = bisect_left(taken, (slot, 0)) - 1
        if number >= 0 and slot < taken[number][1]:  # not into what another node holds
            slot = min(taken[number], key=lambda each: abs(each - slot))
        if node.is_unclosed and taken:  # not before one that nothing opens
            slot = max(slot, taken[-1][1])
        if space == ("", " ") and slot % PARTS != BEFORE:  # behind a word instead of before one
            space = " ", ""
        return _Placed(node, slot, slot, space, [_collapsed(each, slot) for each in node.children])

    def _slot(self, at: int, covering: tuple[int, int], bounds: tuple[int, int]) -> tuple[int, tuple[str, str]]:
        """Find the slot for a place in the text, and the white space around what is put there."""
        before = bisect_right(self._words, at, key=lambda word: word[1])
        if before <= covering[0] and (before == len(self._words) or at <= self._words[before][0]):
            return bounds[0], ("", self._space_behind(at))
        if before >= covering[1]:
            return bounds[1], (self._space_before(at), "")
        start, end = self._words[before]
        if start < at < end:
            return self._within(before, at - start), ("", "")
        if not self._space_before(at) and (token := self._last_from(before - 1)) is not None:
            return PARTS * token + AFTER, ("", "")
        if not self._space_behind(at) and (token := self._first_from(before)) is not None:
            return PARTS * token + BEFORE, ("", "")
        return PARTS * self._boundary(before), ("", " ")

    def _space_before(self, at: int) -> str:
        return " " if at > 0 and self._text[at - 1].isspace() else ""

    def _space_behind(self, at: int) -> str:
        return " " if at < len(self._text) and self._text[at].isspace() else ""

    def _within(self, word: int, offset: int) -> int:
        """Find the slot for a place inside a word."""
        start, end = self._words[word]
        core = core_of(self._text[start:end])
        if offset <= core[0]:
            token = self._first_from(word)
            place = CORE
        else:
            token = self._last_from(word)
            place = BEHIND
        return PARTS * (self._boundary(word) if token is None else token) + place

    def _first_from(self, word: int) -> int | None:
        return next(iter(self._places.get(word, ())), None)

    def _last_from(self, word: int) -> int | None:
        return next(reversed(self._places.get(word, ())), None)

    def _boundary(self, word: int) -> int:
        return boundary(self._links, word, len(self._words))
