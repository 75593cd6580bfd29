"""`scores.jsonl`, what was measured of a model: one JSON object a line.

Training adds a line of the kind "validation" for each validation, `nmt evaluate` one of the kind "test".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nmt.files import write_text
from nmt.reading import read_regular, require_writable

SCORES_FILE = "scores.jsonl"
_LARGEST_FILE = 64 << 20
Kind = Literal["validation", "test"]


class ScoresFile:
    """The scores of a model folder.

    Args:
        folder: The model folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / SCORES_FILE

    def add(self, kind: Kind, row: Mapping[str, object]) -> None:
        """Append a row, with its kind and the time.

        Args:
            kind: Who measured.
            row: What was measured, by name.

        Raises:
            OSError: The file cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = json.dumps({"kind": kind, "time": now, **row}).encode() + b"\n"
        try:
            require_writable(self.path)
            # One write, so that a process that is killed leaves the line whole or missing.
            with self.path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    torn = file.read(1) != b"\n"  # a run was killed while it wrote
                    content = b"\n" * torn + content
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self.path)
            raise

    def forget_after(self, step: int) -> None:
        """Remove the validations of later steps, which a run that is about to be repeated left, and a torn last line.

        Args:
            step: Step of the last validation that counts.

        Raises:
            OSError: The file cannot be written.
        """
        lines = self._lines()
        kept = [line for line in lines if not (_is_validation(row := _parse(line)) and row["step"] > step)]
        if kept and not kept[-1].endswith("\n"):
            kept[-1:] = [kept[-1] + "\n"] if _parse(kept[-1]) else []
        if kept != lines:
            write_text(self.path, "".join(kept))

    def validations(self) -> list[dict[str, Any]]:
        """Read the validations, in order."""
        return [row for row in map(_parse, self._lines()) if _is_validation(row)]

    def tests(self) -> list[dict[str, Any]]:
        """Read the scores of test sets, in order."""
        return [row for row in map(_parse, self._lines()) if row.get("kind") == "test"]

    def _lines(self) -> list[str]:
        try:
            text = read_regular(self.path, _LARGEST_FILE).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return [line + "\n" for line in text.split("\n")[:-1]] + [line for line in text.split("\n")[-1:] if line]


def _parse(line: str) -> dict[str, Any]:
    """Read a line; empty if it is no JSON object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _is_validation(row: Mapping[str, Any]) -> bool:
    return row.get("kind") == "validation" and isinstance(row.get("step"), int)
