"""Split a parallel corpus into training, validation and test text that share no line on either side.

Run as `python recipes/your-pair/split.py FOLDER SOURCE TARGET`, or with one .tsv or .tsv.gz file instead of the two. It
writes `FOLDER/{train,valid,test}.{src,tgt}.gz` and what it counted to `FOLDER/split.json`.

Which pairs are held out depends on a hash of their text, not on their place, so that a corpus with more lines holds out
mostly the same ones. The text is read twice, and only some 60 bytes a pair are kept in memory.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from nmt.data.sides import SidesCheck
from nmt.data.text import CorpusError, read_pairs
from nmt.files import atomic_write, write_text

FORMAT: Final = 1
SPLITS: Final = ("train", "valid", "test")
LEFT_OUT: Final = len(SPLITS)
LEAST_PAIRS: Final = 100
RECORD: Final = "split.json"
MODELS: Final = ("model", "back/model")
"""Folders beside that of the text, with what is trained on it."""
ACCEPT: Final = "--accept-misaligned"
COMMON: Final = 8
"""Lines that occur in more pairs than this stay in training: holding them out would cost all of those pairs."""


class _Letters(dict[int, str | None]):
    """A table for `str.translate` that drops punctuation, blanks and control characters."""

    def __missing__(self, code: int) -> str | None:
        kept = None if unicodedata.category(chr(code))[0] in "PZC" else chr(code)
        self[code] = kept
        return kept


_LETTERS: Final = _Letters()


def normalised(line: str) -> str:
    """What two lines that say the same have in common: the text without case, punctuation and blanks."""
    return unicodedata.normalize("NFKC", line).casefold().translate(_LETTERS) or line.strip()


def held_out_size(pairs: int) -> int:
    """Pairs for validation, and as many for the test: one in a hundred, but 200 to 2,000, and one in twenty at most."""
    return min(max(pairs // 100, 200), 2000, pairs // 20)


def assign(pairs: Iterator[tuple[str, str]]) -> NDArray[np.uint8]:
    """Decide where each pair goes.

    Args:
        pairs: The corpus.

    Returns:
        An index of `SPLITS` for each pair, or `LEFT_OUT` for one that has an empty side, came before letter for letter,
        or shares a line with a held-out pair: [pairs] uint8.

    Raises:
        CorpusError: There are too few different pairs.
    """
    whole, source, target, rank = _hashes(pairs)
    labels = np.full(len(whole), LEFT_OUT, np.uint8)
    usable = np.unique(whole, return_index=True)[1]  # of equal ones, the first
    usable = usable[whole[usable] != 0]
    if len(usable) < LEAST_PAIRS:
        raise CorpusError(f"expected at least {LEAST_PAIRS} different pairs of lines, got {len(usable)}")
    labels[usable] = SPLITS.index("train")
    held_out = {"valid": set[int](), "test": set[int]()}
    size = held_out_size(len(usable))
    uses = _occurrences(source[usable]) + _occurrences(target[usable])
    candidates = usable[uses <= COMMON]
    taken: set[int] = set()  # lines already held out, so that none is there twice
    for index in candidates[np.lexsort((whole[candidates], rank[candidates]))].tolist():
        chosen = held_out["valid" if rank[index] & np.uint64(1) else "test"]
        sides = {int(source[index]), int(target[index])}
        if len(chosen) < size and not sides & taken:
            chosen.add(index)
            taken |= sides
        elif all(len(found) == size for found in held_out.values()):
            break
    if not all(held_out.values()):
        raise CorpusError(f"expected lines that occur at most {COMMON} times, to hold some of them out, got too few")
    lines = np.fromiter(taken, np.uint64, len(taken))
    labels[(np.isin(source, lines) | np.isin(target, lines))] = LEFT_OUT
    for name, found in held_out.items():
        labels[list(found)] = SPLITS.index(name)
    return labels


def _hashes(pairs: Iterator[tuple[str, str]]) -> tuple[NDArray[np.uint64], ...]:
    """Of each pair: both lines as they are (0 if a side is empty), each line normalised, and both normalised."""
    found = tuple(array("Q") for _ in range(4))
    for pair in pairs:
        source, target = map(normalised, pair)
        empty = not (source and target)
        values = (
            0 if empty else hash_of("\0".join(pair)) | 1,
            hash_of("s" + source),
            hash_of("t" + target),
            hash_of(f"{source}\0{target}"),
        )
        for column, value in zip(found, values, strict=True):
            column.append(value)
    return tuple(np.frombuffer(column, np.uint64) if column else np.empty(0, np.uint64) for column in found)


def hash_of(text: str) -> int:
    """64 bits of a text's hash, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _occurrences(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each value is among them: [values] int64."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse].astype(np.int64)


