"""Documents of strangers: a clear error each, within bounds, and nothing else ever."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from document_samples import docx, epub, odt, same, translated, translation, unzipped, zipped
from test_bilingual_documents import CASES
from test_documents import SAMPLES, word_document

from nmt.documents.document import DocumentError, Limits
from nmt.documents.translating import begin_document
from nmt.text.translating import TextTranslator

ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def with_part(name: str, content: str | bytes, document: bytes | None = None) -> bytes:
    """Put a file into a document, or another in its place."""
    return zipped({**unzipped(word_document() if document is None else document), name: content})


def bomb(size: int) -> bytes:
    return with_part("word/media/a.png", bytes(size))


def many(count: int) -> bytes:
    return zipped({f"{number}": b"" for number in range(count)})


def twice() -> bytes:
    out = io.BytesIO(word_document())
    with zipfile.ZipFile(out, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("word/document.xml", "<a/>")
    return out.getvalue()


def locked() -> bytes:
    """Say of all files that they are encrypted."""
    content = bytearray(word_document())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 1)
    return bytes(content)


def lying() -> bytes:
    """Say that a file is smaller than it is, as bombs do that pass a check of sizes."""
    content = bytearray(bomb(1 << 20))
    at = content.rfind(b"word/media/a.png") - 46  # in the list of files
    struct.pack_into("<I", content, at + 24, 10)
    return bytes(content)


def listed(size: int) -> bytes:
    """Say that the list of files is long."""
    content = bytearray(word_document())
    struct.pack_into("<I", content, content.rfind(b"PK\x05\x06") + 12, size)
    return bytes(content)


def wide(text: str) -> bytes:
    return text.replace("UTF-8", "UTF-16").encode("utf-16")


def deep(count: int) -> str:
    return docx_part(f"{'<w:p><w:r>' * count}{'</w:r></w:p>' * count}")


def docx_part(body: str) -> str:
    return unzipped(docx(body))["word/document.xml"].decode()


DOCUMENT = "word/document.xml"
FAULTS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a bomb": ("a.docx", lambda: bomb(40 << 20), "expected to be at most 200 times as large unpacked"),
    "more than may be unpacked": ("a.docx", lambda: bomb(5 << 20), "expected at most 4,194,304 bytes unpacked, got"),
    "more text than may be parsed": (
        "a.docx",
        lambda: with_part(DOCUMENT, docx_part(f"<!--{random.Random(1).randbytes(400_000).hex()}-->")),
        "expected at most 524,288 bytes of text, got more",
    ),
    "a size that lies": ("a.docx", lying, "'word/media/a.png' in it: expected a whole zip file, got: Bad CRC"),
    "many files": ("a.docx", lambda: many(101), "expected at most 100 files in it, got 101"),
    "a long list": ("a.docx", lambda: listed(5 << 20), "expected at most 100 files in it, got more"),
    "a path up": ("a.docx", lambda: with_part("../../etc/cron.d/x", ""), "expected names of files inside it, got"),
    "a path from the root": ("a.docx", lambda: with_part("/etc/passwd", ""), "expected names of files inside it"),
    "a path of Windows": ("a.docx", lambda: with_part("C:\\x", ""), "expected names of files inside it, got"),
    "a name twice": ("a.docx", twice, "expected each name once, got 'word/document.xml' twice"),
    "encrypted files": ("a.docx", locked, "is protected by a password"),
    "an encrypted OpenDocument": (
        "a.odt",
        lambda: with_part("META-INF/manifest.xml", "<m><encryption-data/></m>", odt("")),
        "is protected by a password",
    ),
    "a locked book": (
        "a.epub",
        lambda: epub({"one": ""}, encryption_xml='<e><CipherReference URI="OEBPS/one.xhtml"/></e>'),
        "is protected against copying",
    ),
    "an old document": (
        "a.docx",
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "by a password, or of before",
    ),
    "a PDF": ("a.txt", lambda: b"%PDF-1.7\n", "expected text, got a PDF"),
    "another kind": ("a.docx", lambda: odt(""), "got a .odt document; call it so"),
    "a zip file": ("a.docx", lambda: zipped({"a": b"b"}), "got a zip file of another kind"),
    "a zip file as text": ("a.txt", word_document, "expected text, got a .docx document"),
    "text as a document": ("a.docx", lambda: b"Hello", "expected a document of the kind that it is called (.docx)"),
    "nothing": ("a.docx", lambda: b"", "got text"),
    "the half of it": ("a.docx", lambda: word_document()[:900], "expected a whole zip file, got: File is not a zip"),
    "a part missing": ("a.epub", lambda: zipped({"mimetype": "application/epub+zip"}), "expected a file META-INF/cont"),
    "entities": (
        "a.docx",
        lambda: with_part(DOCUMENT, docx_part("&b;").replace("?>", "?>" + ENTITIES)),
        "expected XML without a document type of its own, got one",
    ),
    "a file as an entity": ("a.tmx", f"{OUTSIDE}<tmx>&a;</tmx>".encode, "without a document type of its own"),
    "entities in UTF-16": (
        "a.xlf",
        lambda: wide(f"{ENTITIES}<xliff >&b;</xliff>"),
        "without a document type of its own",
    ),
    "entities in UTF-7": (
        "a.xlf",
        lambda: b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-ENTITY<xliff >',
        "expected XML in UTF-8, got an encoding called 'UTF-7'",
    ),
    "brackets in brackets": ("a.docx", lambda: with_part(DOCUMENT, deep(200)), "expected XML, got: Excessive depth"),
    "no XML": ("a.docx", lambda: with_part(DOCUMENT, "<w:p"), "word/document.xml: expected XML, got: "),
    "bytes as XML": ("a.docx", lambda: with_part(DOCUMENT, bytes(9)), "expected XML, got something else"),
    "no encoding": (
        "a.txt",
        lambda: b"caf\xe9",
        "expected text in UTF-8, got byte 0xe9 at position 3: what may be CP1252",
    ),
    "zeros": ("a.srt", lambda: bytes(9), "expected text in UTF-8, got"),
    "half a character": ("a.txt", lambda: b"\xff\xfea\0b", "expected text in UTF-16-LE"),
    "an encoding that is none": (
        "a.html",
        lambda: b'<meta charset="zip">',
        "expected a known encoding, got 'zip' as the page's charset",
    ),
    "another encoding than it says": (
        "a.html",
        lambda: b'<meta charset="utf-8">\xff',
        "expected text in utf-8, as the page",
    ),
    "no subtitles": ("a.srt", lambda: b"Hello", "expected subtitles, with times such as"),
    "a large file": ("a.txt", lambda: bytes(1 << 21), "expected at most 1,048,576 bytes, got 2,097,152"),
}
SMALL = Limits(size=1 << 20, unpacked=4 << 20, parsed=1 << 19, entries=100, free=1 << 18)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(fault: str) -> None:
    name, make, error = FAULTS[fault]
    limits = Limits() if fault == "a bomb" else SMALL
    with pytest.raises(DocumentError) as raised:
        translated(make(), name, same, TextTranslator("en", "de"), limits)
    assert error in str(raised.value)
    assert str(raised.value).startswith(f"{name}: ")
    assert "\n" not in str(raised.value)


def test_a_bomb_takes_no_memory() -> None:
    content = bomb(40 << 20)
    tracemalloc.start()
    with pytest.raises(DocumentError):
        begin_document(content, "a.docx", TextTranslator())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20


def test_what_is_damaged_is_refused_or_translated() -> None:
    chance = random.Random(5)
    documents = {name: sample.make() for name, sample in SAMPLES.items()}
    documents |= {name: given.encode() for name, (given, _) in CASES.items()}
    refused = 0
    for name, content in documents.items():
        for _ in range(20):
            damaged = damage(content, chance)
            if content.startswith(b"PK"):
                files = unzipped(content)
                part = chance.choice(list(files))
                damaged = zipped({**files, part: damage(files[part], chance)})
            try:
                translated(damaged, name, same, TextTranslator("en", "de"))
            except DocumentError:
                refused += 1
    assert 0 < refused < 20 * len(documents)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut a document, or change some of it."""
    places = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    part = content[places[0] : places[1]]
    return chance.choice(
        [content[: places[0]], content.replace(part, b"", 1), content.replace(part, 2 * part, 1), content[::-1]]
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", docx(f"<w:p>{'<w:bookmarkStart/>' * 3000}<w:r><w:t>ab cd</w:t></w:r></w:p>")),
        ("a.odt", odt(f"<text:p>{'<text:span>a </text:span>b ' * 2000}</text:p>")),
        ("a.vtt", b"00:01.000 --> 00:02.000\n" + b"<i>x</b> - " * 2000),
        ("a.md", b"*a_ `b [c](d $e <f " * 2000),
        ("a.txt", b"word " * 50_000),
    ],
)
def test_many_tags_in_a_line_take_time_in_proportion(name: str, content: bytes) -> None:
    job = begin_document(content, name, TextTranslator("en", "de"))
    assert max(map(len, job.lines)) <= 10_001
    assert job.finish([translation(line, same) for line in job.lines]).content
