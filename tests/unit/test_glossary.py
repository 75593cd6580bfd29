"""Terms are what the glossary says, and what is not to be translated is not."""

from __future__ import annotations

import pytest
from wordy import wordy

from nmt.decoding.translation import Candidate, Status, Translation
from nmt.text.glossary import Glossary, GlossaryError, Term
from nmt.text.segments import Kind, Tag
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "de")
GLOSSARY = Glossary.parse(
    "\ufeff# animals\ndog\tHund\nhot dog\tBratwurst\r\nfire brigade\tFeuerwehr\n\nAcme Corp\t\n".encode()
)
TBX = """<?xml version="1.0"?><tbx xmlns="urn:iso:std:iso:30042:ed-2"><text><body>
<conceptEntry><langSec xml:lang="en-US"><termSec><term>hot <hi>dog</hi></term></termSec></langSec>
<langSec xml:lang="de"><termSec><term>Bratwurst</term></termSec>
<termSec><term>Wurst</term></termSec></langSec></conceptEntry>
<termEntry><langSet xml:lang="en"><tig><term>dog</term></tig></langSet></termEntry></body></text></tbx>"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A Hot Dog, a dog.", ["Hot Dog", "dog"]),
        ("dogs, dog-like, hound-dog, dog_1, hotdog", []),
        ("“dog” (DOG) dog's hot, dog", ["dog", "DOG", "dog", "dog"]),
        ("fire  brigade of ACME corp.", ["fire  brigade", "ACME corp"]),
    ],
)
def test_terms_are_whole_words_the_longest_first(text: str, found: list[str]) -> None:
    assert [text[each.start : each.end] for each in GLOSSARY.find(text)] == found


def test_terms_of_scripts_without_spaces() -> None:
    glossary = Glossary([Term("東京", "Tokyo"), Term("東京都", "Tokyo Prefecture")])
    assert [each.term.target for each in glossary.find("私は東京都と東京に")] == ["Tokyo Prefecture", "Tokyo"]


def said(text: str, translation: str, links: str, glossary: Glossary = GLOSSARY) -> tuple[str, tuple[str, ...]]:
    """Translate a text with a model that says something, and links it: numbers of source words."""
    job = TEXTS.begin([text], glossary=glossary)
    assert job.alignments
    found = tuple(sorted((int(source), target) for target, source in enumerate(links.split())))
    [done] = job.finish([Translation(translation, Status.OK, (Candidate(translation, -1.0, -1.0, found),), found)])
    return done.text, done.missing


@pytest.mark.parametrize(
    ("text", "translation", "links", "result"),
    [
        ("The dog runs.", "Der Hund rennt.", "0 1 2", "Der Hund rennt."),
        ("The dog runs.", "Des Hundes Lauf.", "0 1 2", "Des Hundes Lauf."),
        ("The dog runs.", "Der Köter rennt.", "0 1 2", "Der Hund rennt."),
        ("The dog runs.", "Der kleine Köter, rennt.", "0 1 1 2", "Der kleine Hund, rennt."),
        ("Dog runs.", "Ein Köter rennt.", "0 0 1", "Ein Hund rennt."),
        ("The dog sees a dog.", "Der Hund sieht ihn.", "0 1 2 4", "Der Hund sieht Hund."),
        ("A hot dog!", "Ein heißer Hund!", "0 1 2", "Ein Bratwurst!"),
        ("I call the fire brigade", "Ich rufe an", "0 1 1", "Ich rufe an Feuerwehr"),
        ("A DOG SLEEPS", "Ein Köter schläft.", "0 1 2", "EIN HUND SCHLÄFT"),
        ("I love Acme Corp, dog.", "Ich liebe John, Köter.", "0 1 2 3", "Ich liebe Acme Corp, Hund."),
    ],
)
def test_terms_take_the_place_of_what_the_model_said(text: str, translation: str, links: str, result: str) -> None:
    assert said(text, translation, links) == (result, ())


def test_terms_within_and_across_tags() -> None:
    bold, end = Tag(Kind.OPEN, 1, "<b>"), Tag(Kind.CLOSE, 1, "</b>")
    for segment, result in (
        (("a ", bold, "dog", end, " runs"), "A <b>Hund</b> RUNS"),
        (("a ", bold, "hot", end, " dog"), "A <b>Bratwurst</b>"),
        (("at ", bold, "Acme", end, " Corp"), "AT <b>Acme</b> Corp"),
    ):
        job = TEXTS.begin([segment], glossary=GLOSSARY)
        [done] = job.finish([wordy(job.lines[0])])
        assert done.text == result


def test_a_term_is_told_as_missing_where_nothing_could_be_done() -> None:
    job = TEXTS.begin(["a dog"], glossary=GLOSSARY)
    [done] = job.finish([Translation("a dog", Status.COPIED)])
    assert done.missing == ("dog",)


def test_tbx() -> None:
    glossary = Glossary.parse(TBX.encode(), ("en", "de"))
    assert list(glossary) == [Term("hot dog", "Bratwurst")]
    assert len(Glossary.parse(TBX.encode("utf-16"), ("en", "de"))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n\tc", "line 2: expected a term, and, behind a tab, its translation, got no source"),
        (b"a\tb\tc", "line 1: .*got 3 columns"),
        (b"a\n\xff", "line 2: expected UTF-8, got byte 0xff"),
        (b"<tbx><a></tbx>", "line 1: expected XML, got mismatched tag"),
        (b'<!DOCTYPE t [<!ENTITY a "b">]><t>&a;</t>', "expected a glossary without entities of its own, got one, a"),
        (b'<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><t>&a;</t>', "without entities"),
        (TBX.replace('"de"', '"fr"').encode(), "expected terms in en and de, got 2 entries in en, en-us, fr"),
    ],
)
def test_what_is_no_glossary_is_told(content: bytes, message: str) -> None:
    with pytest.raises(GlossaryError, match=message):
        Glossary.parse(content, ("en", "de"))
    with pytest.raises(GlossaryError, match="expected languages for a TBX file"):
        Glossary.parse(TBX.encode())


def test_forms_of_a_term() -> None:
    glossary = Glossary.parse(b"dog|dogs\tHund|Hunde\nmouse | mice\tMaus\nACME|Acme\na\\|b\tc\\|d\n|\tx")
    found = [(each.source, each.target) for each in glossary]
    assert found == [
        *(("dog", "Hund"), ("dogs", "Hunde"), ("mouse", "Maus"), ("mice", "Maus"), ("ACME", None)),
        *(("a|b", "c|d"), ("|", "x")),
    ]
    with pytest.raises(GlossaryError, match="line 1: expected as many forms in the translation as in the term, 1, or"):
        Glossary.parse(b"dog\tHund|Hunde")
