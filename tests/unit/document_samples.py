"""Documents made by code, and translators that need no model."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence

from nmt.decoding.translation import Candidate, Status, Translation
from nmt.documents.document import Limits
from nmt.documents.translating import DocumentJob, DocumentResult, translate_document
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "en")


def translated(
    content: bytes,
    name: str,
    word: Callable[[str], str],
    texts: TextTranslator = TEXTS,
    limits: Limits | None = None,
    status: Status = Status.OK,
) -> DocumentResult:
    """Translate a document word by word."""

    def translate(job: DocumentJob) -> Sequence[Translation]:
        return [translation(line, word, status) for line in job.lines]

    return translate_document(content, name, texts, translate, limits)


def translation(line: str, word: Callable[[str], str], status: Status = Status.OK) -> Translation:
    """Translate a line word by word; each word comes from the word in its place."""
    text = " ".join(map(word, line.split()))
    links = tuple((number, number) for number in range(len(line.split())))
    return Translation(text, status, (Candidate(text, -0.1, -1.0, links),), links)


def same(word: str) -> str:
    """Translate into the same language."""
    return word


def marked(word: str) -> str:
    """Translate so that it can be seen; the letters that stand for what is kept are understood, as by a model."""
    return word if re.fullmatch(r"\W*([XYZQVWKJ]|X\d+)\W*", word) else f"~{word}"


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


def pptx(slide: str, **others: str) -> bytes:
    """Make a presentation of a slide's shapes."""
    main = "http://schemas.openxmlformats.org/presentationml/2006/main"
    names = f'xmlns:p="{main}" xmlns:a="{A}" xmlns:r="{R}"'
    files = {
        "ppt/presentation.xml": f"{DECLARED}<p:presentation {names}/>",
        "ppt/slides/slide1.xml": f"{DECLARED}<p:sld {names}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>",
    }
    types = {
        "ppt/presentation.xml": "presentationml.presentation.main",
        "ppt/slides/slide1.xml": "presentationml.slide",
    }
    for name, content in others.items():
        files[f"ppt/{name}.xml"] = f"{DECLARED}<p:{name} {names}>{content}</p:{name}>"
        types[f"ppt/{name}.xml"] = f"presentationml.{name}"
    return office("ppt/presentation.xml", types, files)


def xlsx(strings: str, sheet: str, **others: str) -> bytes:
    """Make a workbook of its shared strings and the rows of a sheet."""
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    contents = {
        "workbook": f'<workbook {names}><sheets><sheet name="One" sheetId="1"/></sheets></workbook>',
        "sharedStrings": f"<sst {names}>{strings}</sst>",
        "worksheet": f"<worksheet {names}><sheetData>{sheet}</sheetData></worksheet>",
        **{name: content.replace("NAMES", names) for name, content in others.items()},
    }
    types = {f"xl/{name}.xml": f"spreadsheetml.{name}" for name in contents}
    types["xl/workbook.xml"] = "spreadsheetml.sheet.main"
    return office("xl/workbook.xml", types, {f"xl/{name}.xml": DECLARED + text for name, text in contents.items()})


def odt(body: str, styles: str = "") -> bytes:
    """Make an OpenDocument text of its body and its automatic styles."""
    prefix = "urn:oasis:names:tc:opendocument:xmlns"
    names = " ".join(
        f'xmlns:{name}="{prefix}:{kind}:1.0"'
        for name, kind in (("office", "office"), ("text", "text"), ("style", "style"), ("draw", "drawing"))
    )
    names += ' xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:rs="urn:rs"'
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"{DECLARED}<office:document-content {names} office:version='1.3'>".replace("'1.3'", '"1.3"')
            + f"<office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:text>{body}</office:text></office:body></office:document-content>",
            "META-INF/manifest.xml": f'{DECLARED}<m:manifest xmlns:m="{prefix}:manifest:1.0"/>',
        }
    )


def epub(pages: Mapping[str, str], **others: str) -> bytes:
    """Make a book of the bodies of its pages, and other files by their names with an underscore for the dot."""
    items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in pages)
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{DECLARED}<container xmlns="{container}"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "OEBPS/book.opf": f'{DECLARED}<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A book</dc:title>'
            f"<dc:language>en-GB</dc:language><dc:creator>Jane Doe</dc:creator></metadata><manifest>{items}"
            '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest></package>',
            "OEBPS/toc.ncx": f'{DECLARED}<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint>'
            "<navLabel><text>Chapter one</text></navLabel></navPoint></navMap></ncx>",
            **{
                f"OEBPS/{name}.xhtml": f'{DECLARED}<html xmlns="http://www.w3.org/1999/xhtml"><head>'
                f"<title>Page title</title></head><body>{body}</body></html>"
                for name, body in pages.items()
            },
            **{f"META-INF/{name.replace('_', '.')}": content for name, content in others.items()},
        }
    )
