"""What a translator can be asked for beside the best translation: its beginning, its length, translations by chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.config import DecodingConfig
from nmt.decoding import pieces
from nmt.decoding.hypotheses import Hypothesis, Sampling, SearchError, SearchOptions
from nmt.decoding.searching import Searcher
from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.decoding.translator import Translator

FOLDER = Path(__file__).parents[1] / "data" / "model-v1"
LINES = ["The old dog sees the small cat.", "A man sleeps. The red cat sees a house.", "", "☃", "one two three"]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(FOLDER, threads=1)


def texts(found: Sequence[Translation]) -> list[list[str]]:
    return [[each.text for each in line.hypotheses] for line in found]


def beginnings(translator: Translator) -> list[str]:
    """Of each line what it does not begin with of itself."""
    return [" ".join(reversed(text.split()[:2])) for text in translator.translate(LINES)]


@pytest.mark.parametrize("search", ["native", "reference"])
def test_a_translation_begins_with_its_prefix(translator: Translator, search: str) -> None:
    asked = Translator.load(FOLDER, threads=1, search=search)
    prefixes = beginnings(translator)
    settings = TranslationSettings(n_best=2, beam_size=3, alignments=True)
    found = asked.translate_detailed(LINES, settings, prefixes=prefixes)
    readable = [number for number, line in enumerate(found) if line.hypotheses]
    assert readable == [0, 1, 4]
    for number in readable:
        assert all(each.text.startswith(prefixes[number]) for each in found[number].hypotheses)
        assert not translator.translate(LINES)[number].startswith(prefixes[number])
    assert [found[number].text for number in (2, 3)] == ["", "☃"]


def test_lines_without_a_prefix_are_what_they_are_without_others(translator: Translator) -> None:
    found = translator.translate_detailed(LINES * 2, prefixes=[*beginnings(translator), *[""] * len(LINES)])
    assert found[len(LINES) :] == translator.translate_detailed(LINES)


def test_a_prefix_is_for_the_whole_line_or_the_first_piece(translator: Translator) -> None:
    """Not for the first of its sentences."""
    line = "A man sleeps. The red cat sees a house."
    whole = translator.translate_detailed([line], TranslationSettings(sentences=False), prefixes=[""])
    assert whole == translator.translate_detailed([line], TranslationSettings(sentences=False))
    [text] = translator.translate([line])
    first = text.split()[0]
    found, expected = (
        translator.translate_detailed([line], TranslationSettings(sentences=sentences), prefixes=[first])
        for sentences in (True, False)
    )
    assert found == expected
    assert found[0].text.startswith(first)
    long = " ".join(["The old dog sees the small cat."] * 60)
    [cut] = translator.translate_detailed([long], TranslationSettings(sentences=False), prefixes=[first])
    assert cut.status is not Status.OK
    assert cut.text.startswith(first)


def test_a_least_length(translator: Translator) -> None:
    shortest = [len(translator.target_subwords.encode(text)) for text in translator.translate(LINES)]
    least = max(shortest) + 3
    found = translator.translate_detailed(LINES, TranslationSettings(min_length=least, retry=False))
    for line in found:
        for each in line.hypotheses:
            assert len(translator.target_subwords.encode(each.text)) >= least - 1  # subwords may be joined anew


def test_a_greatest_length_and_nothing_twice(translator: Translator) -> None:
    """Of each sentence; a prefix that is longer stays, and nothing follows it."""
    line = ["red dog sees old cat"]
    [whole] = translator.translate(line)
    size = len(translator.target_subwords.encode(whole))
    for most, expected in ((size, True), (size - 1, False)):
        settings = TranslationSettings(max_length=most, retry=False)
        assert (translator.translate_detailed(line, settings)[0].text == whole) == expected
    [begun] = translator.translate_detailed(line, TranslationSettings(max_length=3), prefixes=["ka ti lo nu"])
    assert begun.text == "ka ti lo nu"
    assert len(translator.target_subwords.encode("ka ti lo nu")) > 3
    [once] = translator.translate_detailed(["sun " * 40], TranslationSettings(no_repeat_ngram=1))
    [often] = translator.translate_detailed(["sun " * 40], TranslationSettings())
    ids = translator.target_subwords.encode(once.text)
    assert len(set(ids)) == len(ids) < len(translator.target_subwords.encode(often.text))


def test_words_have_one_space_between_them(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a subword is a space, and the next brings its own."""
    monkeypatch.setattr(
        type(translator.target_subwords), "decode_lines", lambda self, lines: ["  nu  mi   pe "] * len(lines)
    )
    assert translator.translate(["red dog"]) == ["nu mi pe"]


