"""Rows in, rows out: what a worker makes of a shard, each kind of file in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt.bulk.shards import Made, Shard
from nmt.data.encodings import advice
from nmt.data.text import LONGEST_LINE, RawLine
from nmt.data.text_check import TextCheck
from nmt.decoding.formats import Columns, JsonLine, as_json, as_text, read_json, without_tabs
from nmt.decoding.translation import Status, Translation

Translate = Callable[[Sequence[str]], list[Translation]]


@dataclass(frozen=True)
class Wanted:
    """What to write beside translations."""

    status: bool = False
    """Of text: how each line went, and its key; other files always have both."""
    scores: bool = False
    n_best: int = 1


def make(shard: Shard, translate: Translate, wanted: Wanted, language: str = "") -> Made:
    """Make a row of each row of a shard.

    Args:
        shard: The rows.
        translate: Makes a translation of each text.
        wanted: What to write beside it.
        language: Code of the language that the text should be of, to guess its encoding where it is no UTF-8.
    """
    if isinstance(shard.content, bytes):
        return _make_table(shard, shard.content, translate, wanted)
    return _make_lines(shard, shard.content, translate, wanted, language)


def failed(texts: Sequence[str]) -> list[Translation]:
    """Give up all of some texts: what `make` takes to translate with, where nothing can."""
    return [Translation("", Status.FAILED) for _ in texts]


def _make_lines(shard: Shard, lines: Sequence[RawLine], translate: Translate, wanted: Wanted, language: str) -> Made:
    made = Made(b"")
    check = TextCheck(Path(shard.file), language)
    read: list[tuple[str, JsonLine, bool]] = []
    for number, raw in enumerate(lines, start=shard.first):
        text, whole = check.read(raw)
        row = _read(shard, text, number, raw.is_cut)
        if row.error is not None:
            made.note(number, row.error)
        elif raw.is_cut:
            made.note(number, f"expected at most {LONGEST_LINE:,} bytes, got more; only the beginning is translated")
        elif not whole:
            made.note(number, f"expected UTF-8; {advice(Path(shard.file), raw.content, language)}")
        read.append((text, row, whole))
    rows = []
    translations = translate([row.text for _, row, _ in read])
    for place, ((text, row, whole), raw, found) in enumerate(zip(read, lines, translations, strict=True)):
        each = found if whole else found.damaged(cut=raw.is_cut)
        if row.error is not None:
            each = Translation("", Status.FAILED)
        made.statuses[each.status.value] += 1
        rows.append(_write(shard.kind, text, row, each, shard.key(place), wanted))
    made.content = "".join(f"{row}\n" for row in rows).encode()
    return made


def _read(shard: Shard, text: str, number: int, is_cut: bool) -> JsonLine:
    """Find what to translate in a line."""
    if shard.kind == "json":
        if is_cut:
            return JsonLine("", {}, f"expected at most {LONGEST_LINE:,} bytes, got more")
        found = read_json(text, number, str(shard.column))
        return replace(found, error=found.error.removeprefix(f"line {number}: ")) if found.error else found
    if shard.kind == "tsv":
        columns, place = text.split("\t"), int(shard.column)
        if place >= len(columns):
            return JsonLine("", {}, f"expected at least {place + 1} columns, got {len(columns)}")
        return JsonLine(columns[place], {})
    return JsonLine(text, {})


def _write(kind: str, text: str, row: JsonLine, translation: Translation, key: str, wanted: Wanted) -> str:
    if kind == "json":
        keyed = replace(row, fields={**row.fields, "key": key})
        return as_json(keyed, translation, Columns(scores=wanted.scores), wanted.n_best)
    if kind == "text" and not wanted.status:
        return as_text(translation, Columns(scores=wanted.scores))
    beside = as_text(translation, Columns(status=True, scores=wanted.scores)) + "\t" + without_tabs(key)
    return beside if kind == "text" else f"{text}\t{beside}"


def tsv_header(header: str, wanted: Wanted) -> str:
    """Return the header of a file of columns with those that are added."""
    return "\t".join([header, "translation", "status", *(["score"] if wanted.scores else []), "key"])


def _make_table(shard: Shard, content: bytes, translate: Translate, wanted: Wanted) -> Made:
    import pyarrow as pa  # noqa: PLC0415  (only where there is Parquet)

    made = Made(b"")
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all()
    texts = [text or "" for text in table.column(shard.column).to_pylist()]
    found = translate(texts)
    made.statuses.update(each.status.value for each in found)
    for name, values, kind in _columns(shard, found, wanted):
        table = table.append_column(name, pa.array(values, kind))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    made.content = sink.getvalue().to_pybytes()
    return made


def _columns(shard: Shard, found: Sequence[Translation], wanted: Wanted) -> list[tuple[str, list[Any], Any]]:
    """Name, values and type of the columns that are added to a table."""
    import pyarrow as pa  # noqa: PLC0415

    columns: list[tuple[str, list[Any], Any]] = [
        ("translation", [each.text for each in found], pa.string()),
        ("status", [each.status.value for each in found], pa.string()),
        ("key", [shard.key(place) for place in range(len(found))], pa.string()),
    ]
    if wanted.scores:
        columns.append(("score", [_finite(each.score) for each in found], pa.float64()))
    if wanted.n_best > 1:
        kind = pa.list_(pa.struct([("translation", pa.string()), ("score", pa.float64())]))
        ranked = [[{"translation": one.text, "score": _finite(one.score)} for one in each.hypotheses] for each in found]
        columns.append(("n_best", ranked, kind))
    return columns


def added_columns(wanted: Wanted) -> set[str]:
    """Names of the columns that are added to a table."""
    return (
        {"translation", "status", "key"}
        | ({"score"} if wanted.scores else set())
        | ({"n_best"} if wanted.n_best > 1 else set())
    )


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
