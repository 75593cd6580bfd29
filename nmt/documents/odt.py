"""OpenDocument text: paragraphs, headings, tables, frames, notes, headers and footers."""

from __future__ import annotations

from functools import partial
from typing import Final

from nmt.decoding.translation import Status
from nmt.documents.document import Document, DocumentError, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.mixed import Mixed, Role, Rules, outermost
from nmt.documents.xml import Element, Tree, local, parse, write
from nmt.text.segments import Segment, plain

_OPENDOCUMENT: Final = "urn:oasis:names:tc:opendocument:xmlns"
_TEXT: Final = f"{{{_OPENDOCUMENT}:text:1.0}}"
_STYLE: Final = f"{{{_OPENDOCUMENT}:style:1.0}}"
_OFFICE: Final = f"{{{_OPENDOCUMENT}:office:1.0}}"
_MANIFEST: Final = "META-INF/manifest.xml"
_SIGNATURES: Final = "META-INF/documentsignatures.xml"
_PARTS: Final = ("content.xml", "styles.xml")
_ROLES: Final = {
    "span": Role.PAIR,
    "a": Role.PAIR,
    "meta": Role.PAIR,
    "tab": Role.BREAK,
    "line-break": Role.BREAK,
    "bookmark-start": Role.OPENS,
    "bookmark-end": Role.CLOSES,
    "reference-mark-start": Role.OPENS,
    "reference-mark-end": Role.CLOSES,
}
_SVG: Final = f"{{{_OPENDOCUMENT}:svg-compatible:1.0}}"
_DESCRIPTIONS: Final = (_SVG + "title", _SVG + "desc")  # what a reader of the screen says in place of a picture
_PARAGRAPHS: Final = (_TEXT + "p", _TEXT + "h")
_ABOUT: Final = frozenset({_OFFICE + "annotation", _TEXT + "tracked-changes"})
_UNSEEN: Final = frozenset({"rsid", "paragraph-rsid", "language", "country"})


def read(given: Given) -> Document:
    """Take a document apart."""
    package = given.package()
    if _MANIFEST in package and b"encryption-data" in package.read(_MANIFEST):
        raise DocumentError(f"{given.name}: is protected by a password; save it without one")
    flow, left = Flow(), Leaving()
    trees: dict[str, Tree] = {}
    for name in _PARTS:
        if name != _PARTS[0] and name not in package:
            continue
        trees[name] = tree = parse(package.read(name), f"{given.name}: {name}")
        mixed = Mixed(flow, Rules(_Roles(tree).role, mate=_mate))
        for paragraph in outermost(tree.getroot(), lambda each: each.tag in _PARAGRAPHS and not _is_about(each)):
            mixed.add(paragraph)
        for described in list(tree.iter(*_DESCRIPTIONS)):
            flow.add([described.text or ""], partial(_describe, described))
        comments = sum(1 for _ in tree.iter(_OFFICE + "annotation"))
        left.add("comments", "they are about the text, not part of it", comments)
        deleted = sum(1 for _ in tree.iter(_TEXT + "deletion"))
        left.add("text whose deletion is tracked", "it goes when the change is accepted", deleted)
    embedded = sum(name.endswith("/content.xml") for name in package.names)
    left.add("embedded documents", "they are documents of their own, such as formulas", embedded)
    left.add("signatures", "they are for the document as it was, and no longer hold", int(_SIGNATURES in package))
    return flow.document(lambda: package.written({name: write(tree) for name, tree in trees.items()}), left.all())


def _describe(element: Element, text: Segment, _: Status) -> None:
    element.text = plain(text)


class _Roles:
    """Tells what elements are in a part.

    Args:
        tree: The part.
    """

    def __init__(self, tree: Tree) -> None:
        self._unseen = {
            style.get(_STYLE + "name")
            for style in tree.iter(_STYLE + "style")
            if style.get(_STYLE + "family") == "text"
            and style.get(_STYLE + "parent-style-name") is None
            and all(_is_unseen(properties) for properties in style)
        }

    def role(self, element: Element) -> Role:
        """Return what an element is to the text around it."""
        if element.tag in _PARAGRAPHS:
            return Role.LEFT if _is_about(element) else Role.BLOCK
        if not str(element.tag).startswith(_TEXT):
            return Role.ALONE
        name = local(element)
        if name == "span" and element.get(_TEXT + "style-name") in self._unseen:
            return Role.THROUGH
        # Page numbers, dates, references and the like are read as words of the sentence.
        return _ROLES.get(name, Role.WORD if element.text and not len(element) else Role.ALONE)


def _is_unseen(properties: Element) -> bool:
    """Whether formatting only says when something was written, or in which language."""
    return not len(properties) and all(str(name).rpartition("}")[2] in _UNSEEN for name in properties.attrib)


def _is_about(paragraph: Element) -> bool:
    return any(each.tag in _ABOUT for each in paragraph.iterancestors())


def _mate(element: Element) -> str:
    return f"{local(element).rpartition('-')[0]} {element.get(_TEXT + 'name')}"
