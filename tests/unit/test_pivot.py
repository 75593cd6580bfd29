"""Translating through a third language: what becomes of statuses, links and settings."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nmt.decoding.pivot import PivotTranslator
from nmt.decoding.translation import Candidate, Status, Translation, TranslationSettings


class Told:
    """Gives what it was told to, and keeps what it was asked."""

    def __init__(self, *found: Translation) -> None:
        self.found = list(found)
        self.asked: tuple[list[str], TranslationSettings | None, Sequence[str] | None] = ([], None, None)

    def translate_detailed(self, lines, settings=None, progress=None, prefixes=None) -> list[Translation]:
        self.asked = (list(lines), settings, prefixes)
        return self.found


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("ok", "ok", "ok"),
        ("split", "retried", "retried"),
        ("unknown", "doubtful", "unknown"),
        ("empty", "empty", "empty"),
        ("copied", "copied", "copied"),
        ("copied", "doubtful", "doubtful"),
        ("ok", "copied", "unknown"),
        ("damaged", "ok", "damaged"),
        ("ok", "empty", "failed"),
        ("copied", "empty", "failed"),
        ("damaged", "failed", "failed"),
    ],
)
def test_a_line_has_the_worse_status(first: str, second: str, both: str) -> None:
    pivot = PivotTranslator(Told(Translation("between", Status(first))), Told(Translation("end", Status(second))))
    [found] = pivot.translate_detailed(["begin"])
    assert (found.status, found.text) == (both, "between" if first == "empty" else "end")


def test_links_go_through_the_words_between() -> None:
    first = Told(Translation("b0 b1 b2", Status.OK, (), ((0, 1), (2, 0), (2, 2), (3, 1))))
    links = ((0, 1), (1, 0), (1, 2), (9, 3))  # the last of no word that is linked
    candidates = (Candidate("c", -1.5, -3.0, links), Candidate("d", -2.0, -4.0, None))
    second = Told(Translation("c", Status.OK, candidates, links))
    [found] = PivotTranslator(first, second).translate_detailed(["a"])
    assert found.alignment == ((0, 0), (0, 2), (2, 1), (3, 0), (3, 2))
    assert [each.alignment for each in found.hypotheses] == [found.alignment, None]
    assert (found.score, found.hypotheses[0].log_probability) == (-1.5, -3.0)


def test_what_is_asked_of_each() -> None:
    first, second = Told(Translation("b", Status.OK)), Told(Translation("c", Status.OK))
    settings = TranslationSettings(beam_size=4, n_best=3, min_length=2, max_length=9, alignments=True)
    [found] = PivotTranslator(first, second).translate_detailed(["a"], settings, prefixes=["p"])
    assert first.asked == (["a"], TranslationSettings(beam_size=4, alignments=True), None)
    assert second.asked == (["b"], settings, ["p"])
    assert found.alignment is None
