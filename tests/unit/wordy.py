"""A model that is no model: it translates word by word, and says which word came from which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nmt.decoding.translation import Candidate, Status, Translation


def wordy(line: str, words: Mapping[str, str] | None = None, order: Sequence[int] | None = None) -> Translation:
    """Translate a line.

    Args:
        line: The line.
        words: Translations of words, without their punctuation; empty for those that are left out, capitals for all
            others.
        order: The source words that the translation is made of, one after the other; None for all as they come.
    """
    source = line.split()
    if not source:
        return Translation("", Status.EMPTY, (), ())
    made = [(number, _made(source[number], words or {})) for number in (range(len(source)) if order is None else order)]
    said = [(number, word) for number, word in made if word]
    links = tuple(sorted((number, place) for place, (number, _) in enumerate(said)))
    text = " ".join(word for _, word in said)
    return Translation(text, Status.OK, (Candidate(text, -0.1, -0.1, links),), links)


def _made(word: str, words: Mapping[str, str]) -> str:
    core = word.strip('.,!?()"')
    translated = words.get(core, core.upper())
    return word.replace(core, translated) if translated else ""
