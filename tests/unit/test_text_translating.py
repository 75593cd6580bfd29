"""Texts become lines for a model, and its translations texts again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from wordy import wordy

from nmt.decoding.translation import Candidate, Status, Translation, TranslationSettings
from nmt.text.segments import Kind, Segment, Tag, written
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "de")
BOLD, BOLD_END = Tag(Kind.OPEN, 1, "<b>"), Tag(Kind.CLOSE, 1, "</b>")
LINK, LINK_END = Tag(Kind.OPEN, 2, "<a>"), Tag(Kind.CLOSE, 2, "</a>")
NOTE, CODE = Tag(Kind.ALONE, 3, "<note/>"), Tag(Kind.WORD, 4, "`x`")


@pytest.mark.parametrize(
    ("text", "lines", "translation"),
    [
        ("a b", ["a b"], "A B"),
        ("", [], ""),
        ("  \n\t", [], "  \n\t"),
        ("a b\n\n\n  c d \r\ne\u2028f\n", ["a b", "c d", "e", "f"], "A B\n\n\n  C D \r\nE\u2028F\n"),
        ("\n\ta\x0bb\u00a0c", ["a", "b c"], "\n\tA\x0bB C"),
    ],
)
def test_paragraphs_and_line_breaks_are_kept(text: str, lines: list[str], translation: str) -> None:
    job = TEXTS.begin([text, "z", text])
    assert job.lines == [*lines, "z", *lines]
    assert not job.alignments
    first, _, last = job.finish([wordy(line) for line in job.lines])
    assert (first.text, last.text) == (translation, translation)


def test_alternatives_and_statuses_of_lines_are_those_of_the_text() -> None:
    job = TEXTS.begin(["a\nb", "☃", "1"], alternatives=2)
    settings = job.settings(TranslationSettings(beam_size=4))
    assert (settings.n_best, settings.beam_size, settings.alignments) == (3, 4, False)
    first = Translation("A", Status.OK, tuple(Candidate(text, -1.0, -1.0) for text in ("A", "B", "A", "C")))
    second = replace(wordy("b"), status=Status.DOUBTFUL)
    done, snowman, number = job.finish([first, second])
    assert (done.text, done.alternatives, done.status) == ("A\nB", ("B\nB",), Status.DOUBTFUL)
    assert [(line.source, line.text, line.status) for line in done.lines] == [
        ("a", "A", Status.OK),
        ("b", "B", Status.DOUBTFUL),
    ]
    assert (snowman.text, snowman.status, snowman.alternatives) == ("☃", Status.COPIED, ())
    assert (number.text, number.status, number.lines) == ("1", Status.COPIED, ())
    assert TEXTS.begin([" \n"]).finish([])[0].status is Status.EMPTY


@pytest.mark.parametrize(
    ("segment", "order", "translation"),
    [
        (("a ", BOLD, "b c", BOLD_END, " d."), [3, 1, 2, 0], "D. <b>B C</b> A"),
        (("a ", BOLD, "b ", LINK, "c", LINK_END, BOLD_END, " d"), [0, 2, 1, 3], "A <b><a>C</a> B</b> D"),
        ((BOLD, "a b", BOLD_END), [1, 0], "<b>B A</b>"),
        (("a", NOTE, " b, (", BOLD, "c", BOLD_END, ")."), [1, 2, 0], "B, (<b>C</b>). A<note/>"),
        (("a ", NOTE, " b"), [0, 1], "A <note/> B"),
        ((NOTE, "a b", NOTE), [1, 0], "<note/>B A<note/>"),
        ((NOTE, " a b ", NOTE), [1, 0], "<note/> B A <note/>"),
        ((" a ", NOTE, " b"), [1, 0], " <note/> B A"),
        ((BOLD, "a ", NOTE, " b", BOLD_END, " c"), [0, 2], "<b>A <note/></b> C"),
        ((BOLD, " a", BOLD_END, " b "), None, " <b>A</b> B "),
        (("take ", CODE, ", b"), [2, 1, 0], "B `x`, TAKE"),
        # What is broken stays complete, and nested.
        ((BOLD, "a ", LINK, "b", BOLD_END, " c", LINK_END, " d"), None, "<b>A <a>B C</a></b> D"),
        (("a ", BOLD, "b"), None, "A <b>B"),
        (("a", BOLD_END, " b"), None, "A</b> B"),
        (("a ", BOLD, LINK, LINK_END, BOLD_END, "b"), None, "A <b><a></a></b>B"),
    ],
)
def test_tags_stand_around_the_words_that_they_stood_around(
    segment: Segment, order: list[int] | None, translation: str
) -> None:
    job = TEXTS.begin([segment])
    assert job.alignments
    assert job.settings().alignments
    [line] = job.lines
    [done] = job.finish([wordy(line, {"John": "John"}, order)])
    assert done.text == translation
    assert written(done.segment) == translation


def test_mistakes_are_told() -> None:
    with pytest.raises(TypeError, match="expected a list of texts, got a single one"):
        TEXTS.begin("text")
    with pytest.raises(TypeError, match=r"texts: expected str, or a segment \(a tuple\), got bytes"):
        TEXTS.begin([b"text"])
    with pytest.raises(ValueError, match="xml"):
        TEXTS.begin(["text"], format="xml")
    with pytest.raises(ValueError, match="expected one for each of 1 lines, got 0"):
        TEXTS.begin(["text"]).finish([])
