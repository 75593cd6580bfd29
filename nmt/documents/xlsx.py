"""Excel's workbooks (Office Open XML): the text of cells, and of what is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from lxml import etree

from nmt.documents.document import Document, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.office import NAMESPACES, Parts, add_drawings
from nmt.documents.runs import Item, Names, Point, Runs, Text
from nmt.documents.xml import SPACE, Element

_S: Final = f"{{{NAMESPACES['s']}}}"
_NAMES: Final = Names(_S + "r", _S + "t", _S + "rPr")
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[ >/]")
_INLINE: Final = b"inlineStr"


def read(given: Given) -> Document:
    """Take a workbook apart."""
    parts = Parts(given)
    flow, left = Flow(), Leaving()
    cells = _Cells(Runs(flow, _NAMES), _names(parts), left)
    for tree in parts.trees("spreadsheetml", ("sharedStrings",)):
        cells.add(tree.getroot(), "si")
    for name in parts.names("spreadsheetml", "worksheet"):
        content = parts.content(name)
        formulas = len(_FORMULA.findall(content))
        left.add("formulas", "their results, and what they compare with, are not text to translate", formulas)
        if _INLINE in content:
            cells.add(parts.tree(name).getroot(), "is")
    add_drawings(parts, flow, left)
    left.add("comments", "they are about the cells, not part of them", parts.count("spreadsheetml", "comments"))
    left.add("names of sheets", "formulas name them", parts.count("spreadsheetml", "worksheet"))
    parts.leave(left)
    return flow.document(parts.written, left.all())


def _names(parts: Parts) -> frozenset[str]:
    """Return the names of columns of tables: formulas name them, and the cells that hold them must not differ."""
    found = set()
    for kind, element in (("table", "tableColumn"), ("pivotCacheDefinition", "cacheField")):
        for name in parts.names("spreadsheetml", kind):
            for column in parts.tree(name).iter(_S + element):
                found.add((column.get("name") or "").replace("_x000a_", "\n"))
    return frozenset(found)


class _Cells:
    """Adds texts of cells.

    Args:
        runs: Makes runs.
        names: Texts that stay.
        left: Told which do.
    """

    def __init__(self, runs: Runs, names: frozenset[str], left: Leaving) -> None:
        self._runs, self._names, self._left = runs, names, left

    def add(self, root: Element, name: str) -> None:
        """Add all texts inside an element.

        Args:
            root: The element.
            name: What one is called.
        """
        for string in list(root.iter(_S + name)):
            items = list(self._items(string))
            if "".join(each.text for each in items if isinstance(each, Text)) in self._names:
                self._left.add("names of columns of tables", "formulas name them")
            else:
                self._runs.add(string, items, (), done=_plainer)

    def _items(self, string: Element) -> Iterator[Item]:
        for child in string:
            if child.tag == _NAMES.text:
                yield from self._lines(child.text or "", None)
            elif child.tag == _NAMES.run:
                yield from self._lines(child.findtext(_NAMES.text) or "", child.find(_NAMES.properties))

    def _lines(self, text: str, format: Element | None) -> Iterator[Item]:
        for piece in re.split(r"(\n+)", text):
            if piece.startswith("\n"):
                yield Point(partial(self._break, piece, format), is_break=True)
            elif piece:
                yield Text(piece, format)

    def _break(self, text: str, format: Element | None) -> tuple[Element]:
        element = etree.Element(_NAMES.text)
        element.text = text
        element.set(SPACE, "preserve")
        return self._runs.around(format, element)


def _plainer(string: Element) -> None:
    """Write text without formatting as such."""
    if string.find(f"{_NAMES.run}/{_NAMES.properties}") is None:
        text = etree.Element(_NAMES.text)
        text.text = "".join(map(str, string.itertext()))
        if text.text != text.text.strip():
            text.set(SPACE, "preserve")
        for child in list(string):
            string.remove(child)
        string.append(text)
