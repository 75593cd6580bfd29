"""Take in text of the target language alone, to train on beside the pairs.

Run as `python recipes/your-pair/more_text.py FOLDER FILE...`, where FOLDER is that of `split.py`. It writes
`FOLDER/more.tgt.gz`, without empty lines, those that come again, and those of the pairs, held out or not; and what it
counted to `FOLDER/more.json`. Of a text that is much longer than the pairs it takes a part, spread over all of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from split import FORMAT, RECORD, SPLITS, checksums, gzip_file, hash_of, made_of, normalised, require_untrained

from nmt.data.text import CorpusError, read_lines
from nmt.files import write_text

TEXT: Final = "more.tgt.gz"
MORE_RECORD: Final = "more.json"
PAIRS: Final = 32_000
"""From so many pairs on they teach the target language themselves, and need another network than the preset's."""
MOST: Final = 10
"""Lines of it that are taken for each training pair; of many more than these, nothing is known to be gained."""


def lines_of(files: Sequence[Path]) -> Iterator[str]:
    """Read the lines of all files."""
    return chain.from_iterable(map(read_lines, files))


def chosen(lines: Iterator[str], known: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Decide which lines to take: of those that say something new, the ones whose hashes come first.

    Args:
        lines: The text.
        known: Hashes of what must not be among them.
        most: How many may be.

    Returns:
        Whether to take each line: [lines] bool.
    """
    said = hashes_of(lines)
    new = np.unique(said, return_index=True)[1]  # the first of those that say the same
    new = new[~np.isin(said[new], known)]
    take = np.zeros(len(said), np.bool_)
    take[new[:most]] = True  # they are sorted by their hashes
    return take


def hashes_of(lines: Iterator[str]) -> NDArray[np.uint64]:
    """Hash what lines say: [lines] uint64."""
    found = array("Q", (hash_of(normalised(line)) for line in lines))
    return np.frombuffer(found, np.uint64) if found else np.empty(0, np.uint64)


def take_in(folder: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Take in the text, unless that is done already.

    Args:
        folder: With the split pairs.
        files: The text, a sentence a line, plain or compressed.

    Returns:
        What `more.json` holds: "counts" by name, and "files", the checksums of text and pairs.

    Raises:
        CorpusError: The text cannot be used, or a model was trained with other text.
        OSError: A file cannot be read or written.
    """
    record, pairs = folder / MORE_RECORD, folder / RECORD
    sums = checksums([pairs, *files])
    before = made_of(record, sums, ["model"])
    if before is not None:
        return before
    require_untrained(folder.parent, ["model"], sums)  # on the pairs alone
    train = int(json.loads(pairs.read_text(encoding="utf-8"))["counts"]["train"])
    if train >= PAIRS:
        raise CorpusError(
            f"{files[0]}: expected fewer than {PAIRS:,} training pairs beside text of one language, got {train:,}; "
            "docs/commands/backtranslate.md tells how it is done by hand"
        )
    known = hashes_of(chain([""], lines_of([folder / f"{name}.tgt.gz" for name in SPLITS])))
    take = chosen(lines_of(files), known, MOST * train)
    if not take.any():
        raise CorpusError(
            f"{', '.join(map(str, files))}: expected lines that are not among those of the pairs, got none"
        )
    with ExitStack() as stack:
        file = gzip_file(stack, folder / TEXT)
        for line, taken in zip(lines_of(files), take.tolist(), strict=True):
            if taken:
                file.write(line.encode() + b"\n")
    counts = {"lines": len(take), "taken": int(take.sum())}
    found = {"format": FORMAT, "files": sums, "counts": counts}
    write_text(record, json.dumps(found, indent=2) + "\n")  # comes last: without it, the text counts as not there
    return found


def main() -> None:
    """Take in the text that the command line names."""
    parser = argparse.ArgumentParser(description="Take in text of the target language alone.")
    parser.add_argument("folder", type=Path, help="that of the split pairs")
    parser.add_argument("files", type=Path, nargs="+", help="text, a sentence a line")
    arguments = parser.parse_args()
    try:
        counts = take_in(arguments.folder, arguments.files)["counts"]
    except OSError as error:
        sys.exit(f"more_text: error: {error.filename}: {error.strerror}")
    except CorpusError as error:
        sys.exit(f"more_text: error: {error}")
    print(
        f"more_text: {counts['lines']:,} lines, {counts['taken']:,} of them taken (others are empty, there already, or "
        f"beyond {MOST} for each training pair)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
