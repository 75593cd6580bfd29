"""Documents come back whole, in another language: what is read is translated once, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from document_samples import docx, epub, marked, odt, pptx, same, translated, unzipped, xlsx
from test_bilingual_documents import CASES

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
        f'<w:p>{box}{run("See ")}<w:r><w:drawing><wp:inline xmlns:wp="urn:wp">'
        '<wp:docPr id="4" name="Picture 4" title="Our cat" descr="It sleeps"/></wp:inline></w:drawing></w:r></w:p>',
        header=f"<w:p>{run('Head line')}</w:p>",
        footnotes=f'<w:footnote w:id="2"><w:p>{run("A note")}</w:p></w:footnote>',
        comments=f'<w:comment w:id="1"><w:p>{run("my remark")}</w:p></w:comment>',
    )


def slides() -> bytes:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="Shape 2" descr="A shape"/></p:nvSpPr>'
        '<p:txBody><a:p><a:pPr lvl="1"/><a:r><a:rPr b="1"/><a:t>Bold</a:t></a:r>'
        "<a:r><a:t> and plain text</a:t></a:r>"
        '<a:br/><a:r><a:t>next line</a:t></a:r><a:endParaRPr lang="en"/></a:p>'
        '<a:p><a:fld id="1" type="slidenum"><a:t>seven</a:t></a:fld></a:p></p:txBody></p:sp>'
    )
    note = "<a:p><a:r><a:t>Say this</a:t></a:r></a:p>"
    return pptx(shape, notesSlide=note, slideMaster="<a:p><a:r><a:t>Click to edit</a:t></a:r></a:p>", comments="")


def workbook() -> bytes:
    strings = (
        "<si><t>Plain cell</t></si><si><r><t>rich</t></r>"
        '<r><rPr><b/></rPr><t xml:space="preserve"> bold text</t></r></si>'
        '<si><t>first line\nsecond line</t></si><si><t>Column</t></si><si><t xml:space="preserve"> 12 </t></si>'
    )
    sheet = (
        '<row><c t="s"><v>0</v></c><c t="inlineStr"><is><t>inline text</t></is></c>'
        '<c t="str"><f>IF(A1="x","yes","no")</f><v>yes</v></c></row>'
    )
    return xlsx(
        strings, sheet, table='<table NAMES><tableColumns><tableColumn id="1" name="Column"/></tableColumns></table>'
    )


def open_document() -> bytes:
    return odt(
        '<text:h text:outline-level="1">A heading</text:h>'
        '<text:p>Some <text:span text:style-name="B">bold words</text:span> and <text:a>a link</text:a>,'
        " a<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>note text</text:p></text:note-body></text:note> note<text:tab/>"
        "after tab<text:line-break/>new line</text:p>"
        '<text:p>On page <text:page-number>VII</text:page-number> of <text:bookmark-start text:name="m"/>marked text'
        '<text:bookmark-end text:name="m"/> here<office:annotation><text:p>remark</text:p></office:annotation></text:p>'
        "<text:p><draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame></text:p>"
        '<text:p>See <draw:frame draw:name="Image1"><draw:image/><svg:title '
        'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0">'
        "Our cat</svg:title></draw:frame></text:p>",
        '<style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>',
    )


def book() -> bytes:
    return epub(
        {
            "one": "<h1>The <i>first</i> one</h1><div>loose text<p>A paragraph, <b>bold</b> <code>x_y</code> end.</p>"
            'tail</div><p>one<br/>two</p><img src="a.png" alt="a cat"/><pre>code here</pre><!-- a remark --><p>12</p>'
            '<p class="notranslate">Jane Doe</p><p>With <span translate="no">Acme</span> inside</p>'
        }
    )


SUBRIP = """1
00:00:01,000 --> 00:00:02,500
<i>Two lines</i> of it
are one text.

2
00:00:03,000 --> 00:00:04,000 X1:10
{\\an8}- Who is it?
- Me.

3
00:00:05,000 --> 00:00:06,000
12
"""
WEBVTT = """WEBVTT - a title

NOTE my remark

STYLE
::cue { color: red }

