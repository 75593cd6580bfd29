"""The course of training in MODEL/scores.jsonl: one JSON object a line, one line for each validation.

`nmt evaluate` adds lines of another kind to the same file; they are left alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nmt.files import write_text

SCORES_FILE = "scores.jsonl"
KIND = "validation"


class History:
    """The validations of a model folder.

    Args:
        folder: The model folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / SCORES_FILE

    def add(self, step: int, epoch: int, seconds: float, numbers: Mapping[str, float]) -> None:
        """Append a validation.

        Args:
            step: Optimiser steps done.
            epoch: Number of the running epoch, from 1.
            seconds: Training time so far.
            numbers: What was measured, by name.

        Raises:
            OSError: The file cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"kind": KIND, "time": now, "step": step, "epoch": epoch, "seconds": round(seconds, 3), **numbers}
        try:
            # One write, so that a process that is killed leaves the line whole or missing.
            with self.path.open("ab") as file:
                file.write(json.dumps(row).encode() + b"\n")
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
        kept = [line for line in lines if not (_is_validation(line) and _parse(line)["step"] > step)]
        if kept and not kept[-1].endswith("\n"):
            kept[-1:] = [kept[-1] + "\n"] if _parse(kept[-1]) else []
        if kept != lines:
            write_text(self.path, "".join(kept))

    def rows(self) -> list[dict[str, Any]]:
        """Read the validations, in order."""
        return [_parse(line) for line in self._lines() if _is_validation(line)]

    def _lines(self) -> list[str]:
        try:
            text = self.path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return [line + "\n" for line in text.split("\n")[:-1]] + [line for line in text.split("\n")[-1:] if line]


def _parse(line: str) -> dict[str, Any]:
    """Read a line; empty if it is no JSON object."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _is_validation(line: str) -> bool:
    row = _parse(line)
    return row.get("kind") == KIND and isinstance(row.get("step"), int)
