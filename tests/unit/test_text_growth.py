"""What is done for a text grows with its length, and no faster, whatever stands in it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from wordy import wordy

import nmt.text
from nmt.text import placing, tokens
from nmt.text.glossary import LONGEST, Glossary, GlossaryError, Term
from nmt.text.translating import TextTranslator

FOLDER = str(Path(nmt.text.__file__).parent)
TEXTS = TextTranslator("en", "de")
GLOSSARY = Glossary(
    [Term("dog", "Hund"), Term("red cat", "rote Katze"), Term("Acme"), *(Term(f"{'a ' * 9}{n}", "b") for n in range(9))]
)
PLAIN = ("the man ", "dog ", "a red cat ", "Acme ", "a ", "{x} ", "a{x}b", "5 kg ", "http://a.b) ")
MARKED = ("<0>a</0> ", "<0>a ", "<0>a </1>", "a.b ")
HTML = (
    "<b>a</b> ",
    "<b>a ",
    "<b>a<i>b</b>c</i> ",
    "a</b> ",
    "a<br>b ",
    "a<code>x</code>b ",
    "<p>a",
    "<li><b>a",
    "a<img> ",
)


def steps(work: Callable[[], object]) -> int:
    """Count the instructions of Python that the code of `nmt.text` takes for some work."""
    count = 0

    def traced(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "call" and not frame.f_code.co_filename.startswith(FOLDER):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def translate(text: str, format: str, glossary: Glossary | None) -> None:
    """Translate a text by words, in another order, and without what its terms and stand-ins become."""
    job = TEXTS.begin([text], format, 0, glossary)
    found = []
    for line in job.lines:
        order = list(range(len(line.split())))
        random.Random(1).shuffle(order)
        found.append(wordy(line, {"dog": "", "John": "", "cat": "Katze"}, order))
    job.finish(found)


@pytest.mark.parametrize(
    ("unit", "format"), [(each, "text") for each in PLAIN + MARKED] + [(each, "html") for each in HTML]
)
def test_four_times_the_text_takes_four_times_the_steps(
    unit: str, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_AROUND", 5)  # what a place is looked for in, which is as good as all of a small text
    monkeypatch.setattr(placing, "_FAR", 5)
    glossary = None if unit in MARKED else GLOSSARY
    small, large = (steps(lambda count=count: translate(unit * count, format, glossary)) for count in (40, 160))
    assert large < 5 * small


def test_terms_are_no_sentences() -> None:
    Glossary([Term("a " * LONGEST, "b")])
    with pytest.raises(GlossaryError, match=r"expected at most 50 words in a term, got 51: a a"):
        Glossary.parse(b"a " * (LONGEST + 1) + b"\tb")
