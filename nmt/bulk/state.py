"""The folder that a run goes on from: what it was asked for, and the shards that are done.

A shard appears whole, with what became of it, by one renaming; a shard that has its name is never made again.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from nmt.bulk.shards import BulkError, Made, Note, Shard
from nmt.files import atomic_write, remove_leftovers, write_text
from nmt.reading import open_regular, read_regular

MANIFEST_FILE: Final = "manifest.json"
SUMMARY_FILE: Final = "summary.json"
_SHARDS: Final = "shards"
_DONE: Final = ".done"
_FAILED: Final = ".failed"
_IN_A_FOLDER: Final = 1000
_LONGEST_RECORD: Final = 1 << 20


@dataclass(frozen=True)
class Record:
    """A shard that is written."""

    path: Path
    file: str
    first: int
    rows: int
    statuses: Counter[str]
    unreadable: int
    notes: list[Note]

    def is_of(self, shard: Shard) -> bool:
        """Whether it was made of such a shard."""
        return (self.file, self.first, self.rows) == (shard.file, shard.first, shard.rows)


class State:
    """What is kept of a run.

    Args:
        folder: Where; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Say what the run is asked for, or make sure that one that was begun was asked for the same.

        Raises:
            BulkError: It was asked for something else.
            OSError: The folder cannot be written.
        """
        path = self.folder / MANIFEST_FILE
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if not path.exists():
            write_text(path, text)
            return
        try:
            before = json.loads(read_regular(path, 1 << 30))
        except ValueError as error:
            raise BulkError(f"{path}: expected what a run was asked for, as JSON, got: {error}") from None
        wanted = json.loads(text)
        if before != wanted:
            names = [name for name in wanted if before.get(name) != wanted[name]] if isinstance(before, dict) else []
            raise BulkError(
                f"{self.folder}: begun with other {' and '.join(names) or 'settings'} (see {MANIFEST_FILE} there); "
                "remove the folder to begin anew, or give the run what it had"
            )
        for folder in (self.folder / _SHARDS).glob("*"):
            remove_leftovers(folder)

    def summary(self) -> dict[str, Any] | None:
        """Return what the run told at its end; None if it has not come to it."""
        with suppress(FileNotFoundError):
            found = json.loads(read_regular(self.folder / SUMMARY_FILE))
            return found if isinstance(found, dict) else None
        return None

    def end(self, summary: Mapping[str, Any], *, keep: bool) -> None:
        """Keep what a run tells at its end, and, where nothing is left to do, its shards no longer."""
        if not keep:
            write_text(self.folder / SUMMARY_FILE, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
            shutil.rmtree(self.folder / _SHARDS, ignore_errors=True)

    def begin_anew(self) -> None:
        """Forget that the run came to its end: somebody took what it had written away."""
        (self.folder / SUMMARY_FILE).unlink(missing_ok=True)

    def find(self, shard: Shard) -> Record | None:
        """Find a shard that is done."""
        path = self._path(shard.number, _DONE)
        try:
            record = _read(path)
        except FileNotFoundError:
            return None
        return record if record.is_of(shard) else None

    def keep(self, shard: Shard, made: Made, *, failed: bool = False) -> Record:
        """Write a shard.

        Args:
            shard: Which.
            made: What became of it.
            failed: Whether a run that goes on should try it again.
        """
        path = self._path(shard.number, _FAILED if failed else _DONE)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "file": shard.file,
            "first": shard.first,
            "rows": shard.rows,
            "statuses": made.statuses,
            "unreadable": made.unreadable,
            "notes": made.notes,
        }
        with atomic_write(path) as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.write(made.content)
        return _read(path)

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / _SHARDS / f"{number // _IN_A_FOLDER:05d}" / f"{number:08d}{suffix}"


@contextmanager
def content_of(record: Record) -> Iterator[BinaryIO]:
    """Open what became of a shard."""
    with open_regular(record.path) as file:
        file.readline(_LONGEST_RECORD)
        yield file


def _read(path: Path) -> Record:
    with open_regular(path) as file:
        found = json.loads(file.readline(_LONGEST_RECORD))
    notes = [Note(*note) for note in found["notes"]]
    return Record(
        path, found["file"], found["first"], found["rows"], Counter(found["statuses"]), found["unreadable"], notes
    )