@pytest.mark.parametrize(("ngram", "again"), [(0, 4), (2, 2), (7, 4)])
def test_the_second_search_repeats_no_more_than_the_first(ngram: int, again: int) -> None:
    asked = []

    class InALoop:
        vocabulary_sizes = (30, 30)

        def search(self, sources: object, limits: object, options: SearchOptions, *rest: object) -> object:
            asked.append(options.no_repeat_ngram)
            return [[Hypothesis((7,) * 12, -1.0, -0.1)]]

    searcher = Searcher(InALoop(), DecodingConfig())  # type: ignore[arg-type]
    searcher.search_checked([[5, 6]], SearchOptions(no_repeat_ngram=ngram), 1)
    assert asked == [ngram, again]


def test_what_is_drawn(translator: Translator) -> None:
    """The same for the same seed, whatever is beside it; the first of many is the one that comes alone."""
    settings = TranslationSettings(n_best=5, sampling=Sampling(temperature=4.0, seed=3))
    found = translator.translate_detailed(LINES, settings)
    assert [len(each) for each in texts(found)] == [5, 5, 0, 0, 5]
    assert len(set(texts(found)[0])) > 1
    assert [translator.translate_detailed([line], settings)[0] for line in LINES] == found
    one = TranslationSettings(n_best=1, sampling=Sampling(temperature=4.0, seed=3), batch_size=2)
    assert texts(translator.translate_detailed(LINES, one)) == [each[:1] for each in texts(found)]
    other = TranslationSettings(n_best=5, sampling=Sampling(temperature=4.0, seed=4))
    assert texts(translator.translate_detailed(LINES, other)) != texts(found)


def test_what_is_drawn_is_looked_at_only_if_asked_for(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(pieces.Searcher, "search_checked", lambda self, *rest: asked.append(rest) or [])
    sampling = Sampling()
    translator.translate_detailed(LINES, TranslationSettings(sampling=sampling))
    assert not asked
    with pytest.raises(ValueError, match="zip"):
        translator.translate_detailed(LINES, TranslationSettings(sampling=sampling, retry=True))
    assert asked


def test_links_do_not_depend_on_how_much_attention_is_held(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TranslationSettings(n_best=2, alignments=True)
    expected = translator.translate_detailed(LINES, settings)
    assert all(line.alignment for line in expected if line.hypotheses)
    monkeypatch.setattr(pieces, "_WEIGHTS", 1)  # a piece at a time
    assert translator.translate_detailed(LINES, settings) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_length": -1}, "min_length: expected a whole number from 0"),
        ({"max_length": 0}, "max_length: expected a whole number from 1"),
        ({"min_length": 5, "max_length": 4}, "min_length: expected at most max_length, 4, got 5"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram: expected a whole number from 0"),
        ({"sampling": Sampling(temperature=0.0)}, "temperature: expected a number from 0.01"),
        ({"sampling": Sampling(top_p=1.5)}, "top_p"),
        ({"sampling": Sampling(seed=-1)}, "seed"),
        ({"sampling": Sampling(), "beam_size": 4, "n_best": 2}, "beam_size: expected n_best when sampling, 2, got 4"),
    ],
)
def test_settings_out_of_bounds(translator: Translator, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        translator.translate_detailed(LINES, TranslationSettings(**settings))  # type: ignore[arg-type]


def test_prefixes_that_are_none(translator: Translator) -> None:
    with pytest.raises(SearchError, match="prefixes: expected one for each of 5 lines, got 1"):
        translator.translate_detailed(LINES, prefixes=["Der"])
    with pytest.raises(TypeError, match=r"prefixes\[1\]: expected str"):
        translator.translate_detailed(LINES[:2], prefixes=["Der", None])  # type: ignore[list-item]


def test_the_reference_draws_the_same(translator: Translator) -> None:
    settings = TranslationSettings(n_best=3, sampling=Sampling(3.0, 12, 0.97, 5), alignments=True)
    plain = Translator.load(FOLDER, threads=1, search="reference")
    for prefixes in (None, beginnings(translator)):
        found, expected = (each.translate_detailed(LINES, settings, prefixes=prefixes) for each in (plain, translator))
        assert texts(found) == texts(expected)
        assert [each.alignment for each in found] == [each.alignment for each in expected]
