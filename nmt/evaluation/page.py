"""Two systems side by side, on one HTML page that needs nothing beside itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from nmt.evaluation.paired import Difference, verdict
from nmt.pages import render

SENTENCES: Final = 200
"""Sentences on a page at most: those in which the systems differ most."""
_MARKED_TOKENS: Final = 2000


@dataclass(frozen=True)
class Sentence:
    """One line of a test set, and what both systems make of it."""

    number: int
    """Line, from 1."""
    source: str
    reference: str
    a: str
    b: str
    score_a: float
    """chrF of A's translation, 0 to 100."""
    score_b: float

    @property
    def delta(self) -> float:
        """How much better B is, in points."""
        return self.score_b - self.score_a


def render_page(
    test: str, systems: tuple[str, str], differences: Sequence[Difference], sentences: Sequence[Sentence]
) -> str:
    """Write the page.

    Args:
        test: Name of the test set.
        systems: What A and B are.
        differences: One for each metric.
        sentences: All lines of the test set.

    Returns:
        HTML: a table of the scores, then the sentences with the largest differences in chrF, either way.
    """
    shown = sorted((item for item in sentences if item.a != item.b), key=lambda item: (-abs(item.delta), item.number))
    shown = shown[:SENTENCES]
    values = {
        "test": test,
        "systems": systems,
        "differences": differences,
        "lines": len(sentences),
        "verdicts": [verdict(found, len(sentences)) for found in differences],
        "equal": sum(item.a == item.b for item in sentences),
        "shown": [(item, *mark_differences(item.a, item.b)) for item in shown],
    }
    return render("nmt.evaluation", "page.html", values)


def mark_differences(a: str, b: str) -> tuple[Markup, Markup]:
    """Mark what two texts do not share, word by word, or character by character in scripts without spaces.

    Args:
        a: A text.
        b: Another.

    Returns:
        Both as HTML, escaped, with `<mark>` around the differences.
    """
    characters = any(len(text) > 15 * (1 + text.count(" ")) for text in (a, b))
    tokens_a, tokens_b = _tokens(a, characters), _tokens(b, characters)
    if max(len(tokens_a), len(tokens_b)) > _MARKED_TOKENS:  # the comparison takes quadratic time
        return escape(a), escape(b)
    marked: tuple[list[Markup], list[Markup]] = [], []
    matcher = difflib.SequenceMatcher(None, tokens_a, tokens_b, autojunk=False)
    for tag, start_a, end_a, start_b, end_b in matcher.get_opcodes():
        for into, part in ((marked[0], tokens_a[start_a:end_a]), (marked[1], tokens_b[start_b:end_b])):
            text = escape("".join(part))
            into.append(text if tag == "equal" or not text else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(marked[0]), Markup("").join(marked[1])


def _tokens(text: str, characters: bool) -> list[str]:
    return list(text) if characters else re.findall(r"\w+|\s+|[^\w\s]", text)