def write(folder: Path, labels: NDArray[np.uint8], pairs: Iterator[tuple[str, str]]) -> None:
    """Write the files of all splits, each of which appears whole or not at all; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = [[gzip_file(stack, folder / f"{split}.{side}.gz") for side in ("src", "tgt")] for split in SPLITS]
        for label, pair in zip(labels.tolist(), pairs, strict=True):
            if label != LEFT_OUT:
                for file, line in zip(files[label], pair, strict=True):
                    file.write(line.encode() + b"\n")


def gzip_file(stack: ExitStack, path: Path) -> BinaryIO:
    """Open a file that appears whole, or not at all, when the stack is closed."""
    raw = stack.enter_context(atomic_write(path))
    # Without time and name, the same lines give the same bytes.
    return cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0)))


def checksums(files: Sequence[Path]) -> dict[str, str]:
    """Tell what files hold: SHA-256 by name, of a name that came before by path."""
    found: dict[str, str] = {}
    for path in files:
        with path.open("rb") as file:
            found[str(path) if path.name in found else path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def made_of(record: Path, files: Mapping[str, str], models: Sequence[str]) -> dict[str, Any] | None:
    """Read the record of what was made of these files; one of other files, or of another format, is removed.

    Args:
        record: In the folder of the text.
        files: What was read, as `checksums` gives it.
        models: Folders beside that of the text, with what is trained on what is made.

    Returns:
        What it holds, or None if all is to be made.

    Raises:
        CorpusError: A model has been trained on what is to be made anew.
    """
    if not record.exists():
        return None
    before: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    if before["format"] == FORMAT and before["files"] == files:
        return before
    require_untrained(record.parent.parent, models, files)
    record.unlink()
    return None


def require_untrained(folder: Path, models: Sequence[str], files: Iterable[str]) -> None:
    """Make sure that no model there has been trained, on other text than that of these files."""
    for model in models:
        trained = folder / model / "checkpoints"
        if trained.exists():
            raise CorpusError(f"{trained} belongs to other text than {', '.join(files)}; give another --folder")


def split(folder: Path, corpus: Sequence[Path], accept_misaligned: bool = False) -> dict[str, Any]:
    """Split a corpus, unless that is done already.

    Args:
        folder: Where to write.
        corpus: A source and a target file, or one TSV file.
        accept_misaligned: Whether sides that do not belong together are no error.

    Returns:
        What `split.json` holds: "counts" by name, and "files", the corpus' checksums.

    Raises:
        CorpusError: The corpus cannot be used.
        OSError: A file cannot be read or written.
    """
    record = folder / RECORD
    files = checksums(corpus)
    before = made_of(record, files, MODELS)
    if before is not None:
        return before
    check = SidesCheck()
    labels = assign(check.watch(read_pairs(*corpus)))
    misaligned = check.misalignment(partial(read_pairs, *corpus))
    if misaligned is not None and not accept_misaligned:
        names = " and ".join(map(str, corpus))
        raise CorpusError(f"{names}: {misaligned}; mend the text, or give {ACCEPT} to train on it as it is")
    write(folder, labels, read_pairs(*corpus))
    numbers = np.bincount(labels, minlength=LEFT_OUT + 1).tolist()
    counts = {"pairs": len(labels), **dict(zip((*SPLITS, "left out"), numbers, strict=True))}
    found = {"format": FORMAT, "files": files, "counts": counts}
    write_text(record, json.dumps(found, indent=2) + "\n")  # comes last: without it, the split counts as not made
    return found


def main() -> None:
    """Split the corpus that the command line names."""
    parser = argparse.ArgumentParser(description="Split a parallel corpus into train, valid and test.")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("corpus", type=Path, nargs="+", help="source and target file, or one .tsv or .tsv.gz file")
    parser.add_argument(ACCEPT, action="store_true", help="go on with sides that do not belong together")
    arguments = parser.parse_args()
    try:
        counts = split(arguments.folder, arguments.corpus, arguments.accept_misaligned)["counts"]
    except OSError as error:
        sys.exit(f"split: error: {error.filename}: {error.strerror}")
    except CorpusError as error:
        sys.exit(f"split: error: {error}")
    print(
        f"split: {counts['pairs']:,} pairs: {counts['train']:,} for training, {counts['valid']:,} for validation, "
        f"{counts['test']:,} for the test, {counts['left out']:,} left out (empty, there already, or sharing a line "
        "with a held-out pair)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
