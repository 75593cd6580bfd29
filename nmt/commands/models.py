"""`nmt models`: what a folder of models holds, one more for it, and whether they are as they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.server.collection import Adding, add_model, verify_models
from nmt.server.listing import Entry, digest_of, identity_of, list_folder
from nmt.server.registry_file import REGISTRY_FILE, read_registry
from nmt.terminal import printable, tell
from nmt.values import shown_bytes


def list_(folder: Path, as_json: bool) -> None:
    """Print the models of a folder.

    Args:
        folder: The folder.
        as_json: Whether to print one JSON object: `folder`, `registry` (whether it has a `models.toml`), `models` (each
            with `source`, `target`, `file`, `bytes`, `name`, `license`, `sha256`, `tags`), `problems`.

    Raises:
        RegistryError: Its list is damaged.
        OSError: It cannot be read.
    """
    found = list_folder(folder)
    rows = [_described(entry) for entry in found.entries]
    if as_json:
        listed = read_registry(folder) is not None
        whole = {"folder": str(folder), "registry": listed, "models": rows, "problems": found.problems}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    _print_table([_shown(row) for row in rows])
    for problem in found.problems:
        tell("nmt models list", problem)


def add(folder: Path, model: Path, adding: Adding) -> None:
    """Put a model into a folder, and tell what it is called there; see `add_model`, whose errors it raises."""
    for row in add_model(folder, model, adding):
        tell("nmt models add", f"{folder / REGISTRY_FILE} lists {row.file}: {row.source} to {row.target}")


def verify(folder: Path) -> bool:
    """Check the models of a folder, and print of each how it went.

    Args:
        folder: The folder.

    Returns:
        Whether all are well.

    Raises:
        RegistryError: Its list is damaged.
        OSError: It cannot be read.
    """
    problems = list(list_folder(folder).problems)
    for problem in problems:
        tell("nmt models verify", problem)
    for checked in verify_models(folder):
        entry = checked.entry
        if checked.problem is not None:
            problems.append(checked.problem)
            tell("nmt models verify", checked.problem)
        elif checked.probe is not None:
            line, translation = (printable(text, 60) for text in checked.probe)
            print(f"{entry.source}-{entry.target}\t{printable(entry.path.name)}\tok\t{line} -> {translation}")
            sys.stdout.flush()
    return not problems


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "target": entry.target,
        "file": entry.path.name,
        "bytes": sum(each[2] for each in identity_of(entry.path) if each is not None),
        "name": entry.name,
        "license": entry.license,
        "sha256": entry.sha256 or digest_of(entry.path),
        "tags": list(entry.tags),
    }


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    cells = (
        f"{row['source']}-{row['target']}",
        row["file"],
        shown_bytes(row["bytes"]),
        row["license"] or "no licence told",
        f"sha256 {row['sha256'][:12]}" if row["sha256"] else "no digest",
        ", ".join(filter(None, (row["name"], *row["tags"]))),
    )
    return tuple(printable(cell, 80) for cell in cells)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
