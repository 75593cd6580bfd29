"""Lines of a stream that nobody refuses: text is made of each, and what is none is counted."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from nmt.data.encodings import advice, is_marked, looks_wide
from nmt.data.text import LONGEST_LINE, RawLine

_HEAD: Final = 4096  # bytes from which the encoding is guessed


class TextCheck:
    """Turns lines of bytes into text, and counts those that are none.

    Args:
        path: Where they come from; None for stdin.
        language: Code of their language.
    """

    def __init__(self, path: Path | None, language: str) -> None:
        self.lines = 0
        """Lines so far."""
        self.wrong = 0
        """Of these, lines that are no UTF-8."""
        self.cut = 0
        """Of these, lines that are too long."""
        self._path, self._language = path, language
        self._first_wrong = self._first_cut = 0
        self._right = 0  # lines of UTF-8 that are not of ASCII alone
        self._head = b""
        self._is_marked = False  # as UTF-16 or UTF-32

    def read(self, line: RawLine) -> tuple[str, bool]:
        """Make text of a line.

        Returns:
            The text, with U+FFFD for bytes that are no UTF-8; and whether it is all that the line says.
        """
        self.lines += 1
        if self.lines == 1:
            self._is_marked = is_marked(line.content)
        try:
            text, wrong = line.content.decode("utf-8"), self._is_marked or looks_wide(line.content)
        except UnicodeDecodeError:
            text, wrong = line.content.decode("utf-8", errors="replace"), True
        if len(self._head) < _HEAD:
            self._head += line.content[:_HEAD] + b"\n"
        elif wrong and not self.wrong:  # what came before tells nothing
            self._head = line.content[:_HEAD]
        if wrong:
            self.wrong += 1
            self._first_wrong = self._first_wrong or self.lines
        elif not line.content.isascii():
            self._right += 1
        if line.is_cut:
            self.cut += 1
            self._first_cut = self._first_cut or self.lines
        return text, not (wrong or line.is_cut)

    @property
    def is_other_encoding(self) -> bool:
        """Whether the whole is no UTF-8, and not some damaged lines of it."""
        return self.wrong * 2 >= max(self.lines, 1) and self.wrong > self._right

    def warnings(self) -> list[str]:
        """Tell what was found, in sentences; nothing if all is text."""
        found = []
        if self.wrong:
            what = f"no UTF-8 in {self.wrong:,} of {self.lines:,} lines, the first of them line {self._first_wrong:,}"
            if self.wrong > self._right:
                found.append(f"{what}; {advice(self._path, self._head, self._language)}")
            else:
                file = "FILE" if self._path is None else shlex.quote(str(self._path))
                found.append(f"{what}; most others are, so that these are damaged: grep -naxv '.*' {file}")
        if self.cut:
            found.append(
                f"more than {LONGEST_LINE:,} bytes in {self.cut:,} of {self.lines:,} lines, the first of them line "
                f"{self._first_cut:,}; only the beginning of such a line is used"
            )
        return found
