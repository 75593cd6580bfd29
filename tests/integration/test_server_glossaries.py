"""Glossaries of requests: of texts and documents, as lines and as TBX."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served, served

TBX = """<tbx type="TBX-Basic" xmlns="urn:iso:std:iso:30042:ed-2"><text><body><conceptEntry id="1">
<langSec xml:lang="en"><termSec><term>dog</term></termSec></langSec>
<langSec xml:lang="tgt"><termSec><term>WUFF</term></termSec></langSec>
</conceptEntry></body></text></tbx>"""


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as it:
        yield it


@pytest.mark.parametrize("glossary", ["dog\tWUFF", "# mine\ndog\tWUFF\r\n", TBX, "dog\tWUFF\n" + "cat\tMIAU\n" * 1000])
def test_terms_are_met(service: Served, glossary: str) -> None:
    answer = service.translate(["red dog", "the cat sees the dog"], glossary=glossary, details=True).json()
    assert all("WUFF" in text for text in answer["translatedText"])
    assert [line["missing"] for lines in answer["details"] for line in lines] == [[], []]
    assert "WUFF" not in service.translate("red dog").json()["translatedText"]  # of one request, and no other


def test_what_is_not_translated(service: Served) -> None:
    assert "red" in service.translate("red dog", glossary="red").json()["translatedText"].split()


def test_documents(service: Served) -> None:
    form = {"source": "en", "target": "tgt", "glossary": "dog\tWUFF"}
    answer = service.ask("POST", "/translate_file", data=form, files={"file": ("a.txt", b"red dog\n")}).json()
    assert answer["missing"] == []
    path = answer["translatedFileUrl"].removeprefix("http://service")
    assert "WUFF" in service.ask("GET", path).text


@pytest.mark.parametrize(
    ("glossary", "told"),
    [
        ("a\tb\tc", "glossary: line 1: expected a term, and, behind a tab, its translation, got 3 columns"),
        ("\tb", "glossary: line 1: expected a term, and, behind a tab, its translation, got no source"),
        (["dog"], "expected a text as glossary, got a list"),
        ("<tbx", "glossary: line 1: expected XML"),
    ],
)
def test_what_is_no_glossary(service: Served, glossary: object, told: str) -> None:
    answer = service.translate("red dog", glossary=glossary)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
