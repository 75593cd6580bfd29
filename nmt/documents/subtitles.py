"""Subtitles, SubRip (.srt) and WebVTT (.vtt): lines of a cue are one text; times, settings, styles and notes stay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape, unescape
from itertools import count
from typing import Final

from nmt.documents.document import Document, DocumentError, Leaving
from nmt.documents.encodings import read_text
from nmt.documents.flow import Flow
from nmt.documents.formats import Given
from nmt.documents.wrapping import as_wrapped
from nmt.text.segments import Kind, Segment, Tag, written

_TIMES: Final = re.compile(r"\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->\s*(?:\d+:)?\d+:\d+[.,]\d+")
_TAG: Final = re.compile(r"</?(?:[A-Za-z][^<>\n]*|[\d:.]+)>|\{\\[^{}\n]*\}|\{/?[A-Za-z](?::[^{}\n]*)?\}")
_PAIR: Final = re.compile(r"<(/?)([A-Za-z]+)")
_DIALOGUE: Final = re.compile(r"(\s*(?:<[^<>]*>|\{\\[^{}]*\})*\s*[-\u2010-\u2014\u266a#>]+\s*)")


def read(given: Given) -> Document:
    """Take subtitles apart.

    Raises:
        DocumentError: There is no cue in them.
    """
    text = read_text(given.content, given.name)
    out: list[str] = []
    flow, left = Flow(), Leaving()
    cues = 0
    for block in _blocks(text.text.splitlines(keepends=True)):
        place = next((number for number, line in enumerate(block) if _TIMES.match(line)), None)
        if place is None:
            out += block
            left.add("notes and styles", "nobody sees them", int(bool(block[0].strip())))
            continue
        cues += 1
        out += block[: place + 1]
        for lines in _speeches(block[place + 1 :]):
            _add(flow, out, lines, is_escaped=given.name.lower().endswith(".vtt"))
    if not cues and text.text.strip():
        raise DocumentError(f"{given.name}: expected subtitles, with times such as 00:00:01,000 --> 00:00:02,000")
    return flow.document(lambda: text.written("".join(out)), left.all())


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    """Gather lines into cues and notes; blank lines are blocks of their own."""
    blocks: list[list[str]] = []
    for line in lines:
        if not line.strip() or not blocks or not blocks[-1][-1].strip():
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _speeches(lines: Sequence[str]) -> list[list[str]]:
    """Gather the lines of a cue by who speaks: a dash begins what another says."""
    found: list[list[str]] = []
    for line in lines:
        if not found or _DIALOGUE.match(line):
            found.append([line])
        else:
            found[-1].append(line)
    return found


def _add(flow: Flow, out: list[str], lines: Sequence[str], *, is_escaped: bool) -> None:
    place = len(out)
    out.append("".join(lines))
    bodies = [line.rstrip("\r\n") for line in lines]
    ends = [line[len(body) :] for line, body in zip(lines, bodies, strict=True)]
    bodies = [body.strip() if number else body.rstrip() for number, body in enumerate(bodies)]
    dash = found[1] if (found := _DIALOGUE.match(bodies[0])) else ""
    joined = " ".join(bodies)[len(dash) :]

    def fill(segment: Segment, _: object) -> None:
        parts = (part if isinstance(part, Tag) else _safe(part, is_escaped=is_escaped) for part in segment)
        out[place] = as_wrapped(dash + written(parts), bodies, ends)

    flow.add([unescape(part) if is_escaped and isinstance(part, str) else part for part in _parts(joined)], fill)


def _safe(text: str, *, is_escaped: bool) -> str:
    """Write text so that it is no markup; an arrow would end a cue."""
    return escape(text, quote=False) if is_escaped else text.replace("-->", "->")


def _parts(text: str) -> list[str | Tag]:
    """Cut text at its tags; those that open and close the same are pairs."""
    parts: list[str | Tag] = []
    keys = count(1)
    begun: list[tuple[str, int, int]] = []  # name, key and place of tags that are not closed yet
    end = 0
    for match in _TAG.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        pair = _PAIR.match(match[0])
        if pair and pair[1] and begun and begun[-1][0] == pair[2]:
            _, key, place = begun.pop()
            parts[place] = Tag(Kind.OPEN, key, _markup(parts[place]))
            parts.append(Tag(Kind.CLOSE, key, match[0]))
            continue
        key = next(keys)
        if pair and not pair[1]:
            begun.append((pair[2], key, len(parts)))
        parts.append(Tag(Kind.ALONE, key, match[0]))
    return [*parts, text[end:]]


def _markup(part: str | Tag) -> str:
    return part if isinstance(part, str) else part.markup
