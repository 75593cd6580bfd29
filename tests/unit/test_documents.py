"""Documents come back whole, in another language: what is read is translated once, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from document_samples import docx, marked, same, translated, unzipped

from nmt.documents.formats import FORMATS, format_of


class Sample(NamedTuple):
    """A document, and the words in it that are to be translated, in order."""

    make: Callable[[], bytes]
    words: str


def run(text: str, properties: str = "") -> str:
    """Make a run of Word's."""
    look = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    space = ' xml:space="preserve"' if text != text.strip() else ""
    return f"<w:r>{look}<w:t{space}>{text}</w:t></w:r>"


def field(instruction: str, result: str) -> str:
    """Make a field of Word's."""
    begin, separate, end = (f'<w:r><w:fldChar w:fldCharType="{each}"/></w:r>' for each in ("begin", "separate", "end"))
    return f"{begin}<w:r><w:instrText> {instruction} </w:instrText></w:r>{separate}{run(result)}{end}"


def word_document() -> bytes:
    mark = '<w:bookmarkStart w:id="1" w:name="b"/>', '<w:bookmarkEnd w:id="1"/>'
    box = f"<w:r><w:drawing><w:txbxContent><w:p>{run('In a box')}</w:p></w:txbxContent></w:drawing></w:r>"
    return docx(
        f'<w:p><w:pPr><w:pStyle w:val="H1"/></w:pPr>{run("Title")}</w:p>'
        f"<w:p>{run('Some ')}{run('bold words', '<w:b/>')}{run(' and a ')}"
        f'<w:hyperlink r:id="r5">{run("link", "<w:color/>")}</w:hyperlink>{run(".")}</w:p>'
        f"<w:p>{run('Name:')}<w:r><w:tab/></w:r>{run('Value ')}{mark[0]}{run('marked')}{mark[1]}"
        f'{run(" ends")}<w:r><w:footnoteReference w:id="2"/></w:r>{run(" here")}<w:r><w:br/></w:r>{run("now.")}</w:p>'
        f"<w:p>{run('Page ')}{field('PAGE', 'XII')}{run(' of ')}{field('HYPERLINK x', 'the book')}{run(' on')}</w:p>"
        f'<w:p>{run("Kept ")}<w:del w:id="3"><w:r><w:delText>lost</w:delText></w:r></w:del>{run("here")}</w:p>'
        f"<w:tbl><w:tr><w:tc><w:p>{run('Cell')}</w:p></w:tc><w:tc><w:p>{run('12.5')}</w:p></w:tc></w:tr></w:tbl>"
        f"<w:p>{box}</w:p>",
        header=f"<w:p>{run('Head line')}</w:p>",
        footnotes=f'<w:footnote w:id="2"><w:p>{run("A note")}</w:p></w:footnote>',
        comments=f'<w:comment w:id="1"><w:p>{run("my remark")}</w:p></w:comment>',
    )


SAMPLES = {
    "a.txt": Sample("\ufeffOne line.\r\n\r\n  Two here \r\n12 %\r\nlast".encode, "One line. Two here last"),
    "wrapped.txt": Sample(
        lambda: (
            b"This paragraph was broken by hand so that its lines have about\n"
            b"sixty characters each, as in letters and in books of old, which\nis rejoined.\n\nA\nB\n"
        ),
        "This paragraph was broken by hand so that its lines have about sixty characters each, as in letters and in "
        "books of old, which is rejoined. A B",
    ),
    "a.docx": Sample(
        word_document,
        "Title Some bold words and a link Name: Value marked ends here now. Page of the book on Kept here Cell In a "
        "box Head line A note",
    ),
}


def parts(content: bytes) -> dict[str, bytes]:
    """Return the files of a zipped document, or a document that is none, without what is written in several ways."""
    if not content.startswith(b"PK"):
        return {"": content}
    return {name: re.sub(rb"<\?xml.*?\?>\s*", b"", part) for name, part in unzipped(content).items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_into_its_own_language_a_document_stays_the_same(name: str) -> None:
    content = SAMPLES[name].make()
    assert parts(translated(content, name, same).content) == parts(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_word_is_translated_once_and_nothing_else_changes(name: str) -> None:
    content, words = SAMPLES[name]
    made = parts(translated(content(), name, marked).content)
    assert {part: text.replace(b"~", b"") for part, text in made.items()} == parts(content())
    found = re.findall(r"~([^\s<]+)", "\n".join(text.decode("utf-8", "replace") for text in made.values()))
    assert sorted(found) == sorted(word for word in re.findall(r"\S+", words))


def test_every_format_has_a_sample_and_its_own_names() -> None:
    assert {format_of(name) for name in SAMPLES} == set(FORMATS)
    assert len({suffix for format in FORMATS for suffix in format.suffixes}) == sum(len(f.suffixes) for f in FORMATS)


def test_what_is_left_is_told() -> None:
    left = {each.what for each in translated(word_document(), "a.docx", same).report.left}
    assert left == {"comments", "text whose deletion is tracked"}
