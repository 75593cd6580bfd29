"""What `nmt translate` reads and writes: plain text, tab-separated columns, JSON lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from nmt.decoding.alignment import format_links
from nmt.decoding.translation import Candidate, Status, Translation

TSV_COLUMNS: Final = ("line", "rank", "translation", "status", "score", "alignment")
_DEEPEST: Final = 100  # brackets within each other: all that is read can be written again
_TOO_DEEP: Final = f"more than {_DEEPEST} brackets within each other"
_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")  # of those that Python knows, the ones that JSON does not escape


@dataclass(frozen=True)
class Columns:
    """What to write beside the translation."""

    status: bool = False
    """How each line went."""
    scores: bool = False
    alignments: bool = False
    """Which word came from which."""


def as_text(translation: Translation, columns: Columns) -> str:
    """Write a translation as a line, followed by the chosen columns; a tab in it becomes a space if there are any."""
    more = []
    if columns.status:
        more.append(translation.status.value)
    if columns.scores:
        more.append(_number(translation.score))
    if columns.alignments:
        more.append(format_links(translation.alignment or ()))
    return "\t".join([without_tabs(translation.text), *more]) if more else translation.text


def as_rows(translation: Translation, line: int) -> list[str]:
    """Write a translation as rows of `TSV_COLUMNS`: one per hypothesis, at least one."""
    ranked: Sequence[Candidate | None] = translation.hypotheses or (None,)
    rows = []
    for rank, each in enumerate(ranked, start=1):
        text = translation.text if each is None else each.text
        links = translation.alignment if each is None else each.alignment
        fields = (str(line), str(rank), without_tabs(text), translation.status.value)
        rows.append("\t".join([*fields, _number(None if each is None else each.score), format_links(links or ())]))
    return rows


@dataclass(frozen=True)
class JsonLine:
    """A line of JSON that came in."""

    text: str
    """What to translate; empty if there is an error."""
    fields: dict[str, object]
    """What to write out beside the translation."""
    error: str | None = None
    """What is wrong with the line."""


def read_json(line: str, number: int, field: str = "text") -> JsonLine:
    """Read `{"text": "..."}` with any other fields, or `"..."`; whatever is wrong stays with this line.

    Args:
        line: The line.
        number: Its number, for the message.
        field: Name of the field that holds the text.
    """
    expected = f'line {number}: expected a JSON object with a string "{field}", or a JSON string'
    try:
        value = json.loads(line, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        if _is_deep(value):
            raise RecursionError
    except (ValueError, RecursionError) as error:
        return JsonLine("", {}, f"{expected}, got: {error if isinstance(error, ValueError) else _TOO_DEEP}")
    if isinstance(value, str):
        return JsonLine(value, {field: value})
    if not isinstance(value, dict):
        return JsonLine("", {}, f"{expected}, got {type(value).__name__}")
    text = value.get(field)
    if not isinstance(text, str):
        got = f'"{field}" of type {type(text).__name__}' if field in value else "an object without it"
        return JsonLine("", value, f"{expected}, got {got}")
    return JsonLine(text, value)


def as_json(line: JsonLine, translation: Translation, columns: Columns, n_best: int) -> str:
    """Write the fields that came in, and what became of their text."""
    if line.error is not None:
        return dump_json({**line.fields, "translation": "", "status": Status.FAILED.value, "error": line.error})
    fields = {**line.fields, "translation": translation.text, "status": translation.status.value}
    if columns.scores:
        fields["score"] = _rounded(translation.score)
    if columns.alignments:
        fields["alignment"] = translation.alignment
    if n_best > 1:
        fields["n_best"] = [
            {"translation": each.text, "score": _rounded(each.score)}
            | ({"alignment": each.alignment} if columns.alignments else {})
            for each in translation.hypotheses
        ]
    return dump_json(fields)


def dump_json(value: object) -> str:
    """Write JSON on one line, whatever reads it and whatever it takes for a line break."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return json.dumps(value)
    return _LINE_BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("an object in which a name comes twice")
    return fields


def _is_deep(value: object) -> bool:
    """Whether more than `_DEEPEST` lists and objects are within each other."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        inside: list[object] = []
        for each in level:
            inside += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        level = inside
    return bool(level)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"a number that is too large, {digits}")
    return value


def without_tabs(text: str) -> str:
    """Make a text fit for a column."""
    return text.replace("\t", " ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
