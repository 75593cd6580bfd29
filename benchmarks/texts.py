"""What nmt/text does around a real model: markup complete and nested, placeholders to the letter, terms held.

    python benchmarks/texts.py MODEL SOURCE [REFERENCE] [--lines N] [--glossary FILE] [--names NAME...]

Lines of SOURCE are made HTML (nested, crossing, never closed, with attributes, entities, scripts and tables) and get
placeholders, by chance but always the same; it prints in how many all is there once, and the first in which it is not.
With a glossary, how many lines with terms hold them, with it and without, and BLEU of these lines; with names, words of
both texts that become placeholders, BLEU with them.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nmt.data.text import read_lines
from nmt.decoding.translator import Translator
from nmt.evaluation import score
from nmt.text.glossary import Glossary
from nmt.text.html_tokens import Mark, read_html
from nmt.text.translating import TextTranslator

INLINE = (
    *("b", "i", "em", "a href='x?a=1&amp;b=2' title=\"{}\"", "span class='x' lang=en", "span dir=rtl", "sup", "u"),
    *("B", "SPAN CLASS=x", "bdi", "bdo dir=rtl", "a href=x href=y title='a' title='b'", "mark", "label for=x"),
)
BLOCKS = (
    "<p>{}</p>",
    "<ul><li>{}<li>a dog</ul>",
    "<table><tr><td>{}</td><td>5</td></tr></table>",
    "<div translate=no>x</div>\n<h1>{}</h1>",
    "<table><tr><th colspan=2>{}<th>a dog<tr><td rowspan='2'>a cat</table>",
    "<ul><li>a dog<ul><li>{}</ul></li><li>a cat</ul>",
    "<dl><dt>{}<dd>a dog<dt>a cat</dl>",
    "<details open><summary>a dog</summary>{}</details>",
    "<b><p>{}</b></p>",
    "<p>a dog<p>{}<div>a cat</p></div>",
    "<template><p>a dog</p></template>{}",
    "<P DIR=RTL>{}</P><![CDATA[a < b]]>",
    "<div dir='rtl' lang='ar'>مرحبا {} <bdi>שלום</bdi></div>",
)
ALONE = (
    "<br>",
    "<img src=x alt='a dog'>",
    "<!-- a <b> -->",
    "<script>if (a < b) {}</script>",
    "<code>a &lt; b</code>",
    "&nbsp;",
    "<svg viewBox='0 0 1 1'><title>a dog</title><path d='M0 0'/></svg>",
    "<math><mi>x</mi><mo>&lt;</mo><mn>2</mn></math>",
    "<ruby>red<rp>(</rp><rt>dog</rt><rp>)</rp></ruby>",
    "AT&T &copy 2020 &eacute",
    "<wbr>",
    "<input type=checkbox checked>",
    "<![CDATA[a <b> c]]>",
    "<?php echo 1 ?>",
)
KEPT = (
    "{name}",
    "%s",
    "%(count)d",
    "${price}",
    "{{x}}",
    "<0>",
    "https://example.org/a?b=c&d=e",
    "a.b@example.org",
    "3.5 kg",
    "20 °C",
    "{n, plural, one {# file} other {# files}}",
    "%1$s",
    "{{#if user}}",
    "%(name)s",
    ":name",
    "@user",
    "#tag",
    "2.10.3-rc1",
    "/etc/nginx/nginx.conf",
    "DE89 3704 0044 0532 0130 00",
    "#ff8800",
    "$x_1 + y^2$",
    "\\frac{a}{b}",
    "<%= x %>",
)


def main() -> None:
    """Translate, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path, nargs="?")
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--glossary", type=Path)
    parser.add_argument("--names", nargs="*", default=())
    chosen = parser.parse_args()
    translator = Translator.load(chosen.model, threads=1)
    texts = TextTranslator.for_model(translator)
    lines = list(read_lines(chosen.source))
    by_chance = random.Random(1)
    some = [line for line in by_chance.sample(lines, len(lines)) if len(line.split()) > 2][: chosen.lines]
    pages = [make_page(line, by_chance) for line in some]
    translated = [result.text for result in texts.translate(translator, pages, "html")]
    report("HTML: all tags there once, and nested as they were", pages, translated, same_markup)
    strings = [with_placeholders(line, by_chance) for line in some]
    translated = [result.text for result in texts.translate(translator, strings)]
    report("placeholders: all there once, to the letter", strings, translated, same_placeholders)
    references = [] if chosen.reference is None else list(read_lines(chosen.reference))
    language = translator.config.data.target_language
    if chosen.glossary is not None:
        glossary = Glossary.read(chosen.glossary, (texts.source, texts.target))
        hold_terms(translator, texts, glossary, lines, references, language)
    if chosen.names and references:
        score_names(translator, texts, set(chosen.names), list(zip(lines, references, strict=True)), language)


