"""XML of others, read without entities, document type or network, and written as it came."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Final, cast

from lxml import etree

from nmt.documents.document import DocumentError
from nmt.terminal import printable

Element = etree._Element
Tree = etree._ElementTree

XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
SPACE: Final = f"{{{XML_NAMESPACE}}}space"
LANGUAGE: Final = f"{{{XML_NAMESPACE}}}lang"

_DECLARED: Final = re.compile(r"\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([^\"']*)[\"']")
_ENCODINGS: Final = re.compile(r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
_DOCTYPE: Final = re.compile(r"<!\s*DOCTYPE\b", re.IGNORECASE)


def parse(content: bytes, name: str, *, doctype: bool = False) -> Tree:
    """Read XML.

    Args:
        content: All of it.
        name: What it is called in errors.
        doctype: Whether it may name a document type, as XHTML does; none is ever read, and no entity may be defined.

    Raises:
        DocumentError: It is no XML, defines entities, or is nested more than 256 deep.
    """
    text = _peeked(content, name)
    if "<!ENTITY" in text or (not doctype and _DOCTYPE.search(text)):
        raise DocumentError(f"{name}: expected XML without a document type of its own, got one")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        remove_blank_text=False,
        strip_cdata=False,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentError(f"{name}: expected XML, got: {printable(str(error), 200)}") from None
    return root.getroottree()


def write(tree: Tree) -> bytes:
    """Write XML in the encoding, and with the declaration, with which it came."""
    encoding = tree.docinfo.encoding or "UTF-8"
    standalone = cast(bool, tree.docinfo.standalone)  # or None, which the stubs do not know
    return cast(bytes, etree.tostring(tree, encoding=encoding, xml_declaration=True, standalone=standalone))


def _peeked(content: bytes, name: str) -> str:
    """Return the text, as far as what is forbidden in it can be seen; refuse encodings in which it could hide."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    elif content[:2] in (b"<\0", b"\0<"):
        text = content.decode("utf-16-le" if content[:1] == b"<" else "utf-16-be", "replace")
    else:
        if not content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
            raise DocumentError(f"{name}: expected XML, got something else")
        text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    declared = _DECLARED.match(text)
    if declared and not _ENCODINGS.fullmatch(declared[1]):
        raise DocumentError(f"{name}: expected XML in UTF-8, got an encoding called {declared[1]!r}")
    return text


def local(element: Element) -> str:
    """Return an element's name without its namespace; an empty one for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


class Pen:
    """Writes into an element, behind what was written before.

    Args:
        element: The element.
        last: The child behind which to begin; None for before all children.
    """

    def __init__(self, element: Element, last: Element | None = None) -> None:
        self.element, self._last = element, last

    def put(self, child: Element) -> None:
        """Add an element, without its tail."""
        child.tail = None
        if self._last is None:
            self.element.insert(0, child)
        elif self._last.getnext() is None:  # behind thousands, to count would take long
            self.element.append(child)
        else:
            self.element.insert(self.element.index(self._last) + 1, child)
        self._last = child

    def text(self, text: str) -> None:
        """Add text."""
        if self._last is None:
            self.element.text = (self.element.text or "") + text
        else:
            self._last.tail = (self._last.tail or "") + text


def empty(element: Element, keep: Iterable[str] = ()) -> Element | None:
    """Take the content out of an element.

    Args:
        element: The element.
        keep: Local names of children that stay, which are the first.

    Returns:
        The last of these; None if there is none.
    """
    kept = set(keep)
    last = None
    element.text = None
    for child in list(element):
        if local(child) in kept:
            child.tail, last = None, child
        else:
            element.remove(child)
    return last
