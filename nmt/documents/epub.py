"""EPUB: the pages of a book, its table of contents and its title."""

from __future__ import annotations

import posixpath
import re
from html.entities import html5
from typing import Final
from urllib.parse import unquote

from nmt.documents.document import Document, DocumentError, Languages, Leaving
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.mixed import Mixed, Rules
from nmt.documents.package import Package
from nmt.documents.xhtml import add_attributes, role, set_language
from nmt.documents.xml import Tree, parse, write

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_PAGE: Final = "application/xhtml+xml"
_CONTENTS: Final = "application/x-dtbncx+xml"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_ENTITY: Final = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|&([A-Za-z][A-Za-z0-9]*;)", re.DOTALL)
_OF_XML: Final = frozenset({b"amp;", b"lt;", b"gt;", b"quot;", b"apos;"})


def read(given: Given) -> Document:
    """Take a book apart."""
    book = _Book(given)
    flow, left = Flow(), Leaving()
    for name, kind in book.items():
        tree = book.tree(name)
        if kind == _PAGE:
            Mixed(flow, Rules(role)).add(tree.getroot())
            add_attributes(tree, flow)
            left.add("code", "it is for machines", sum(1 for _ in tree.iter("{*}pre")))
        else:
            mixed = Mixed(flow, Rules(role))
            for text in tree.iter("{*}text"):
                mixed.add(text)
    book.add_title(flow)
    left.add("scripts", "they are programs", sum(name.endswith(".js") for name in book.package.names))
    return flow.document(lambda: book.written(given.languages), left.all())


class _Book:
    """The files of a book.

    Args:
        given: The book.

    Raises:
        DocumentError: It is none, or protected.
    """

    def __init__(self, given: Given) -> None:
        self._name, self.package = given.name, given.package()
        self._trees: dict[str, Tree] = {}
        container = self.tree(_CONTAINER)
        root = next(container.iter("{*}rootfile"), None)
        self._opf = "" if root is None else root.get("full-path") or ""
        self._locked = self._encrypted(self.package)

    def tree(self, name: str) -> Tree:
        """Read a file, which is written again in the end; names that XHTML gives characters are written as these."""
        if name not in self._trees:
            content = _ENTITY.sub(_character, self.package.read(name))
            self._trees[name] = parse(content, f"{self._name}: {name}", doctype=True)
        return self._trees[name]

    def items(self) -> list[tuple[str, str]]:
        """Return the names and types of the files with text.

        Raises:
            DocumentError: One is encrypted.
        """
        found = []
        folder = posixpath.dirname(self._opf)
        for item in self.tree(self._opf).iter("{*}item"):
            name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
            kind = item.get("media-type") or ""
            if kind in (_PAGE, _CONTENTS) and name in self.package:
                if name in self._locked:
                    raise DocumentError(f"{self._name}: is protected against copying")
                found.append((name, kind))
        return list(dict.fromkeys(found))

    def add_title(self, flow: Flow) -> None:
        """Add what a shelf shows."""
        mixed = Mixed(flow, Rules(role))
        for name in ("title", "description"):
            for element in self.tree(self._opf).iter(_DC + name):
                mixed.add(element)

    def written(self, languages: Languages) -> bytes:
        """Write the book."""
        for element in self.tree(self._opf).iter(_DC + "language"):
            if languages.change((element.text or "").strip()):
                element.text = languages.target
        for tree in self._trees.values():
            set_language(tree, languages)
        return self.package.written({name: write(tree) for name, tree in self._trees.items() if name != _CONTAINER})

    def _encrypted(self, package: Package) -> set[str]:
        if _ENCRYPTION not in package:
            return set()
        references = self.tree(_ENCRYPTION).iter("{*}CipherReference")
        return {unquote(each.get("URI") or "") for each in references}


def _character(match: re.Match[bytes]) -> bytes:
    name = match[1]
    if name is None or name in _OF_XML:
        return match[0]
    found = html5.get(name.decode())
    return match[0] if found is None else "".join(f"&#{ord(each)};" for each in found).encode()
