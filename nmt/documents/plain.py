"""Plain text: a line each, or the paragraphs of text whose lines were broken to fit a width."""

from __future__ import annotations

from collections.abc import Sequence

from nmt.documents.document import Document
from nmt.documents.encodings import read_text
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.wrapping import as_wrapped, is_wrapped
from nmt.text.segments import Segment, written


def read(given: Given) -> Document:
    """Take plain text apart."""
    text = read_text(given.content, given.name)
    lines = text.text.splitlines(keepends=True)
    out: list[str] = []
    flow = Flow()
    for paragraph in _paragraphs(lines):
        _add(flow, out, paragraph)
    return flow.document(lambda: text.written("".join(out)))


def _add(flow: Flow, out: list[str], lines: Sequence[str]) -> None:
    """Add lines that are translated together."""
    place = len(out)
    out.append("".join(lines))
    bodies = [line.rstrip() for line in lines]
    ends = [line[len(body) :] for line, body in zip(lines, bodies, strict=True)]

    def fill(segment: Segment, _: object) -> None:
        out[place] = as_wrapped(written(segment), bodies, ends)

    flow.add([" ".join([bodies[0], *(body.lstrip() for body in bodies[1:])])], fill)


def _paragraphs(lines: Sequence[str]) -> list[Sequence[str]]:
    """Gather lines: those between blank ones where they were broken to fit a width, else each by itself."""
    found: list[Sequence[str]] = []
    start = 0
    for number in range(len(lines) + 1):
        if number == len(lines) or not lines[number].strip():
            block = lines[start:number]
            found += [block] if block and is_wrapped(block) else [[line] for line in block]
            found += [[line] for line in lines[number : number + 1]]
            start = number + 1
    return found
