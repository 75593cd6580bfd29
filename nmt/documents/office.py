"""What the formats of Office Open XML have in common: their parts, and what is drawn in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from posixpath import basename
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import DocumentError, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.runs import Item, Names, Point, Runs, Text
from nmt.documents.xml import Element, Tree, local, parse, write
from nmt.text.segments import Segment, plain

NAMESPACES: Final = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
}
_STRICT: Final = b"http://purl.oclc.org/ooxml/"
_A: Final = f"{{{NAMESPACES['a']}}}"
_NAMES: Final = Names(_A + "r", _A + "t", _A + "rPr", has_space=False)
_DRAWINGS: Final = ("chart", "chartUserShapes", "diagramData", "diagramDrawing", "drawing")
_DESCRIPTIONS: Final = ("title", "descr")  # what a reader of the screen says in place of a picture
_EMBEDDED: Final = ("embeddings/",)


class Parts:
    """The parts of a document by what they are.

    Args:
        given: The document.

    Raises:
        DocumentError: It is no document of this kind.
    """

    def __init__(self, given: Given) -> None:
        self._name = given.name
        self._package = given.package()
        self._trees: dict[str, Tree] = {}
        types = parse(self._package.read("[Content_Types].xml"), f"{given.name}: [Content_Types].xml").getroot()
        by_suffix = {(each.get("Extension") or "").lower(): each.get("ContentType") or "" for each in types}
        overrides = {(each.get("PartName") or "").lstrip("/"): each.get("ContentType") or "" for each in types}
        self._types = {
            name: overrides.get(name) or by_suffix.get(basename(name).rpartition(".")[2].lower(), "")
            for name in self._package.names
        }

    def trees(self, family: str, kinds: Collection[str]) -> Iterator[Tree]:
        """Read the parts of some kinds, in the order of these.

        Args:
            family: Such as `wordprocessingml`.
            kinds: Such as `header`.

        Raises:
            DocumentError: A part is no XML.
        """
        for kind in kinds:
            for name in self.names(family, kind):
                yield self.tree(name)

    def names(self, family: str, kind: str) -> list[str]:
        """Return the names of the parts of a kind."""
        return [name for name, type in self._types.items() if type.endswith(f"{family}.{kind}+xml")]

    def count(self, family: str, kind: str) -> int:
        """Return how many parts of a kind there are."""
        return len(self.names(family, kind))

    def tree(self, name: str) -> Tree:
        """Read a part, which is written again in the end.

        Raises:
            DocumentError: It is no XML.
        """
        if name not in self._trees:
            content = self._package.read(name)
            if _STRICT in content:
                raise DocumentError(f"{self._name}: expected Office Open XML (transitional), got the strict kind")
            self._trees[name] = parse(content, f"{self._name}: {name}")
        return self._trees[name]

    def content(self, name: str) -> bytes:
        """Return what is in a part, without keeping it."""
        return self._package.read(name)

    def drawings(self) -> Iterator[Tree]:
        """Read all that is drawn, but for what is in slides."""
        for family in ("drawingml", "openxmlformats-officedocument"):
            yield from self.trees(family, _DRAWINGS)

    def drawn(self) -> Iterator[Element]:
        """Yield what names the pictures and shapes of all parts that were read."""
        for tree in self._trees.values():
            yield from tree.iter("{*}docPr", "{*}cNvPr")

    def leave(self, left: Leaving) -> None:
        """Count what nobody looked into."""
        names = self._package.names
        embedded = sum(any(each in name for each in _EMBEDDED) for name in names)
        left.add("embedded files", "they are documents of their own", embedded)
        signatures = sum(name.startswith("_xmlsignatures/") and name.endswith(".xml") for name in names)
        left.add("signatures", "they are for the document as it was, and no longer hold", signatures)

    def written(self) -> bytes:
        """Write the document with the parts as they are now."""
        return self._package.written({name: write(tree) for name, tree in self._trees.items()})


def add_drawings(parts: Parts, flow: Flow, left: Leaving) -> None:
    """Add the text of charts, diagrams and shapes, and what stands for pictures in the parts that were read."""
    for tree in parts.drawings():
        add_paragraphs(tree, flow)
        labels = sum(1 for each in tree.iter("{*}strCache"))
        left.add("labels of charts", "they are those of the cells that the chart shows", labels)
    for element in list(parts.drawn()):
        for name in _DESCRIPTIONS:
            flow.add([element.get(name) or ""], partial(_describe, element, name))


def _describe(element: Element, name: str, text: Segment, _: Status) -> None:
    element.set(name, plain(text))


def add_paragraphs(tree: Tree, flow: Flow) -> None:
    """Add the paragraphs of what is drawn, such as a slide."""
    runs = Runs(flow, _NAMES)
    for paragraph in list(tree.iter(_A + "p")):
        runs.add(paragraph, list(_items(paragraph)), ("pPr",), ("endParaRPr",))


def _items(paragraph: Element) -> Iterator[Item]:
    for child in paragraph:
        if child.tag == _NAMES.run:
            yield Text(child.findtext(_NAMES.text) or "", child.find(_NAMES.properties))
        elif local(child) not in ("pPr", "endParaRPr"):
            yield Point(partial(_the, child), local(child) == "br")


def _the(*elements: Element) -> tuple[Element, ...]:
    return elements
