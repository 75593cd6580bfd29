"""What preparing did, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from nmt.data.preparation.cleaning import REASONS
from nmt.data.preparation.overlap import Overlap

REPORT_FILE: Final = "report.txt"


def lines_are(counts: Mapping[str, int]) -> Literal["sentences", "texts"] | None:
    """Tell what the lines of a training text are: sentences, unless a third of them or more hold several.

    Args:
        counts: See `PreparedData.counts`; None if they are of a version that did not count sentences.
    """
    looked_into = counts.get("training pairs looked into", 0)
    if not looked_into:
        return None
    return "texts" if 3 * counts["training pairs several sentences"] >= looked_into else "sentences"


def make_report(counts: Mapping[str, int], overlap: Mapping[str, Overlap], misaligned: Sequence[str] = ()) -> list[str]:
    """Write the table.

    Args:
        counts: See `PreparedData.counts`.
        overlap: Of each set, by name.
        misaligned: What is wrong with corpora whose sides do not belong together.

    Returns:
        Its lines.
    """
    read = counts["training pairs read"]
    rows = [("pairs read", read, "")]
    rows += [
        (reason, counts[f"training pairs {reason}"], _share(counts[f"training pairs {reason}"], read))
        for reason in REASONS
    ]
    several, looked_into = (counts.get(f"training pairs {name}", 0) for name in ("several sentences", "looked into"))
    parts = counts["training pairs made by splitting"]
    rows += [
        ("split at sentence ends", counts["training pairs split"], f"into {parts:,}" if parts else ""),
        ("kept to train on", counts["training pairs"], ""),
        ("source and target alike", counts["training pairs copies"], "kept"),
    ]
    if looked_into:
        rows.append(("of several sentences", several, f"of {looked_into:,} looked at: lines are {lines_are(counts)}"))
    for side in ("source", "target"):
        subwords = counts[f"training {side} subwords"]
        rows.append((f"{side} subwords", subwords, f"{subwords / counts['training pairs']:.1f} a pair"))
    rows += [(name, counts[name], "kept") for name in counts if name.startswith("corpus ")]
    lines = ["training", *map(_row, rows), "vocabulary"]
    lines += [_row((name, counts[name], "subwords")) for name in _vocabularies(counts)]
    lines += ["validation", _row(("pairs", counts["validation pairs"], ""))]
    for side in ("source", "target"):
        unknown, subwords = counts[f"validation {side} unknown subwords"], counts[f"validation {side} subwords"]
        lines.append(_row((f"{side} subwords", subwords, f"{_share(unknown, subwords)} unknown")))
    lines.append("also in the training text, whatever its case, spaces and punctuation")
    for name, found in overlap.items():
        sources, pairs = _share(found.sources, found.lines), _share(found.pairs, found.lines)
        lines.append(
            f"  {name}: {found.sources:,} of {found.lines:,} sources ({sources}), {found.pairs:,} pairs ({pairs})"
        )
    if misaligned:
        lines += ["sides that do not belong together", *(f"  {text}" for text in misaligned)]
    return lines


def _vocabularies(counts: Mapping[str, int]) -> list[str]:
    return [name for name in ("joint vocabulary", "source vocabulary", "target vocabulary") if name in counts]


def _row(row: tuple[str, int, str]) -> str:
    name, count, note = row
    return f"  {name:<26}{count:>14,}  {note}".rstrip()


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"
