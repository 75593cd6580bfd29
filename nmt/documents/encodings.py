"""Text files whose encoding is known: UTF-8, or UTF-16 that says so; they are written as they came."""

from __future__ import annotations

import codecs
from typing import Final, NamedTuple

from nmt.data.encodings import guess_encoding, looks_wide
from nmt.documents.document import DocumentError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Text(NamedTuple):
    """A text file, read."""

    text: str
    """All of it; line ends as they are."""
    encoding: str
    """As Python calls it."""
    mark: bytes = b""
    """The byte order mark before it."""

    def written(self, text: str) -> bytes:
        """Return another text as bytes of the same kind."""
        return self.mark + text.encode(self.encoding)


def read_text(content: bytes, name: str) -> Text:
    """Read a text file.

    Args:
        content: All of it.
        name: What it is called in errors.

    Raises:
        DocumentError: It is neither UTF-8 nor UTF-16 with a byte order mark.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark) and not content.startswith(codecs.BOM_UTF32_LE):
            return Text(_decoded(content.removeprefix(mark), encoding, name), encoding, mark)
    if looks_wide(content[:4096]) or b"\0" in content:
        raise DocumentError(f"{name}: expected text in UTF-8, got {_guessed(content)}")
    return Text(_decoded(content, "utf-8", name), "utf-8")


def _decoded(content: bytes, encoding: str, name: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise DocumentError(
            f"{name}: expected text in {encoding.upper()}, got byte 0x{byte:02x} at position {error.start:,}: "
            f"{_guessed(content)}"
        ) from None


def _guessed(content: bytes) -> str:
    guess = guess_encoding(content[:4096])
    return "bytes of no known encoding" if guess is None else f"what may be {guess}; save it as UTF-8 first"
