"""Training text that models make, for the commands that do: in parts, so that nothing is lost when it is stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from nmt.commands.progress import progress
from nmt.data.text import CorpusError
from nmt.decoding.translation import Status, Translation
from nmt.files import atomic_write, write_text
from nmt.model_folder.files import MODEL_FILE
from nmt.reading import read_regular, sha256
from nmt.terminal import tell

Row = tuple[str, ...]
Make = Callable[[Sequence[Row]], Iterable[tuple[str, str]]]

PART_LINES: Final = 2_000
"""Lines of a part: some seconds to some minutes of work."""
UNUSABLE: Final = (Status.EMPTY, Status.COPIED, Status.FAILED, Status.DAMAGED, Status.UNKNOWN)
"""What nobody should learn from."""


def usable(translation: Translation) -> bool:
    """Whether a translation may be training text."""
    return translation.status not in UNUSABLE and bool(translation.text.strip())


def digests_of(models: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of model folders or files, by their path."""
    return {str(path): sha256(path / MODEL_FILE if path.is_dir() else path) for path in models}


def stamp_of(output: Path) -> Path:
    """Where it says what a file of pairs was made with."""
    return output.with_name(f"{output.name}.json")


def is_made(output: Path, stamp: Mapping[str, object]) -> bool:
    """Whether there is such a file, whole, of this stamp."""
    return output.exists() and stamp_of(output).exists() and _same(stamp_of(output), stamp)


def write_pairs(
    output: Path,
    rows: Iterable[Row],
    make: Make,
    stamp: Mapping[str, object],
    done: Callable[[int], None] = lambda rows: None,
) -> int:
    """Write a file of tab-separated pairs; the same call goes on where one before was stopped, whatever stopped it.

    Until the file is whole, its parts lie in a folder beside it, whose name ends in `.parts`; a part is taken as it is
    if it was made of the same rows.

    Args:
        output: The file.
        rows: What pairs are made from.
        make: Makes the pairs of some rows.
        stamp: What the pairs depend on beside the rows, as JSON; it is kept beside the file.
        done: Told of so many more rows, those of before included.

    Returns:
        Pairs in the file.

    Raises:
        CorpusError: There are parts of another stamp.
        OSError: A file cannot be written.
    """
    parts = output.with_name(f"{output.name}.parts")
    _begin(parts, stamp)
    rest = iter(rows)
    written: list[Path] = []
    while chunk := list(islice(rest, PART_LINES)):
        part = parts / f"{len(written):06d}-{hashlib.sha256(json.dumps(chunk).encode()).hexdigest()[:16]}.tsv"
        if not part.exists():
            write_text(part, "".join(f"{_field(source)}\t{_field(target)}\n" for source, target in make(chunk)))
        written.append(part)
        done(len(chunk))
    pairs = 0
    with atomic_write(output) as file:
        for part in written:
            content = part.read_bytes()
            pairs += content.count(b"\n")
            file.write(content)
    write_text(stamp_of(output), _text(stamp))
    shutil.rmtree(parts)
    return pairs


def write_telling(who: str, output: Path, rows: Iterable[Row], make: Make, stamp: Mapping[str, object]) -> None:
    """Write a file of pairs as `write_pairs` does, and tell the user how far it is and what came of it.

    Args:
        who: The command, such as "nmt distill".
        output: As for `write_pairs`, as all that follows.
        rows: What pairs are made from.
        make: Makes the pairs of some rows.
        stamp: What the pairs depend on beside the rows.

    Raises:
        CorpusError, OSError: See `write_pairs`.
    """
    with progress(who) as show:
        lines = 0

        def done(more: int) -> None:
            nonlocal lines
            lines += more
            show(lines, None)

        pairs = write_pairs(output, rows, make, stamp, done)
    tell(who, f"{output}: {pairs:,} of {lines:,} lines translated well enough to learn from")


def _begin(parts: Path, stamp: Mapping[str, object]) -> None:
    """Make the folder of parts, or make sure that the one that is there is of the same stamp."""
    parts.mkdir(parents=True, exist_ok=True)
    path = parts / "made_with.json"
    if not path.exists():
        write_text(path, _text(stamp))
    elif not _same(path, stamp):
        raise CorpusError(
            f"{parts}: made with other models or options (see {path.name} there); remove it to begin anew"
        )


def _text(stamp: Mapping[str, object]) -> str:
    return json.dumps(stamp, indent=2, sort_keys=True) + "\n"


def _same(path: Path, stamp: Mapping[str, object]) -> bool:
    return read_regular(path).decode(errors="replace") == _text(stamp)


def _field(text: str) -> str:
    """Make a text fit for a column: white space of any kind is a space."""
    return " ".join(text.split())
