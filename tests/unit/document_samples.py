"""Documents made by code, and translators that need no model."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence

from nmt.decoding.translation import Candidate, Status, Translation
from nmt.documents.translating import DocumentJob, DocumentResult, translate_document
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "de")


def translated(content: bytes, name: str, word: Callable[[str], str], texts: TextTranslator = TEXTS) -> DocumentResult:
    """Translate a document word by word."""

    def translate(job: DocumentJob) -> Sequence[Translation]:
        return [translation(line, word) for line in job.lines]

    return translate_document(content, name, texts, translate)


def translation(line: str, word: Callable[[str], str]) -> Translation:
    """Translate a line word by word; each word comes from the word in its place."""
    text = " ".join(map(word, line.split()))
    links = tuple((number, number) for number in range(len(line.split())))
    return Translation(text, Status.OK, (Candidate(text, -0.1, -1.0, links),), links)


def same(word: str) -> str:
    """Translate into the same language."""
    return word


def marked(word: str) -> str:
    """Translate so that it can be seen; the letters that stand for what is kept are understood, as by a model."""
    return word if word.strip(".,:;!?()") in tuple("XYZQVWKJ") else f"~{word}"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """Pack files; `mimetype` is not deflated, as its formats want it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, content in files.items():
            how = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            packed.writestr(zipfile.ZipInfo(name, (2024, 1, 2, 3, 4, 6)), content, how)
    return out.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    """Unpack files."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OFFICE = "application/vnd.openxmlformats-officedocument"
DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def office(main: str, types: Mapping[str, str], files: Mapping[str, str | bytes]) -> bytes:
    """Make a document of Office Open XML of its parts."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{OFFICE}.{type}+xml"/>' for name, type in types.items()
    )
    relationship = f'<Relationship Id="r1" Type="{R}/officeDocument" Target="{main}"/>'
    packages = "http://schemas.openxmlformats.org/package/2006"
    return zipped(
        {
            "[Content_Types].xml": f'{DECLARED}<Types xmlns="{packages}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/>'
            f"{overrides}</Types>",
            "_rels/.rels": f'{DECLARED}<Relationships xmlns="{packages}/relationships">{relationship}</Relationships>',
            **files,
        }
    )


def docx(body: str, **others: str) -> bytes:
    """Make a document of Word's."""
    names = f'xmlns:w="{W}" xmlns:r="{R}" xmlns:a="{A}"'
    files = {"word/document.xml": f"{DECLARED}<w:document {names}><w:body>{body}</w:body></w:document>"}
    types = {"word/document.xml": "wordprocessingml.document.main"}
    for name, content in others.items():
        files[f"word/{name}.xml"] = f'{DECLARED}<w:{name} xmlns:w="{W}">{content}</w:{name}>'
        types[f"word/{name}.xml"] = f"wordprocessingml.{name}"
    return office("word/document.xml", types, files)
