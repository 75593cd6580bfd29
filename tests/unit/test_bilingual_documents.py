"""Formats that hold both languages: what has no translation gets one, and what people wrote stays."""

from __future__ import annotations

import pytest
from document_samples import DECLARED, marked, translated

from nmt.decoding.translation import Status
from nmt.documents.document import DocumentError
from nmt.text.translating import TextTranslator

BOTH = TextTranslator("en", "de")
CATALOGUE = r"""# A comment
msgid ""
msgstr ""
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#. for whom it may concern
#: main.c:12
msgctxt "menu"
msgid "Open it"
msgstr ""{open}

#, c-format
msgid "a file\n"
msgid_plural "many files\n"
msgstr[0] ""{one}
msgstr[1] ""{many}

msgid "Done"
msgstr "Fertig"

#, fuzzy
msgid "Maybe"
msgstr "Vielleicht"

#~ msgid "Gone"
#~ msgstr "Weg"
"""


def catalogue(open: str = "", one: str = "", many: str = "") -> str:
    text = CATALOGUE
    for name, value in (("open", open), ("one", one), ("many", many)):
        text = text.replace('""{' + name + "}", f'"{value}"')
    return text


XLIFF = "urn:oasis:names:tc:xliff:document"


def first(*units: str, target: str = ' target-language="de"') -> str:
    return (
        f'{DECLARED}<xliff xmlns="{XLIFF}:1.2" version="1.2"><file original="a" source-language="en-US"{target} '
        f'datatype="plaintext"><header/><body>{"".join(units)}</body></file></xliff>'
    )


def second(*segments: str) -> str:
    return (
        f'{DECLARED}<xliff xmlns="{XLIFF}:2.0" version="2.0" srcLang="en" trgLang="de"><file id="f"><unit id="u">'
        f"{''.join(segments)}</unit></file></xliff>"
    )


def memory(*units: str) -> str:
    return (
        f'{DECLARED}<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header srclang="en" segtype="sentence"/>'
        f"<body>{''.join(units)}</body></tmx>"
    )


