"""What is kept to the letter is there once, whatever a model does; capitals are as they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wordy import wordy

from nmt.decoding.translation import Candidate, Status, Translation
from nmt.text.placeholders import Kept, with_kept
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "de")
TEMPLATES = [
    "{name}",
    "{0:.2f}",
    "{}",
    "${price}",
    "#{x}",
    "%{x}",
    "{{user.name}}",
    "{%x%}",
    "%s",
    "%(count)d",
    "%1$s",
    "%5.2f",
    "%@",
    "%name%",
    "$HOME",
    "[[page]]",
    "__init__",
]
ADDRESSES = [
    "https://example.org/a(b)?c=d&e#f",
    "www.example.org",
    "a.b+c@example.co.uk",
    "/usr/bin/env",
    "./run.sh",
    "C:\\temp\\a.txt",
    "report.pdf",
    "foo_bar",
    "foo()",
    "--help",
    "v1.2.3",
    "192.168.0.1",
    "0x1F",
    "@user",
    "#tag",
    "<br/>",
    "😀",
    "👍🏽",
]
AMOUNTS = ["3,5 kg", "20 °C", "100 km/h", "1000 EUR", "5%", "$5.30", "12 €", "1\u00a0000 m²"]
CODES = [
    "{g, select, male {He has {n, plural, one {# file} other {# files}}} other {They}}", "{{#if user}}", "{{/if}}",
    "${{ x.y }}", "{#if x}", "{@html x}", "<%= x %>", "<?= $x ?>", "[%x%]", "$(x)", "&nbsp;", ":name", "::before",
    ":smile:", "@:a.b", "@@var", "std::vector", "a->b", "$x$", "$a_1 + b^2$", "$$E = mc^2$$", "\\(x + y\\)",
    "\\frac{a}{b}", "\\alpha", "\\n", "\\u00e9", "2.10.3-rc1+build5", "10.0.0.1:8080", "10.0.0.0/24", "#ff8800", "#123",
    "00:1A:2B:3C:4D:5E", "CVE-2024-12345", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000",
    "ISBN 978-3-16-148410-0", "+49 30 123456", "+33 6 12 34 56 78", "+49 89 1234-0", "+1 (800) 555-0199",
    "AT61 1904 3002 3457 3201", "1e-5", "2024-05-01", "2024-05-01T12:00:00Z", "%2$s", "%-10s",
]  # fmt: skip
KEPT = (*TEMPLATES, *CODES, *ADDRESSES, *AMOUNTS, "{n, plural, one {# day} other {# days}}", "{% if x %}", "{{ x }}")


@pytest.mark.parametrize("kept", KEPT)
def test_what_is_kept(kept: str) -> None:
    found = [part.markup for part in with_kept((f"Look at {kept}, please.",)) if isinstance(part, Kept)]
    assert found == [kept]
    assert [part.markup for part in with_kept((f"({kept})",)) if isinstance(part, Kept)] == [kept]


def test_what_is_kept_ends_where_another_begins() -> None:
    for one in KEPT:
        for other in KEPT:
            found = [part.markup for part in with_kept((f"a {one} {other} b",)) if isinstance(part, Kept)]
            assert found == [one, other]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("El +34 91 123 45 67 ha llamado", ["+34 91 123 45 67"]),
        ("AT61 1904 3002 3457 3201 A B", ["AT61 1904 3002 3457 3201"]),
        ("DE89 3704 0044 0532 0130 00 EUR", ["DE89 3704 0044 0532 0130 00"]),
        ("+33 6 12 34 56 78 l'a", ["+33 6 12 34 56 78"]),
        ("il y en a 12 l'un, 5 l d’eau", ["5 l"]),
        ("5 $$x$$", ["$$x$$"]),
    ],
)
def test_a_number_before_a_word_that_is_also_a_unit(text: str, kept: list[str]) -> None:
    assert [part.markup for part in with_kept((text,)) if isinstance(part, Kept)] == kept


@pytest.mark.parametrize(
    "text",
    [
        "and/or, x - y, a < b > c",
        "e-mail, Mr. A. Smith",
        "50 people, 3. Mai, 1990",
        "It's (so-called) “art”: 3 + 4 = 7; a*b",
        "R&D; Student:innen, at 12:30: AC/DC, A-1, a $ b",
    ],
)
def test_what_is_plain_text(text: str) -> None:
    assert [part for part in with_kept((text,)) if not isinstance(part, str)] == []


WORDS = st.sampled_from(["a", "b.", "(c", "d)", "e,", "Fee", "g-h", "5", "John"])
LINES = st.lists(
    WORDS | st.sampled_from(KEPT), min_size=1, max_size=9, unique_by=lambda word: word if word in KEPT else object()
)


@pytest.mark.parametrize(
    ("text", "kept"), [("5 %-10s", ["%-10s"]), ("5 %s", ["%s"]), ("5 % or 6", ["5 %"]), ("5%", ["5%"])]
)
def test_a_place_in_a_format_is_no_per_cent(text: str, kept: list[str]) -> None:
    assert [part.markup for part in with_kept((text,)) if isinstance(part, Kept)] == kept


@settings(max_examples=300, deadline=None)
@given(LINES, st.data())
def test_each_is_there_once_whatever_the_model_does(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    job = TEXTS.begin([text])
    made = []
    for line in job.lines:
        count = len(line.split())
        target = data.draw(st.lists(st.sampled_from([*line.split(), "X", "Y."]), max_size=8))
        links = tuple((data.draw(st.integers(0, count - 1)), place) for place in range(len(target)))
        said = " ".join(target)
        made.append(Translation(said, Status.OK, (Candidate(said, -1.0, -1.0, links),), links))
    [done] = job.finish(made)
    for kept in KEPT:
        assert done.text.count(kept) == text.count(kept)


@pytest.mark.parametrize(
    ("text", "order", "translation"),
    [
        ("Hi {name}, see %d files.", [0, 1, 3, 2, 4], "HI {name}, %d SEE FILES."),
        ("go to https://a.org/b.", [2, 0, 1], "https://a.org/b. GO TO"),
        ("user{id} and {a}/{b} ({c})", None, "USER{id} AND {a}/{b} ({c})"),
        ("click <0>this <1>big</1> link</0> now", [0, 3, 1, 2, 4], "CLICK <0>LINK THIS <1>BIG</1></0> NOW"),
        ("a 😀 b", None, "A 😀 B"),
    ],
)
def test_where_they_stand(text: str, order: list[int] | None, translation: str) -> None:
    job = TEXTS.begin([text])
    names = {name: name for name in ("John", "Mary", "Tom", "Boston", "5")}
    [done] = job.finish([wordy(line, names, order) for line in job.lines])
    assert done.text == translation


def test_letters_of_scripts_without_spaces_may_stand_beside_what_is_kept() -> None:
    text = "彼は%d本を5 kgと{name}さんにhttps://example.org/aで$5を"
    found = [part.markup for part in with_kept((text,)) if isinstance(part, Kept)]
    assert found == ["%d", "5 kg", "{name}", "https://example.org/a", "$5"]


def test_one_that_the_model_leaves_out_is_put_among_its_neighbours() -> None:
    job = TEXTS.begin(["I saw {name}."])
    [done] = job.finish([wordy(job.lines[0], {"John": ""})])
    assert done.text == "I SAW {name}."
    assert TEXTS.begin(["{name} %s", "https://example.org", "5 kg"]).lines == []


@pytest.mark.parametrize(
    ("text", "line", "said", "translation"),
    [
        (
            "STOP HERE, I SAID! GO {name}",
            "Stop here, I said! Go John",
            "Halt, hier! Geh, John",
            "HALT, HIER! GEH, {name}",
        ),
        ("GO HOME", "Go home", "Geh heim.", "GEH HEIM"),
        ("GO HOME.", "Go home.", "Geh über die Straße.", "GEH ÜBER DIE STRASSE."),
        (
            "A Dog Runs to the House",
            "A dog runs to the house",
            "Ein Hund läuft in ein Haus.",
            "Ein Hund Läuft in ein Haus",
        ),
        ("USA is", "USA is", "USA ist", "USA ist"),
        ("Tom Smith", "Tom Smith", "Tom Schmidt", "Tom Schmidt"),
        ("I Am Here.", "I Am Here.", "Ich bin hier.", "Ich bin hier."),
    ],
)
def test_capitals_are_restored(text: str, line: str, said: str, translation: str) -> None:
    job = TEXTS.begin([text])
    assert job.lines == [line]
    links = tuple((min(number, len(line.split()) - 1), number) for number in range(len(said.split())))
    [done] = job.finish([Translation(said, Status.OK, (Candidate(said, -1.0, -1.0, links),), links)])
    assert done.text == translation


def test_nouns_that_have_capitals_anyway_make_no_heading() -> None:
    assert TextTranslator("de", "en").begin(["Der Hund Läuft Heim"]).lines == ["Der Hund Läuft Heim"]
