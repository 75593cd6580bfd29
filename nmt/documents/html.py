"""HTML pages: `nmt/text` knows their markup; here they get their encoding."""

from __future__ import annotations

import codecs
import re
from typing import Final

from nmt.documents.document import Document, DocumentError
from nmt.documents.encodings import read_text
from nmt.documents.formats import Given

_SEARCHED: Final = 1024  # bytes, as browsers do
_CHARSET: Final = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
_TEXT_ENCODINGS: Final = re.compile(
    r"utf-8|ascii|iso8859-\d+|cp\d+|koi8-[ru]|mac-\w+|big5(hkscs)?|gb2312|gbk|gb18030|euc_\w+|shift_jis|johab"
)


def read(given: Given) -> Document:
    """Take a page apart."""
    declared = _CHARSET.search(given.content[:_SEARCHED])
    if declared is None or given.content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = read_text(given.content, given.name)
        return Document([text.text], lambda results: text.written(results[0].text), format="html")
    encoding = _known(declared[1].decode("ascii", "replace"), given.name)
    try:
        page = given.content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{given.name}: expected text in {encoding}, as the page says, got byte 0x{error.object[error.start]:02x} "
            f"at position {error.start:,}"
        ) from None
    # What the encoding lacks is written by its number.
    return Document([page], lambda results: results[0].text.encode(encoding, "xmlcharrefreplace"), format="html")


def _known(name: str, document: str) -> str:
    """Return what Python calls an encoding, if it is one of text that browsers take."""
    name = "cp1252" if name.lower() in ("iso-8859-1", "latin1", "us-ascii", "ascii") else name  # as browsers take it
    try:
        found = codecs.lookup(name).name
    except LookupError:
        found = ""
    if not _TEXT_ENCODINGS.fullmatch(found):
        raise DocumentError(f"{document}: expected a known encoding, got {name!r} as the page's charset")
    return found
