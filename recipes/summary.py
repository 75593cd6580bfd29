"""What a recipe's run came to: scores with signatures, training time, speed, memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line; none if it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def summary(model: Path, tests: Sequence[str]) -> str:
    """Put the numbers of a model folder into lines of text.

    Args:
        model: The folder; its `scores.jsonl` and `runs.jsonl` are read.
        tests: Names of the test sets; of each, the last score counts.
    """
    lines = [f"model      {model}"]
    rows = read_rows(model / "scores.jsonl")
    for name in tests:
        found = [row for row in rows if row.get("test") == name]
        if found:
            row = found[-1]
            lines += [
                f"test       {name}, {row['lines']:,} lines, beam {row['beam_size']}",
                f"           BLEU {row['bleu']:.2f}  {row['bleu_signature']}",
                f"           chrF {row['chrf']:.2f}  {row['chrf_signature']}",
            ]
    validations = [row for row in rows if row.get("kind") == "validation"]
    if validations:
        last = validations[-1]  # training ends with one
        minutes, seconds = divmod(round(last["seconds"]), 60)
        speeds = [row["tokens_per_second"] for row in validations]
        lines += [
            f"training   {minutes}:{seconds:02} minutes with validations, {last['step']:,} steps, "
            f"ended in epoch {last['epoch']}",
            f"speed      {median(speeds):,.0f} target subwords/s between validations",
        ]
    peaks = [row["peak_mib"] for row in read_rows(model / "runs.jsonl")]
    if peaks:
        lines.append(f"memory     {max(peaks):,} MiB at most while training")
    return "\n".join(lines)