G = '<g id="1">{}</g> <x id="2"/> {}<bpt id="3">&lt;b&gt;</bpt>{}<ept id="3">&lt;/b&gt;</ept>'
LT = '<trans-unit id="1"><source>{}</source>{}</trans-unit>'
CASES = {
    "a.po": (catalogue(), catalogue("~Open ~it", r"~a ~file\n", r"~many ~files\n")),
    "a.xlf": (
        first(
            LT.format(G.format("One", "two ", "three"), ""),
            LT.format("Kept", '<target state="final">Behalten</target>'),
            LT.format("Empty", '<target state="new"/><note>Remark</note>'),
            '<group translate="no"><trans-unit id="2"><source>Never</source></trans-unit></group>',
        ),
        first(
            LT.format(
                G.format("One", "two ", "three"),
                f'<target state="translated">{G.format("~One", "~two ", "~three")}</target>',
            ),
            LT.format("Kept", '<target state="final">Behalten</target>'),
            LT.format("Empty", '<target state="translated">~Empty</target><note>Remark</note>'),
            '<group translate="no"><trans-unit id="2"><source>Never</source></trans-unit></group>',
        ),
    ),
    "segments.xliff": (
        first(
            LT.format(
                "A. B b.",
                '<seg-source><mrk mtype="seg" mid="0">A.</mrk> <mrk mtype="seg" mid="1">B b.</mrk></seg-source>',
            ),
            target="",
        ),
        first(
            LT.format(
                "A. B b.",
                '<seg-source><mrk mtype="seg" mid="0">A.</mrk> <mrk mtype="seg" mid="1">B b.</mrk></seg-source>'
                '<target state="translated"><mrk mtype="seg" mid="0">~A.</mrk> <mrk mtype="seg" mid="1">~B ~b.</mrk>'
                "</target>",
            ),
            target="",
        ).replace('datatype="plaintext"', 'datatype="plaintext" target-language="de"'),
    ),
    "two.xliff": (
        second(
            '<segment><source>With <pc id="1">bold</pc> text</source></segment>',
            "<ignorable><source> </source></ignorable>",
            '<segment state="final"><source>Kept</source><target>Behalten</target></segment>',
        ),
        second(
            '<segment state="translated"><source>With <pc id="1">bold</pc> text</source>'
            '<target>~With <pc id="1">~bold</pc> ~text</target></segment><ignorable><source> </source></ignorable>',
            '<segment state="final"><source>Kept</source><target>Behalten</target></segment>',
        ),
    ),
    "a.tmx": (
        memory(
            '<tu tuid="1">\n <tuv xml:lang="en-US" creationid="me"><seg>Some <bpt i="1">[</bpt>bold<ept i="1">]</ept> '
            "text</seg></tuv>\n</tu>",
            '<tu><tuv xml:lang="en"><seg>Kept</seg></tuv><tuv xml:lang="DE-AT"><seg>Behalten</seg></tuv></tu>',
        ),
        memory(
            '<tu tuid="1">\n <tuv xml:lang="en-US" creationid="me"><seg>Some <bpt i="1">[</bpt>bold<ept i="1">]</ept> '
            "text</seg></tuv>\n "
            '<tuv xml:lang="de"><seg>~Some <bpt i="1">[</bpt>~bold<ept i="1">]</ept> ~text</seg></tuv>'
            "\n</tu>",
            '<tu><tuv xml:lang="en"><seg>Kept</seg></tuv><tuv xml:lang="DE-AT"><seg>Behalten</seg></tuv></tu>',
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_has_no_translation_gets_one(name: str) -> None:
    given, expected = CASES[name]
    made = translated(given.encode(), name, marked, BOTH).content.decode()
    assert made.replace("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>", DECLARED.strip()) == expected


def test_a_translation_that_did_not_go_well_is_marked() -> None:
    unsure = Status.DOUBTFUL
    made = translated(catalogue().replace("\n", "\r\n").encode(), "a.po", marked, BOTH, status=unsure).content.decode()
    assert "\r\n#, fuzzy\r\nmsgctxt" in made
    assert "\r\n#, c-format, fuzzy\r\n" in made
    assert made.count("\n") == made.count("\r\n")
    files = {"a.xlf": "needs-review-translation", "segments.xliff": "needs-review-translation", "two.xliff": "initial"}
    for name, state in files.items():
        made = translated(CASES[name][0].encode(), name, marked, BOTH, status=unsure).content.decode()
        assert f'state="{state}"' in made
        assert 'state="translated"' not in made


def test_more_plural_forms_than_two_are_the_second_and_fuzzy() -> None:
    given = catalogue().replace("nplurals=2", "nplurals=3").replace('msgstr[1] ""', 'msgstr[1] ""\nmsgstr[2] ""')
    result = translated(given.encode(), "a.po", marked, BOTH)
    made = result.content.decode()
    assert 'msgstr[0] "~a ~file\\n"\nmsgstr[1] "~many ~files\\n"\nmsgstr[2] "~many ~files\\n"\n' in made
    assert "#, c-format, fuzzy\n" in made
    assert "plural forms beyond the second" in {each.what for each in result.report.left}


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.xlf", first().replace("en-US", "fr"), "expected source-language='en', as the model's, got 'fr'"),
        ("a.xlf", first().replace('"1.2"', '"3.0"'), "expected XLIFF 1.2 or 2.x, got version '3.0'"),
        ("a.tmx", memory('<tu><tuv xml:lang="fr"><seg>Un</seg></tuv></tu>'), "in the model's language, en, got none"),
        ("a.po", catalogue().replace("UTF-8", "CP1252"), "expected a catalogue in UTF-8, got charset=CP1252"),
        ("a.po", 'msgid "a"\nmsgstr ""\n\nmsgid "open"', "expected a msgstr at its end, got none"),
        ("a.po", "Hello, you.", "expected a catalogue of gettext"),
    ],
)
def test_what_cannot_be_is_told(name: str, content: str, error: str) -> None:
    with pytest.raises(DocumentError, match=error.replace("[", r"\[")):
        translated(content.encode(), name, marked, BOTH)
