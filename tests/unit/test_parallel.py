"""Sentences of two texts that belong together."""

from __future__ import annotations

import pytest

from nmt.data.preparation.parallel import parallel_sentences


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Er kam am 3. Mai. |Wo war sie?", "He came on May 3rd. |Where was she?"),
        ("Es kostet 1.234,50 Euro. |Wir haben 7.", "It costs 1,234.50 euros. |We have seven."),
        ("今日は三時に行く。|明日は？", "I am going at three today. |What about tomorrow?"),
        ("»Ja.« |Gut!", "“Yes.” |All right."),
    ],
)
def test_what_agrees_is_cut(source: str, target: str) -> None:
    expected = list(zip(source.split("|"), target.split("|"), strict=True))
    assert parallel_sentences(source.replace("|", ""), target.replace("|", "")) == expected


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Ein Satz allein.", "A sentence alone."),
        ("Eins. Zwei.", "One and two."),
        # as many sentences, of which no two belong together
        (
            "Er ging, weil es regnete und schon spät war. Sie blieb.",
            "He went. It rained and it was late, but she stayed.",
        ),
        ("Ist er da? Ja, er ist da.", "Yes, he is here. Is he here?"),
        ("Wir waren 12 Leute. Es gab 30 Stühle.", "There were 30 chairs. We were 12 people."),
        ("Es kam 5 mal. Es ging 5 mal, 6 mal.", "It came 5 times and 6 times. It left 5 times."),
    ],
)
def test_what_does_not_is_left_whole(source: str, target: str) -> None:
    assert parallel_sentences(source, target) == []
