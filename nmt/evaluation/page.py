"""Two systems side by side, on one HTML page that needs nothing beside itself."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nmt.evaluation.paired import Difference, verdict

SENTENCES: Final = 200
"""Sentences on a page at most: those in which the systems differ most."""
_MARKED_TOKENS: Final = 2000

_STYLE: Final = """
:root { color-scheme: light dark; --line: #c8ccd0; --a: #fde2c8; --b: #cfe6ff; --quiet: #5a6068; }
@media (prefers-color-scheme: dark) { :root { --line: #454b52; --a: #6b3f12; --b: #124a80; --quiet: #a2a9b1; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.signature { font: .8rem ui-monospace, monospace; overflow-wrap: anywhere; }
article { border-top: 1px solid var(--line); padding: .7rem 0; }
.pair { display: grid; gap: .7rem; }
@media (min-width: 45rem) { .pair { grid-template-columns: 1fr 1fr; } }
p { margin: .2rem 0; overflow-wrap: anywhere; }
.label { color: var(--quiet); font-size: .8rem; }
mark { color: inherit; border-radius: .2rem; } .a mark { background: var(--a); } .b mark { background: var(--b); }
"""


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
    equal = sum(item.a == item.b for item in sentences)
    title = f"{_escape(test)}: {_escape(systems[0])} and {_escape(systems[1])}"
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>Two systems on {_escape(test)}, {len(sentences):,} lines</h1>",
        f"<p><b>A</b> is {_escape(systems[0])}</p>\n<p><b>B</b> is {_escape(systems[1])}</p>",
        *_summary(differences, len(sentences)),
        "<h2>Sentences that differ most</h2>",
        f"<p>{len(shown):,} of {len(sentences):,} lines, by the difference in chrF of the line; the same in both: "
        f"{equal:,}. What A and B do not share is marked.</p>",
        *(_article(item) for item in shown),
        "</body>\n</html>",
    ]
    return "\n".join(lines) + "\n"


def _summary(differences: Sequence[Difference], lines: int) -> list[str]:
    heads = "".join(f'<th class="number">{head}</th>' for head in ("A", "B", "B − A", "p"))
    rows = []
    for found in differences:
        p_value = "–" if found.p_value is None else f"{found.p_value:.3f}"
        numbers = (f"{found.a:.2f}", f"{found.b:.2f}", f"{found.delta:+.2f}", p_value)
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        rows.append(
            f'<tr><th>{_escape(found.metric)}</th>{cells}<td class="signature">{_escape(found.signature)}</td></tr>'
        )
    return [
        f'<div class="wide"><table>\n<tr><th></th>{heads}<th>signature</th></tr>',
        *rows,
        "</table></div>",
        *(f"<p>{_escape(verdict(found, lines))}.</p>" for found in differences),
    ]


def _article(item: Sentence) -> str:
    marked_a, marked_b = mark_differences(item.a, item.b)
    return "\n".join(
        [
            f'<article>\n<p class="label">line {item.number:,}, chrF {item.delta:+.1f} for B</p>',
            '<div class="pair">',
            _cell("", "source", _escape(item.source)),
            _cell("", "reference", _escape(item.reference)),
            _cell("a", f"A, chrF {item.score_a:.1f}", marked_a),
            _cell("b", f"B, chrF {item.score_b:.1f}", marked_b),
            "</div>\n</article>",
        ]
    )


def _cell(kind: str, label: str, content: str) -> str:
    return f'<div class="{kind}"><p class="label">{label}</p><p dir="auto">{content}</p></div>'


def mark_differences(a: str, b: str) -> tuple[str, str]:
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
        return _escape(a), _escape(b)
    marked: tuple[list[str], list[str]] = [], []
    matcher = difflib.SequenceMatcher(None, tokens_a, tokens_b, autojunk=False)
    for tag, start_a, end_a, start_b, end_b in matcher.get_opcodes():
        for into, part in ((marked[0], tokens_a[start_a:end_a]), (marked[1], tokens_b[start_b:end_b])):
            text = _escape("".join(part))
            into.append(text if tag == "equal" or not text else f"<mark>{text}</mark>")
    return "".join(marked[0]), "".join(marked[1])


def _tokens(text: str, characters: bool) -> list[str]:
    return list(text) if characters else re.findall(r"\w+|\s+|[^\w\s]", text)


def _escape(text: str) -> str:
    """Escape for HTML; control characters, which it does not allow, become U+FFFD."""
    return html.escape("".join("\ufffd" if ord(char) < 32 and char not in "\t\n" else char for char in text))