def make_page(line: str, by_chance: random.Random) -> str:
    """Put tags around and between the words of a line."""
    words = line.replace("&", "&amp;").replace("<", "&lt;").split()
    for _ in range(by_chance.randrange(1, 5)):
        start = by_chance.randrange(len(words))
        end = by_chance.randrange(start, min(start + 5, len(words)))
        tag = by_chance.choice(INLINE).format("a red hat")
        words[start] = f"<{tag}>{words[start]}"
        if by_chance.random() < 0.9:  # else it is never closed
            words[end] += f"</{tag.split()[0]}>"
    if by_chance.random() < 0.5:
        words.insert(by_chance.randrange(len(words)), by_chance.choice(ALONE))
    return by_chance.choice(BLOCKS).format(" ".join(words))


def same_markup(page: str, translated: str) -> bool:
    """Whether a page has the tags of another, and ends what it opens wherever that does."""
    return markup(page) == markup(translated) and (is_nested(translated) or not is_nested(page))


def markup(page: str) -> Counter[str]:
    """Count the tags of a page, without what is translated of their attributes."""
    tags = [token.raw for token in read_html(page) if token.mark is not Mark.TEXT]
    return Counter(re.sub(r"""(alt|title)=("[^"]*"|'[^']*')""", r"\1", tag) for tag in tags)


def is_nested(page: str) -> bool:
    """Whether every tag is closed, the innermost first."""
    names: list[str] = []
    for token in read_html(page):
        if token.mark is Mark.START and not token.is_void:
            names.append(token.name)
        elif token.mark is Mark.END and (not names or names.pop() != token.name):
            return False
    return not names


def with_placeholders(line: str, by_chance: random.Random) -> str:
    """Put placeholders between the words of a line, or in their places."""
    words = line.split()
    for kept in by_chance.sample(KEPT, by_chance.randrange(1, 4)):
        place = by_chance.randrange(len(words))
        words[place : place + by_chance.randrange(2)] = [kept]
    return " ".join(words)


def same_placeholders(line: str, translated: str) -> bool:
    """Whether a line has the placeholders of another."""
    return all(line.count(kept) == translated.count(kept) for kept in KEPT)


def report(what: str, given: Sequence[str], made: Sequence[str], holds: Callable[[str, str], bool]) -> None:
    """Print in how many texts something holds."""
    wrong = [pair for pair in zip(given, made, strict=True) if not holds(*pair)]
    print(f"{what}: {len(given) - len(wrong)} of {len(given)}")
    for source, target in wrong[:3]:
        print(f"    {source!r}\n    {target!r}")


def hold_terms(
    translator: Translator,
    texts: TextTranslator,
    glossary: Glossary,
    lines: Sequence[str],
    references: Sequence[str],
    language: str,
) -> None:
    """Print how many lines hold the terms of a glossary."""
    plain = translator.translate(lines)
    with_terms = [result.text for result in texts.translate(translator, lines, glossary=glossary)]
    without = texts.translate(translator, lines)
    concerned = [place for place, line in enumerate(lines) if glossary.find(line)]
    for name, made in (("without", plain), ("with", with_terms)):
        held = sum(holds_terms(glossary, lines[place], made[place]) for place in concerned)
        print(f"terms {name} a glossary: {held} of {len(concerned)} lines hold all of theirs")
        if references:
            found = score([made[place] for place in concerned], [references[place] for place in concerned], language)
            print(f"    their BLEU: {found.bleu:.2f}")
    others = set(range(len(lines))) - set(concerned)
    print(f"other lines: {sum(without[at].text == with_terms[at] for at in others)} of {len(others)} are the same")


def holds_terms(glossary: Glossary, line: str, translated: str) -> bool:
    """Whether the translation of a line holds the terms that are in the line."""
    wanted = (each.term.target or line[each.start : each.end] for each in glossary.find(line))
    return all(term.lower() in translated.lower() for term in wanted)


def score_names(
    translator: Translator, texts: TextTranslator, names: set[str], pairs: Sequence[tuple[str, str]], language: str
) -> None:
    """Print BLEU of lines in which a name that is in both texts became a placeholder."""
    word = re.compile(rf"\b({'|'.join(map(re.escape, sorted(names)))})\b(?!')")
    chosen = [pair for pair in pairs if all(len(word.findall(side)) == 1 for side in pair)]
    sources, targets = ([word.sub("{x}", pair[side]) for pair in chosen] for side in (0, 1))
    made = [result.text for result in texts.translate(translator, sources)]
    print(f"names as placeholders: {sum(text.count('{x}') == 1 for text in made)} of {len(made)} are there once")
    print(f"    BLEU: {score(made, targets, language).bleu:.2f}")


if __name__ == "__main__":
    main()
