"""HTML becomes segments, and HTML again: nothing is lost, and what is not translated is the same to the letter."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wordy import wordy

from nmt.decoding.translation import Status, Translation
from nmt.text.html_layout import layout_of_html
from nmt.text.html_names import VOID
from nmt.text.html_tokens import read_html
from nmt.text.translating import TextTranslator

TEXTS = TextTranslator("en", "de")
NAMES = {name: name for name in ("John", "Mary", "Tom")}


def translated(html: str, turn: int = 0) -> str:
    """Translate word by word, each line turned around by so many words."""
    job = TEXTS.begin([html], "html")
    made = []
    for line in job.lines:
        count = len(line.split())
        made.append(wordy(line, NAMES, [(number + turn) % count for number in range(count)]))
    [done] = job.finish(made)
    return done.text


@pytest.mark.parametrize(
    ("html", "translation"),
    [
        ("<p>a <b>b c</b> d.</p>\n<p>e</p>", "<p>A <b>B C</b> D.</p>\n<p>E</p>"),
        ("a<br>b<hr/>c", "A<br>B<hr/>C"),
        ("<ul><li>a<li><i>b</i></ul>", "<ul><li>A<li><i>B</i></ul>"),
        ("<table><tr><td>a<td>b</table>", "<table><tr><td>A<td>B</table>"),
        ('<a href="x?a=1&b=2" title="a &quot;b&quot;">c</a>', '<a href="x?a=1&b=2" title="A &quot;B&quot;">C</a>'),
        ("<img alt=a src=a><input type=text value=a placeholder='a b'>", None),
        ('<input type="submit" value="a"><option label="b">c', '<input type="submit" value="A"><option label="B">C'),
        ('<meta name="description" content="a"><meta name="x" content="a">', None),
        ("<!DOCTYPE html><title>a</title><script>if (a < b) {}</script><style>a {}</style>", None),
        ("a <!-- b --> c", "A <!-- b --> C"),
        ("a &lt; b &amp;&nbsp;c &copy; d", "A &lt; B &amp; C © D"),
        ("&nbsp;a&nbsp;", "&nbsp;A&nbsp;"),
        ("<p translate=no>a <b>b</b></p><p>c", "<p translate=no>a <b>b</b></p><p>C"),
        ("<p translate=no>a<p>b", "<p translate=no>a<p>B"),
        ('<div class="x notranslate" title="a">a<p translate="yes">b</p>c</div>d', None),
        ("a <code>b &lt; c</code>, d", "A <code>b &lt; c</code>, D"),
        ('a <span translate="no">b <i>c</i></span> d', 'A <span translate="no">b <i>c</i></span> D'),
        ("<pre>a\n b</pre>c<textarea>d</textarea>", "<pre>a\n b</pre>C<textarea>d</textarea>"),
        ("<svg><title>a</title></svg>a", "<svg><title>a</title></svg>A"),
        ('<p dir="rtl">a <b>b</b></p>', '<p dir="rtl">A <b>B</b></p>'),
        # Broken:
        ("a <b>b", "A <b>B"),
        ("a</b> b", "A</b> B"),
        ("a <code>b", "A <code>b"),
        ("a <code><a", "A <code><a"),
        ("<b>a <i>b</b> c</i>", "<b>A <i>B C</i></b>"),
        ("a < b > c", "A &lt; B &gt; C"),
        ("<p>a</div>b<p", None),
        ("a<![if x]>b<![endif]>c<?php x ?>d", None),
        ("<a title='a>b</a>", None),
        ("", ""),
        (" \n<br/>\n", " \n<br/>\n"),
    ],
)
def test_html(html: str, translation: str | None) -> None:
    done = translated(html)
    if translation is not None:
        assert done == translation
    assert markup(done) == markup(html)


def test_what_is_not_translated_is_named() -> None:
    assert translated("<img alt=a src=\"a\"><input type=text value=a placeholder='a b'>") == (
        '<img alt="A" src="a"><input type=text value=a placeholder="A B">'
    )
    assert translated('<meta name="Description" content="a"><meta name="x" content="a">') == (
        '<meta name="Description" content="A"><meta name="x" content="a">'
    )
    assert translated('<p class="x notranslate" title="a">a<b translate="yes" title="b">b</b>c</p>d') == (
        '<p class="x notranslate" title="a">a<b translate="yes" title="B">B</b>c</p>D'
    )
    page = "<!DOCTYPE html>\n<!-- a --><title>a</title><script>if (a < b) {}</script>\n<style>a {}</style>"
    assert translated(page) == page.replace(">a</title", ">A</title")


def markup(html: str) -> Counter[str]:
    """All tags of a page, but for their attributes that are text."""
    tags = [token for token in read_html(html) if token.mark.value in ("start", "end", "comment")]
    return Counter(
        re.sub(r"""\b(alt|title|placeholder|value|label|content)=("[^"]*"|'[^']*'|[^\s>]*)""", r"\1", tag.raw)
        for tag in tags
    )


