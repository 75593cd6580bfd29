"""The inline tags of a segment as a tree."""

from __future__ import annotations

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
    stack, pending = [root], dict[int, Tag]()
    text: list[str] = []
    at = 0
    for part in segment:
        if isinstance(part, str):
            text.append(part)
            at += len(part)
        elif part.kind is Kind.OPEN:
            node = Node(at, opening=part)
            stack[-1].children.append(node)
            stack.append(node)
        elif part.kind is Kind.CLOSE and any(_key(node) == part.key for node in stack):
            pending[part.key] = part
            _end_pending(stack, pending, closes, at)
        elif part.kind is Kind.CLOSE and len(stack) == 1:
            root.children = [Node(0, at, closing=part, children=root.children)]
        else:
            stack[-1].children.append(Node(at, at, part))
    for node in reversed(stack):
        node.end = at
        node.closing = pending.get(node.opening.key) if node.opening is not None else None
    return "".join(text), root


def _key(node: Node) -> int | None:
    return node.opening.key if node.opening is not None else None


def _end_pending(stack: list[Node], pending: dict[int, Tag], closes: set[int], at: int) -> None:
    """End the innermost nodes whose closing tags have come, with those inside them that nothing closes."""
    while True:
        innermost = next((place for place in range(len(stack) - 1, 0, -1) if _key(stack[place]) in closes), 0)
        key = _key(stack[innermost])
        if not innermost or key is None or key not in pending:
            return
        for node in stack[innermost:]:
            node.end = at
        stack[innermost].closing = pending.pop(key)
        del stack[innermost:]


def size_of(root: Node) -> tuple[int, int]:
    """Return how many nodes a tree has, and how many of them are within each other at most."""
    count, deepest = 0, 0
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        count, deepest = count + 1, max(deepest, depth)
        left += [(child, depth + 1) for child in node.children]
    return count, deepest


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
