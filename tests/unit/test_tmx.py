"""Translation memories: what is read of them, and what is said of those that cannot be."""

import gzip
from pathlib import Path

import pytest

from nmt.data.text import CorpusError, read_pairs

HEAD = '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header srclang="en"/><body>\n'
TAIL = "</body></tmx>\n"


def unit(**variants: str) -> str:
    variants = {code.replace("_", "-"): text for code, text in variants.items()}
    return (
        "<tu>" + "".join(f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in variants.items()) + "</tu>"
    )


def pairs_of(path: Path, content: str | bytes, languages: tuple[str, str] = ("en", "de")) -> list[tuple[str, str]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_pairs(path, languages=languages))


UNITS = [
    (unit(en="A dog.", de="Ein Hund."), [("A dog.", "Ein Hund.")]),
    (unit(de="Ein Hund.", en="A dog."), [("A dog.", "Ein Hund.")]),
    (unit(EN_us="A dog.", de_AT="Ein Hund."), [("A dog.", "Ein Hund.")]),
    (unit(en_US="A truck.", en="A lorry.", de="Ein Laster."), [("A lorry.", "Ein Laster.")]),
    (unit(eng="A dog.", de="Ein Hund."), []),
    (unit(en="A dog.", fr="Un chien."), []),
    ("<tu><tuv lang='en'><seg>A</seg></tuv><tuv lang='de'><seg>B</seg></tuv></tu>", [("A", "B")]),
    (unit(en="  two\n lines\t", de="&lt;zwei&gt;&amp;&#252;"), [("two lines", "<zwei>&ü")]),
    (
        unit(en="<bpt i='1'>&lt;b&gt;</bpt>Bold<ept i='1'>&lt;/b&gt;</ept> text", de="<hi>Fetter</hi> <ph/>Text"),
        [("Bold text", "Fetter Text")],
    ),
    (unit(en="", de="Ein Hund."), [("", "Ein Hund.")]),
    ("<tu><prop>x</prop></tu>", []),
]


@pytest.mark.parametrize(("content", "expected"), UNITS)
def test_units(content, expected, tmp_path):
    found = pairs_of(tmp_path / "a.tmx", HEAD + content + unit(en="last", de="letzte") + TAIL)
    assert found == [*expected, ("last", "letzte")]


def test_compressed_in_other_encodings_and_with_a_namespace(tmp_path):
    content = (HEAD + unit(en="Café", de="Kaffee") + TAIL).replace('"1.0"', '"1.0" encoding="utf-16"')
    assert pairs_of(tmp_path / "a.tmx.gz", gzip.compress(content.encode("utf-16"))) == [("Café", "Kaffee")]
    spaced = HEAD.replace("<tmx ", '<tmx xmlns="http://www.lisa.org/tmx14" ') + unit(en="a", de="b") + TAIL
    assert pairs_of(tmp_path / "b.TMX", spaced) == [("a", "b")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1: expected XML, got no element found"),
        ("no xml", "line 1: expected XML"),
        (HEAD + unit(en="a", de="b"), "line 4: expected XML, got no element found"),
        ("<xliff/>", "expected a translation memory, whose first element is tmx, got xliff"),
        (HEAD + TAIL, r"expected units in en and de .*, got 0 units in no language"),
        (HEAD + unit(fr="a", nl="b") + TAIL, r"expected units in en and de .*, got 1 units in fr, nl"),
    ],
)
def test_what_cannot_be_read(content, told, tmp_path):
    with pytest.raises(CorpusError, match=rf"a\.tmx: {told}"):
        pairs_of(tmp_path / "a.tmx", content)


def test_entities_do_not_grow(tmp_path):
    levels = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = HEAD.replace('SYSTEM "tmx14.dtd"', f'[<!ENTITY e0 "ha">{levels}]') + unit(en="&e12;", de="b") + TAIL
    with pytest.raises(CorpusError, match="expected XML, got limit on input amplification factor"):
        pairs_of(tmp_path / "a.tmx", bomb)


def test_no_other_file_is_read(tmp_path):
    (tmp_path / "secret").write_text("secret")
    thief = HEAD.replace('SYSTEM "tmx14.dtd"', f'[<!ENTITY e SYSTEM "file://{tmp_path}/secret">]')
    with pytest.raises(CorpusError, match="expected XML, got undefined entity"):
        pairs_of(tmp_path / "a.tmx", thief + unit(en="&e;", de="b") + TAIL)


def test_memory_does_not_grow(tmp_path):
    import tracemalloc  # noqa: PLC0415

    path = tmp_path / "a.tmx"
    path.write_text(HEAD + unit(en="A dog." * 20, de="Ein Hund." * 20) * 3_000 + TAIL)
    tracemalloc.start()
    count = sum(1 for _ in read_pairs(path, languages=("en", "de")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3_000
    assert peak < path.stat().st_size / 2
