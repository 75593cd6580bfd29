"""Exact matches of a translation with its reference, overall and for each kind of value, and some failures.

Run as `python recipes/quickstart/report.py --source S --reference R --kind K TRANSLATION`; each file has one line per
sentence.
"""

from __future__ import annotations

import argparse
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


def read(source: Path, reference: Path, kind: Path, translation: Path) -> list[Line]:
    """Read four files that belong together, line by line.

    Raises:
        ValueError: They differ in the number of lines, or have none.
    """
    paths = (source, reference, kind, translation)
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
    """Print the report on the files that the command line names."""
    parser = argparse.ArgumentParser(description="Count exact matches of a translation, by kind of value.")
    parser.add_argument("translation", type=Path, help="translated lines")
    parser.add_argument("--source", type=Path, required=True, help="what was translated")
    parser.add_argument("--reference", type=Path, required=True, help="the right translations")
    parser.add_argument("--kind", type=Path, required=True, help="each line's kind of value")
    parser.add_argument("--failures", type=int, default=5, help="failures to show (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        lines = read(arguments.source, arguments.reference, arguments.kind, arguments.translation)
    except (OSError, ValueError) as error:
        sys.exit(f"report: {error}")
    print(summary(lines, arguments.failures))


if __name__ == "__main__":
    main()
