"""The inline tags of a segment as a tree."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from nmt.text.segments import Kind, Segment, Tag


@dataclass
class Node:
    """What tags enclose, or a place where one stands alone."""

    start: int
    """Where it begins in the text, in characters."""
    end: int = -1
    """Where it ends; where it begins, if nothing is inside."""
    opening: Tag | None = None
    """The tag before it; None for one that began before the segment."""
    closing: Tag | None = None
    """The tag behind it; None for one that goes on after the segment, and for a tag that stands alone."""
    children: list[Node] = field(default_factory=list)
    """What is inside, in order."""

    @property
    def is_point(self) -> bool:
        """Whether no text is inside."""
        return self.start == self.end

    @property
    def is_unclosed(self) -> bool:
        """Whether it goes on after the segment; what comes behind it is inside."""
        return self.closing is None and self.opening is not None and self.opening.kind is Kind.OPEN


def tree_of(segment: Segment) -> tuple[str, Node]:
    """Build the tree of a segment.

    Tags that cross, as in `<b>one <i>two</b> three</i>`, are nested: what was opened first ends later. A closing tag
    without an opening one encloses all before it, or stands alone if something is open.

    Args:
        segment: Text and tags, none of which is a `Kind.WORD`.

    Returns:
        The text without tags, and a node of all of it, without tags of its own.
    """
    closes = {part.key for part in segment if isinstance(part, Tag) and part.kind is Kind.CLOSE}
    root = Node(0)
    opened = _Opened(root, closes)
    text: list[str] = []
    at = 0
    for part in segment:
        if isinstance(part, str):
            text.append(part)
            at += len(part)
        elif part.kind is Kind.OPEN:
            opened.add(Node(at, opening=part))
        elif part.kind is Kind.CLOSE and part.key in opened.keys:
            opened.close(part, at)
        elif part.kind is Kind.CLOSE and len(opened.stack) == 1:
            root.children = [Node(0, at, closing=part, children=root.children)]
        else:
            opened.stack[-1].children.append(Node(at, at, part))
    for node in reversed(opened.stack):
        node.end = at
        node.closing = opened.pending.get(node.opening.key) if node.opening is not None else None
    return "".join(text), root


class _Opened:
    """The nodes that are open, each inside the one before it.

    Args:
        root: The outermost.
        closes: Keys of all tags that close.
    """

    def __init__(self, root: Node, closes: Set[int]) -> None:
        self.stack, self.keys = [root], set[int]()
        self.pending: dict[int, Tag] = {}
        """Closing tags that have come while something inside is still to be closed."""
        self._closes = closes
        self._closed: list[int] = []  # places in the stack of those that will be closed

    def add(self, node: Node) -> None:
        """Begin a node."""
        assert node.opening is not None
        self.stack[-1].children.append(node)
        if node.opening.key in self._closes:
            self._closed.append(len(self.stack))
        self.stack.append(node)
        self.keys.add(node.opening.key)

    def close(self, tag: Tag, at: int) -> None:
        """End the innermost nodes whose closing tags have come, with those inside them that nothing closes."""
        self.pending[tag.key] = tag
        while self._closed:
            node = self.stack[self._closed[-1]]
            assert node.opening is not None
            if node.opening.key not in self.pending:
                return
            innermost = self._closed.pop()
            for each in self.stack[innermost:]:
                each.end = at
                self.keys.discard(each.opening.key if each.opening is not None else 0)
            node.closing = self.pending.pop(node.opening.key)
            del self.stack[innermost:]


def depth_of(root: Node) -> int:
    """Return how many nodes of a tree are within each other at most, without its root."""
    deepest = 0
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        deepest = max(deepest, depth)
        left += [(child, depth + 1) for child in node.children]
    return deepest


def events_of(root: Node) -> list[tuple[int, Tag]]:
    """Return the tags of a tree in order, each with its place in the text."""
    found: list[tuple[int, Tag]] = []
    left: list[tuple[Node, bool]] = [(root, False)]
    while left:
        node, ended = left.pop()
        tag = node.closing if ended else node.opening
        if tag is not None:
            found.append((node.end if ended else node.start, tag))
        if not ended:
            left.append((node, True))
            left += [(child, False) for child in reversed(node.children)]
    return found
