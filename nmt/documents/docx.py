"""Word's documents (Office Open XML): the text of the body, tables, text boxes, headers, footers and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from nmt.documents.document import Document, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.office import NAMESPACES, Parts, add_drawings
from nmt.documents.runs import Around, Item, Names, Point, Runs, Text
from nmt.documents.xml import Element, local

_W: Final = f"{{{NAMESPACES['w']}}}"
_NAMES: Final = Names(_W + "r", _W + "t", _W + "rPr")
_TYPES: Final = ("document.main", "header", "footer", "footnotes", "endnotes")
_FARTHEST: Final = 200  # elements between the ends of a field or a bookmark that are looked for
_CHARACTERS: Final = {"noBreakHyphen": "\u2011", "softHyphen": "\u00ad"}
_BREAKS: Final = frozenset({"tab", "br", "cr", "ptab"})
_UNSEEN: Final = frozenset({"lastRenderedPageBreak", "rPr"})
_INSIDE: Final = frozenset({"hyperlink", "ins", "moveTo", "smartTag", "customXml", "dir", "bdo", "fldSimple"})
"""Elements around runs."""
_FORMULAS: Final = frozenset({"oMath"})
_SETTINGS: Final = ("smartTagPr", "customXmlPr")
_RANGES: Final = {
    _W + "bookmarkStart": _W + "bookmarkEnd",
    _W + "commentRangeStart": _W + "commentRangeEnd",
    _W + "permStart": _W + "permEnd",
}
_WRITTEN_BY_PEOPLE: Final = frozenset({"HYPERLINK", "TOC", "QUOTE", "MACROBUTTON"})
"""Fields whose results are text; those of others are counted, dated or copied from elsewhere by a program."""


def read(given: Given) -> Document:
    """Take a document apart."""
    parts = Parts(given)
    flow, left = Flow(), Leaving()
    runs = Runs(flow, _NAMES)
    reader = _Reader(runs, left)
    for tree in parts.trees("wordprocessingml", _TYPES):
        for paragraph in list(tree.iter(_W + "p")):
            if not any(local(each) in ("del", "moveFrom") for each in paragraph.iterancestors()):
                runs.add(paragraph, reader.items(list(paragraph)), ("pPr",))
    add_drawings(parts, flow, left)
    left.add("comments", "they are about the text, not part of it", parts.count("wordprocessingml", "comments"))
    parts.leave(left)
    return flow.document(parts.written, left.all())


class _Reader:
    """Reads the content of paragraphs.

    Args:
        runs: Makes runs.
        left: Told what is not translated.
    """

    def __init__(self, runs: Runs, left: Leaving) -> None:
        self._runs, self._left = runs, left

    def items(self, children: Sequence[Element]) -> list[Item]:
        """Return what is in a paragraph, or in a part of it."""
        found: list[Item] = []
        at = 0
        while at < len(children):
            child = children[at]
            end = at
            if _field_part(child) == "begin":
                end, item = self._field(children, at)
                found.append(item)
            elif child.tag in _RANGES and (end := _range_end(children, at)) > at:
                inside = children[at + 1 : end]
                around = Around(self.items(inside), before=partial(_the, child), behind=partial(_the, children[end]))
                found.append(around if inside else Point(partial(_the, child, children[end])))
            else:
                found += self._one(child)
            at = end + 1
        return found

    def _one(self, child: Element) -> Iterator[Item]:
        name = local(child)
        if name == "r" and not _field_part(child):
            yield from self._run(child)
        elif name in _INSIDE and not _is_counted(child):
            yield Around(self.items(list(child)), child, child, _SETTINGS)
        elif name == "sdt" and (content := child.find(_W + "sdtContent")) is not None:
            yield Around(self.items(list(content)), child, content)
        elif name not in ("pPr", "proofErr", *_SETTINGS):
            if name in ("del", "moveFrom"):
                self._left.add("text whose deletion is tracked", "it goes when the change is accepted")
            yield Point(partial(_the, child), is_word=_is_counted(child) or name in _FORMULAS)

    def _run(self, run: Element) -> Iterator[Item]:
        format = run.find(_NAMES.properties)
        for child in run:
            name = local(child)
            if name == "t":
                yield Text(child.text or "", format)
            elif name in _CHARACTERS:
                yield Text(_CHARACTERS[name], format)
            elif name not in _UNSEEN:
                yield Point(partial(self._runs.around, format, child), name in _BREAKS)

    def _field(self, children: Sequence[Element], at: int) -> tuple[int, Item]:
        """Read a field: where it ends, and its result as text if a person wrote it, else as a point."""
        end, middle = _field_end(children, at)
        written = _kind("".join(_instructions(children[at : middle + 1]))) in _WRITTEN_BY_PEOPLE
        if end is None:  # it ends in a later paragraph, as a table of contents does
            return middle, Point(partial(_the, *children[at : middle + 1]))
        if not written or middle == end:
            return end, Point(partial(_the, *children[at : end + 1]), is_word=middle < end)
        before, behind = partial(_the, *children[at : middle + 1]), partial(_the, children[end])
        return end, Around(self.items(children[middle + 1 : end]), before=before, behind=behind)


def _the(*elements: Element) -> tuple[Element, ...]:
    return elements


def _field_part(element: Element) -> str:
    """Return what part of a field a run holds: begin, separate, end, an instruction (`instr`), or nothing."""
    if element.tag != _NAMES.run:
        return ""
    mark = element.find(_W + "fldChar")
    if mark is not None:
        return mark.get(_W + "fldCharType") or ""
    return "" if element.find(_W + "instrText") is None else "instr"


def _field_end(children: Sequence[Element], at: int) -> tuple[int | None, int]:
    """Return where the field that begins here ends, None if not here, and where its result begins or its begin ends."""
    depth, middle = 0, None
    for place in range(at, min(len(children), at + _FARTHEST)):
        part = _field_part(children[place])
        depth += (part == "begin") - (part == "end")
        if part == "separate" and depth == 1 and middle is None:
            middle = place
        if depth == 0:
            return place, place if middle is None else middle
    return None, at if middle is None else middle


def _instructions(children: Sequence[Element]) -> Iterator[str]:
    for child in children:
        for instruction in child.iter(_W + "instrText"):
            yield instruction.text or ""


def _kind(instructions: str) -> str:
    return instructions.split(maxsplit=1)[0].upper() if instructions.strip() else ""


def _is_counted(element: Element) -> bool:
    """Whether an element is a field whose result a program writes."""
    return local(element) == "fldSimple" and _kind(element.get(_W + "instr") or "") not in _WRITTEN_BY_PEOPLE


def _range_end(children: Sequence[Element], at: int) -> int:
    """Return where a range ends that begins here; where it begins if it cannot be a pair of tags."""
    start = children[at]
    depth = 0
    for place in range(at + 1, min(len(children), at + _FARTHEST)):
        child = children[place]
        if child.tag == _RANGES[str(start.tag)] and child.get(_W + "id") == start.get(_W + "id"):
            return place if depth == 0 else at
        part = _field_part(child)
        depth += (part == "begin") - (part == "end")
        if depth < 0:
            return at
    return at
