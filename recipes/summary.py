"""What a recipe's run came to: scores with signatures, training time, speed, memory.

Run as `python recipes/summary.py MODEL TEST...`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line; none if it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def latest_state(model: Path) -> dict[str, Any]:
    """Read where the latest checkpoint stands; empty if there is none."""
    states = {int(path.parent.name.removeprefix("step_")): path for path in model.glob("checkpoints/step_*/state.json")}
    if not states:
        return {}
    state: dict[str, Any] = json.loads(states[max(states)].read_text(encoding="utf-8"))
    return state


def summary(model: Path, tests: list[str]) -> str:
    """Put the numbers of a model folder into lines of text.

    Args:
        model: The folder; its `scores.jsonl`, `runs.jsonl` and latest checkpoint are read.
        tests: Names of the test sets; of each, the last score counts.
    """
    lines = [f"model      {model}"]
    rows = [row for row in read_rows(model / "scores.jsonl") if "test" in row]
    for name in tests:
        found = [row for row in rows if row["test"] == name]
        if found:
            row = found[-1]
            lines += [
                f"test       {name}, {row['lines']:,} lines, beam {row['beam_size']}",
                f"           BLEU {row['bleu']:.2f}  {row['bleu_signature']}",
                f"           chrF {row['chrf']:.2f}  {row['chrf_signature']}",
            ]
    state = latest_state(model)
    if state and state["seconds"]:
        minutes, seconds = divmod(round(state["seconds"]), 60)
        rate = state["target_tokens"] / state["seconds"]
        lines += [
            f"training   {minutes}:{seconds:02} minutes, {state['epoch']} whole epochs, {state['step']:,} steps",
            f"speed      {rate:,.0f} target subwords/s, validations included",
        ]
    peaks = [row["peak_mib"] for row in read_rows(model / "runs.jsonl")]
    if peaks:
        lines.append(f"memory     {max(peaks):,} MiB at most while training")
    return "\n".join(lines)


if __name__ == "__main__":
    print(summary(Path(sys.argv[1]), sys.argv[2:]))