TEXT = st.sampled_from(
    ["a ", " b", "c, ", "d. ", "{x}", " 5&nbsp;kg ", "&amp;", "&lt;i&gt; ", "שלום ", "日本", "\n", "(e) "]
)
TAGS = (
    "b",
    "i",
    "a href='x'",
    "span class=x",
    "sup",
    "p",
    "li",
    "div",
    "td",
    "code",
    "span translate=no",
    "br",
    "img alt='a b'",
)


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def write(tag: str, inside: list[str]) -> str:
        name = tag.split(maxsplit=1)[0]
        return f"<{tag}>" if name in VOID else f"<{tag}>{''.join(inside)}</{name}>"

    return st.builds(write, st.sampled_from(TAGS), st.lists(children, max_size=4))


WELL_FORMED = st.lists(st.recursive(TEXT, element, max_leaves=12), max_size=6).map("".join)
TAGS_OF_ANY_KIND = [
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<p>",
    "</p>",
    "<br>",
    "<code>",
    "</code>",
    "</x>",
    "<a title='a'>",
    "</a>",
]
ODDITIES = [
    "<!--c-->",
    "<script>a<b</script>",
    "<p translate=no>",
    "<i class=notranslate>",
    "<",
    "<a",
    "&",
    "<![",
    "<!x>",
]
PIECES = TEXT | st.sampled_from([*TAGS_OF_ANY_KIND, *ODDITIES, "<img alt=a>", "<?x>"])
BROKEN = st.lists(PIECES, max_size=14).map("".join)


def is_nested(html: str) -> bool:
    open_tags: list[str] = []
    for token in read_html(html):
        if token.mark.value == "start" and not token.is_void:
            open_tags.append(token.name)
        elif token.mark.value == "end" and (not open_tags or open_tags.pop() != token.name):
            return False
    return not open_tags


@example("<b><p></p>a a </b><i>a <p></p></i>", 2)
@settings(max_examples=150, deadline=None)
@given(WELL_FORMED, st.integers(0, 3))
def test_markup_stays_complete_and_nested(html: str, turn: int) -> None:
    done = translated(html, turn)
    assert markup(done) == markup(html)
    assert is_nested(done)
    assert done.count("{x}") == html.count("{x}")


@example("a </b> b<![<b>", 1)
@settings(max_examples=150, deadline=None)
@given(BROKEN | st.text(alphabet="<>ab/!-?&;\"'= [", max_size=40), st.integers(0, 3))
def test_nothing_of_broken_markup_is_lost_nor_added(html: str, turn: int) -> None:
    tokens = read_html(html)
    assert "".join(token.raw for token in tokens) == html
    job = TEXTS.begin([html], "html")
    [same] = job.finish([Translation(line, Status.COPIED) for line in job.lines])
    assert same.text == html
    done = translated(html, turn)
    whole = [token for token in tokens if token.mark.value in ("start", "end", "comment")]
    if whole == [token for token in whole if token.raw.endswith(">")]:
        assert Counter(token.raw for token in whole if "'" not in token.raw and "=a" not in token.raw) <= Counter(
            token.raw for token in read_html(done)
        )


@pytest.mark.parametrize(
    "unit", ["<", "<a", "<b>", "</b>", "<b>a ", "&", "<!--", "<![", "<a b='", "<p>", "a<i>b</p>", "<td>"]
)
def test_time_is_linear(unit: str) -> None:
    html = unit * (20_000 // len(unit))
    start = time.process_time()
    job = TEXTS.begin([html], "html")
    job.finish([wordy(line) for line in job.lines])
    assert time.process_time() - start < 5
    assert layout_of_html(html)
