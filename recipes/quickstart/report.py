"""Exact matches of a translation with its reference, overall and for each kind of value, and some failures.

Run as `python recipes/quickstart/report.py DATA TRANSLATION`: DATA is the folder of the corpus, TRANSLATION a
translation of its test.de.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence with its translation and what that should have been."""

    source: str
    reference: str
    kind: str
    translation: str

    @property
    def exact(self) -> bool:
        """Whether the translation is the reference, to the letter."""
        return self.translation == self.reference


def read(data: Path, translation: Path) -> list[Line]:
    """Read the test set and its translation, line by line.

    Raises:
        ValueError: They differ in the number of lines, or have none.
    """
    paths = (*(data / f"test.{ending}" for ending in ("de", "en", "kind")), translation)
    columns = [path.read_text(encoding="utf-8").splitlines() for path in paths]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1 or not lengths[0]:
        found = ", ".join(f"{path}: {length}" for path, length in zip(paths, lengths, strict=True))
        raise ValueError(f"expected files of the same number of lines, got {found}")
    return [Line(*texts) for texts in zip(*columns, strict=True)]


def summary(lines: list[Line], failures: int) -> str:
    """Say how many lines match, by kind, and show the first failures.

    Args:
        lines: At least one.
        failures: How many to show at most.
    """
    total, exact = Counter(line.kind for line in lines), Counter(line.kind for line in lines if line.exact)
    rows = [("all", exact.total(), total.total()), *((kind, exact[kind], total[kind]) for kind in sorted(total))]
    text = ["exact matches:"]
    text += [f"  {kind:<8} {right:>5} of {count:<5} {100 * right / count:5.1f} %" for kind, right, count in rows]
    wrong = [line for line in lines if not line.exact][:failures]
    if wrong:
        text.append("some that are not:")
    for line in wrong:
        text += [
            f"  source       {line.source}",
            f"  translation  {line.translation}",
            f"  reference    {line.reference}",
        ]
        text.append("")
    return "\n".join(text).rstrip()


def main() -> None:
    """Print the report on what the command line names."""
    try:
        print(summary(read(*map(Path, sys.argv[1:])), failures=5), flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    main()
