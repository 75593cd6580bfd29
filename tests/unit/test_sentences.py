"""Where sentences end."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.sentences import split_sentences


@pytest.mark.parametrize(
    "text",
    [
        "One two. |Three four! |Five?",
        "Er ging… |Sie kam.",
        "He said: “Go!” |Then he left.",
        "(It rained.) |«Il pleut.» |„Es regnet.“ |Aha.",
        "¿Qué? |¡Hola! |Bien.",
        "今日は。|明日は？|「行く！」|昨日",
        "「行く。」と言った。|はい。",
        "３．５倍です。|終わり",
        "هل ذهبت؟ |نعم۔ |لا.",
        "वह गया। |वह आया॥ |हाँ",
        "Նա եկավ։ |Նա գնաց։",
        "ሰላም። |እንዴት ነህ፧ |ደህና",
        # No ends:
        "Dr. Smith met J. R. Smith, Mr. Jones and Prof. Weiß.",
        "am 3. 4. 2001 oder am 3. oder so",
        "See No. 5, pp. 7 and e.g. this, version 3.5 or www.example.org.",
        "“Go!” he said.",
        "Wait... what?",
        "no end",
        # Not everything after a number or a short word is an abbreviation:
        "It was in 1990. |He left. |She came at 7. |Then no. |Then",
        # Abbreviations, ordinals, initials, decimals, items:
        "Er kam am 3. Mai, nicht am 19. Jänner. |Der 2. Weltkrieg begann am 1. September.",
        "Nach § 3 Abs. 2 bzw. Art. 5 GG. |Das gilt z. B. Montags, d.h. Werktags, vgl. Anm. Müller.",
        "Die Fa. Meier usw. Haben wir etc. |Wir gehen. |Es kostet ca. Drei Mio. Euro.",
        "Ludwig XIV. König von Frankreich und Karl V. |Die Zeit.",
        "J. S. Bach and Mrs. Smith of St. Louis, the U.S. Senate, at 5 p.m. |She left.",
        "Prof. Dr. med. Weiß wohnt in der Hauptstr. 5. |Er ist Arzt.",
        "А. С. Пушкин и Т. Г. Шевченко. |С ним я знаком.",
        "1. Die Katze schläft. |2. Der Hund wacht.",
        "A) Yes. |B) No.",
        "☃! |The dog? |☃!",
        "Sie sagte... Nichts. |Er ging. |Peter kam.",
        "“Why?” Tom asked. |“Go!” |“I will.” |He went.",
        "M. Dupont, p. ex. Jean, est né le 3 mai. |Il pleut. |Mme Curie (v. p. 3. Voir) est là.",
        "El Sr. García y la Dra. López. |Vive en EE. UU. |Es así, pág. 3.",
        "Sejdeme se 3. května, tj. Zítra, např. V Praze. |Kde je č. 5?",
        "Это г. Москва, ул. Ленина, т. е. Центр. |Он здесь.",
        "डॉ. सिंह आए। |वे गए।",
        "قال د. أحمد ذلك. |ثم ذهب.",
        "彼は「行く。でも来ない。」と言った。|（注意！ここ。）|終わり。|はい。",
        "http://example.org/a.b?c=D. |See v1.2. |Costs 3.50 or .5, 1.000.000!",
        "He said (it was late. Very late) that. |Then (unclosed. |Then more.",
        "Tom loves Mary. |Mary loves art. |Now what? |Nothing!",
        "Die 9.200. Besucherin kam am 1.10.1999. |Sie blieb . . . lange . |Danach ging sie . , .",
        "Whitespace.\t |Stays.\u00a0|Where it is. ",
    ],
)
def test_ends(text: str) -> None:
    assert "|".join(split_sentences(text.replace("|", ""))) == text


def test_nothing_is_no_sentence() -> None:
    assert split_sentences("") == []
    assert split_sentences(" ") == [" "]


@given(st.text(alphabet="aB3 .!?…。」\"'(]\t؟।\u3000と", max_size=80) | st.text(max_size=80))
def test_the_parts_joined_are_the_text(text: str) -> None:
    parts = split_sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@pytest.mark.parametrize(
    "unit", [".", ". ", "A. ", "a.) ", '"', " ", "x", "。」", "1. 2", "(", "（a. B", "a. (B) ", "Ab. (", "«»"]
)
def test_time_is_linear(unit: str) -> None:
    start = time.process_time()
    split_sentences(unit * (300_000 // len(unit)))
    assert time.process_time() - start < 5
