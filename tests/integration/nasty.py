"""Lines that break translators, made from a seed; what must become of each is known where it can be."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from synthetic import ADJECTIVES, NOUNS, TIMES, VERBS

TRANSLATED = frozenset({"ok", "retried", "doubtful", "unknown", "failed"})
SPLIT = TRANSLATED - {"ok"} | {"split"}
SENTENCES = TRANSLATED | SPLIT  # translated one by one, each of which may be too long
DAMAGED = frozenset({"damaged", "failed"})
EMPTY = frozenset({"empty"})
COPIED = frozenset({"copied"})
ANY = TRANSLATED | SPLIT | DAMAGED | EMPTY | COPIED

WORDS = sorted({word for table in (NOUNS, VERBS, ADJECTIVES, TIMES) for word in table})
SPACES = " \t\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000"
INVISIBLE = (
    "\0\x01\x07\x1b\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\u3164\ufe0f\u2800\U000e0041"
)
SYMBOLS = "☃★→←♥✓§¶†‡•‰←∑∞≠♪♫☎⚡…—«»¿¡\u00a9\u00ae\ufffd"
EMOJI = ("😀", "👩‍👩‍👧", "🏳️‍🌈", "🇩🇪", "👍🏽", "❤️", "🤷🏿‍♂️", "🧑‍🚀")
SCRIPTS = (
    "漢字仮名交じり文",
    "한국어문장",
    "русскийтекст",
    "ελληνικά",
    "ไทยภาษา",
    "हिन्दीपाठ",
    "עבריתטקסט",
    "العربيةنص",
    "𐍈𐍆𐌰",
    "ꦗꦮ",
)
BIDI = ("\u202e", "\u2067", "\u200f", "\u2069", "\u202c")
BREAKS = ("\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\x1d", "\x1e", "\r")


@dataclass(frozen=True)
class Nasty:
    """A line and what may be said of its translation."""

    raw: bytes
    """The line, without LF at its end."""
    statuses: frozenset[str]
    """One of these is right."""

    @property
    def text(self) -> str:
        """The line as a translator sees it."""
        return self.raw.decode("utf-8", errors="replace").rstrip("\r\n")


def make_lines(count: int, huge: int, seed: int) -> list[Nasty]:
    """Make `count` lines, `huge` of them of 10,000 words or of 50,000 bytes without a space."""
    generator = random.Random(seed)
    kinds = (sentence, sentence, empty, invisible, symbols, emoji, script, bidi, broken, surrounded, bad_utf8)
    kinds += (random_bytes, random_text, long_words, mixed, sentences)
    lines = [generator.choice(kinds)(generator) for _ in range(count - huge)]
    for number in range(huge):
        lines.insert(generator.randrange(len(lines)), (many_words, one_word, many_sentences)[number % 3](generator))
    return lines


def words(generator: random.Random, count: int) -> str:
    return " ".join(generator.choices(WORDS, k=count))


def sentence(generator: random.Random) -> Nasty:
    return of(words(generator, generator.randint(1, 8)).capitalize() + generator.choice(".!?"), TRANSLATED)


def empty(generator: random.Random) -> Nasty:
    return of("".join(generator.choices(SPACES, k=generator.choice([0, 0, 1, 3, 40]))), EMPTY)


def invisible(generator: random.Random) -> Nasty:
    return of("".join(generator.choices(SPACES + INVISIBLE, k=generator.randint(1, 20))), EMPTY)


def symbols(generator: random.Random) -> Nasty:
    return of("".join(generator.choices(SYMBOLS + " ", k=generator.randint(1, 30))) + "☃", COPIED)


def emoji(generator: random.Random) -> Nasty:
    return of(generator.choice(["", " ", "\u2028"]).join(generator.choices(EMOJI, k=generator.randint(1, 9))), COPIED)


def script(generator: random.Random) -> Nasty:
    return of(generator.choice(["", " "]).join(generator.choices(SCRIPTS, k=generator.choice([1, 2, 5, 50]))), COPIED)


def bidi(generator: random.Random) -> Nasty:
    marks = generator.choices(BIDI, k=3)
    return of(f"{marks[0]}{words(generator, 3)}{marks[1]} עברית {marks[2]}{words(generator, 2)}.", TRANSLATED)


def broken(generator: random.Random) -> Nasty:
    return of(generator.choice(BREAKS).join(words(generator, 2) for _ in range(generator.randint(2, 4))), TRANSLATED)


def surrounded(generator: random.Random) -> Nasty:
    space = "".join(generator.choices(SPACES, k=5))
    return of(f"{space}{words(generator, 4)}{space}\0{space}", TRANSLATED)


def bad_utf8(generator: random.Random) -> Nasty:
    bad = generator.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80", b"\xfe\xff"])
    return Nasty(words(generator, 3).encode() + bad + words(generator, 2).encode() + b" " + bad, DAMAGED)


def random_bytes(generator: random.Random) -> Nasty:
    return Nasty(generator.randbytes(generator.randint(1, 60)).replace(b"\n", b"\0"), ANY)


def random_text(generator: random.Random) -> Nasty:
    points = (generator.choice([0x7F, 0x7FF, 0xFFFF, 0x10FFFF]) for _ in range(generator.randint(1, 40)))
    return of("".join(chr(generator.randint(1, top)) for top in points), ANY)


def long_words(generator: random.Random) -> Nasty:
    return of(words(generator, generator.randint(1, 30)).replace(" ", ""), ANY)


def mixed(generator: random.Random) -> Nasty:
    kinds: tuple[Callable[[random.Random], Nasty], ...] = (sentence, symbols, emoji, script, bidi, bad_utf8)
    parts = [sentence(generator), *(kind(generator) for kind in generator.choices(kinds, k=2))]
    generator.shuffle(parts)
    return Nasty(generator.choice([b"", b" ", b"\t"]).join(part.raw for part in parts), ANY - EMPTY - COPIED)


def sentences(generator: random.Random) -> Nasty:
    parts = [words(generator, generator.randint(2, 8)).capitalize() + "." for _ in range(generator.randint(40, 45))]
    return (
        of(generator.choice([" ", "  ", "\t"]).join(parts), SENTENCES)
        if generator.random() < 0.1
        else sentence(generator)
    )


def many_words(generator: random.Random) -> Nasty:
    return of(words(generator, 10_000), SPLIT)


def one_word(generator: random.Random) -> Nasty:
    return of("".join(generator.choices("".join(WORDS), k=50_000)), SPLIT)


def many_sentences(generator: random.Random) -> Nasty:
    return of(" ".join(words(generator, 8).capitalize() + "." for _ in range(1_000)), SENTENCES)


def of(text: str, statuses: frozenset[str]) -> Nasty:
    raw = text.replace("\n", " ").encode("utf-8", errors="surrogatepass")
    return Nasty(raw, statuses)