one
00:01.000 --> 00:02.000 align:start
<v Jane Doe>Hi, R&amp;D is <b>here</b> now
"""


MARKDOWN = """---
title: Not for people
---

# A heading #

Some *emphasis*, **strong words** and `x = y` in a line
that goes on [with a link](http://a.b/c_d "title") and
more of 2 * 3.\x20\x20
A break, a [known] label and an [unknown] one.

> A quote of
> two lines

- item one
- [ ] item ![a cat](cat.png) two

  its paragraph with <b>bold HTML</b> and a note.[^1]

1. first
2. second_word_here

| Head | Other |
|------|:-----:|
| cell *one* | `code` |

```python
print("hello")
```

    indented code

<div>a block of HTML</div>

Setext
======

[known]: http://x.y
"""


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="iso-8859-1"><title>A page</title><style>p {color: red}</style></head>
<body><!-- my remark --><h1>Caf\u00e9 &amp; more</h1><p>Some <b>bold words</b> and<br>a break.</p>
<script>var x = "code";</script><p translate="no">Acme</p></body></html>
"""


SAMPLES = {
    "a.html": Sample(lambda: PAGE.encode("latin-1"), "A page Caf\u00e9 &amp; more Some bold words and a break"),
    "a.md": Sample(
        lambda: MARKDOWN.replace("[known] label", "[known][known] label").encode(),
        "A heading Some emphasis strong words and in a line that goes on with a link and more of 2 * 3. A break, a "
        "known label and an unknown one. A quote of two lines item one item a cat two its paragraph with bold HTML and "
        "a note first Head Other cell one Setext",
    ),
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
        "box See Our cat It sleeps Head line A note",
    ),
    "a.odt": Sample(
        open_document,
        "A heading Some bold words and a link a note after tab new line note text On page of marked text here In a box "
        "See Our cat",
    ),
    "a.pptx": Sample(slides, "A shape Bold and plain text next line Say this"),
    "a.xlsx": Sample(workbook, "Plain cell rich bold text first line second line inline text"),
    "a.srt": Sample(SUBRIP.encode, "Two lines of it are one text. Who is it? Me."),
    "a.vtt": Sample(WEBVTT.encode, "Hi, R&amp;D is here now"),
    "a.epub": Sample(
        book,
        "A book Chapter one Page title The first one loose text A paragraph, bold end. tail one two a cat With inside",
    ),
}


def parts(content: bytes) -> dict[str, bytes]:
    """Return the files of a zipped document, or a document that is none, without what is written in several ways."""
    if not content.startswith(b"PK"):
        return {"": content}
    return {name: re.sub(rb"<\?xml.*?\?>\s*", b"", part) for name, part in unzipped(content).items()}


def bare(word: str) -> str:
    """Return a word without punctuation and markup at its ends."""
    return re.sub(r"^\W+|\W+$", "", word)


@pytest.mark.parametrize("name", SAMPLES)
def test_into_its_own_language_a_document_stays_the_same(name: str) -> None:
    content = SAMPLES[name].make()
    assert parts(translated(content, name, same).content) == parts(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_word_is_translated_once_and_nothing_else_changes(name: str) -> None:
    content, words = SAMPLES[name]
    made = parts(translated(content(), name, marked).content)
    assert {part: text.replace(b"~", b"") for part, text in made.items()} == parts(content())
    encoding = "latin-1" if name == "a.html" else "utf-8"
    read = "\n".join(text.decode(encoding) for text in made.values())
    found = re.findall(r"~([^\s<\"\]]+?)(?=\[\^|[\s<\"\]]|$)", read)
    assert sorted(map(bare, found)) == sorted(map(bare, words.split()))


def test_every_format_has_a_sample_and_its_own_names() -> None:
    assert {format_of(name) for name in (*SAMPLES, *CASES)} == set(FORMATS)
    assert len({suffix for format in FORMATS for suffix in format.suffixes}) == sum(len(f.suffixes) for f in FORMATS)


def test_what_is_left_is_told() -> None:
    left = {each.what for each in translated(word_document(), "a.docx", same).report.left}
    assert left == {"comments", "text whose deletion is tracked"}
