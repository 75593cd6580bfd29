"""gettext's catalogues (.po, .pot): messages without a translation get one; what people translated stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import polib

from nmt.decoding.translation import Status
from nmt.documents.document import Document, DocumentError, Leaving
from nmt.documents.encodings import read_text
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.terminal import printable
from nmt.text.segments import Segment, plain

_PLURALS: Final = re.compile(r"nplurals\s*=\s*(\d)")
_CHARSET: Final = re.compile(r"charset=([\w.-]+)")
_SURE: Final = (Status.OK, Status.SPLIT, Status.RETRIED)
_FUZZY: Final = "fuzzy"
_WIDTH: Final = 78  # at which gettext breaks lines


def read(given: Given) -> Document:
    """Take a catalogue apart.

    Raises:
        DocumentError: It is none.
    """
    text = read_text(given.content, given.name)
    charset = _CHARSET.search(text.text)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii", "ascii", "charset"):
        raise DocumentError(f"{given.name}: expected a catalogue in UTF-8, got charset={charset[1]} in its header")
    try:
        # A text without a line end would be taken for the name of a file.
        catalogue = polib.pofile(f"{text.text}\n", check_for_duplicates=False)
    except (OSError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise DocumentError(
            f"{given.name}: expected a catalogue of gettext, got: {printable(str(error), 200)}"
        ) from None
    # Only of the last one does the library not miss it.
    last = max((_first(entry) for entry in catalogue if not entry.obsolete), default=None)
    if last is not None and not any(_begins(line, "msgstr") for line in text.text.splitlines()[last:]):
        raise DocumentError(f"{given.name}: expected a msgstr at its end, got none")
    flow, left = Flow(), Leaving()
    forms = _PLURALS.search(catalogue.metadata.get("Plural-Forms", ""))
    added: list[polib.POEntry] = []
    for entry in catalogue:
        if entry.obsolete:
            left.add("obsolete messages", "no program shows them")
        elif _FUZZY in entry.flags:
            left.add("fuzzy messages", "somebody is to look at their translations")
        elif entry.msgstr or any(entry.msgstr_plural.values()):
            left.add("messages that have a translation", "it is kept")
        else:
            _add(flow, entry, int(forms[1]) if forms else 2, left)
            added.append(entry)
    return flow.document(lambda: text.written(_written(text.text, added)), left.all())


def _add(flow: Flow, entry: polib.POEntry, forms: int, left: Leaving) -> None:
    """Add a message; each of its lines is translated by itself, so that line ends stay where programs want them."""
    if entry.msgid_plural:
        if forms > 2:
            left.add("plural forms beyond the second", "they are like the second, and fuzzy")
            entry.flags.append(_FUZZY)
        entry.msgstr_plural = dict.fromkeys(range(forms), "")
        if forms > 1:
            _add_lines(flow, entry, entry.msgid, lambda text: entry.msgstr_plural.update({0: text}))
        later = range(min(1, forms - 1), forms)
        _add_lines(flow, entry, entry.msgid_plural, lambda text: entry.msgstr_plural.update(dict.fromkeys(later, text)))
    else:
        _add_lines(flow, entry, entry.msgid, lambda text: setattr(entry, "msgstr", text))


def _add_lines(flow: Flow, entry: polib.POEntry, message: str, put: Callable[[str], None]) -> None:
    lines = message.split("\n")
    found = False
    for number, line in enumerate(lines):

        def fill(segment: Segment, status: Status, number: int = number) -> None:
            lines[number] = plain(segment)
            put("\n".join(lines))
            if status not in _SURE and _FUZZY not in entry.flags:
                entry.flags.append(_FUZZY)

        found |= flow.add([line], fill)
    if not found:
        put(message)


def _written(text: str, added: Sequence[polib.POEntry]) -> str:
    """Write a catalogue: nothing but the translations that were added differs, so that their diff is all there is."""
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)  # as the library counts them
    for entry in reversed(added):
        first = _first(entry)
        start = next(number for number in range(first, len(lines)) if _begins(lines[number], "msgstr"))
        end = start + 1
        while end < len(lines) and _begins(lines[end], '"', "msgstr["):
            end += 1
        new = entry.__unicode__(_WIDTH).rstrip("\n").split("\n")
        place = next(number for number, line in enumerate(new) if line.startswith("msgstr"))
        lines[start:end] = [f"{line}{ending}" for line in new[place:]]
        if _FUZZY in entry.flags:
            _mark(lines, first, ending)
    return "".join(lines)


def _mark(lines: list[str], first: int, ending: str) -> None:
    """Say of a message that somebody is to look at it, beside what else is said of it."""
    for number in range(first, len(lines)):
        if _begins(lines[number], "#,"):
            lines[number] = f"{lines[number].rstrip()}, {_FUZZY}{ending}"
            return
        if _begins(lines[number], "msg", "#|"):
            lines.insert(number, f"#, {_FUZZY}{ending}")
            return


def _first(entry: polib.POEntry) -> int:
    return (entry.linenum or 1) - 1


def _begins(line: str, *words: str) -> bool:
    return line.lstrip().startswith(words)
