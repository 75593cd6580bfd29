"""Which language a text is in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from py3langid.langid import LanguageIdentifier

from nmt.extras import MissingError
from nmt.server.detection import Detector


@pytest.fixture(scope="module", autouse=True)
def whole() -> Iterator[None]:
    """py3langid's model is read once: that takes a second."""
    read = cache(LanguageIdentifier.from_model_file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LanguageIdentifier, "from_model_file", read)
        yield


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(["en", "de", "fr", "pt-BR", "pt", "nb", "zh_Hant", "ja", "xx"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the station?", "en"),
        ("Wo ist der Bahnhof?", "de"),
        ("Où est la gare, s'il vous plaît ?", "fr"),
        ("Onde fica a estação de trem?", "pt-BR"),
        ("Jeg vet ikke hvor stasjonen er.", "nb"),
        ("駅はどこですか。", "ja"),
        ("請問火車站在哪裡?", "zh_Hant"),
        ("WO IST DER BAHNHOF?", "de"),
        ("Wo ist \ud800 der \0 Bahnhof?", "de"),
        ("https://example.com/where-is-the-station Wo ist er?", "de"),
        ("Das steht am Anfang. " * 120 + "And this is beyond what is looked at. " * 1000, "de"),
    ],
)
def test_languages_of_texts(detector: Detector, text: str, language: str) -> None:
    found = detector.detect(text)
    assert found[0][0] == language
    assert sorted(code for code, _ in found) == ["de", "en", "fr", "ja", "nb", "pt", "pt-BR", "zh_Hant"]
    assert sum(sure for _, sure in found) == pytest.approx(1, abs=1e-5)
    assert [sure for _, sure in found] == sorted((sure for _, sure in found), reverse=True)


@pytest.mark.parametrize("text", ["", " \n", "123, 45!", "👍", "https://example.com/", "someone@example.com"])
def test_what_says_nothing_is_in_no_language(detector: Detector, text: str) -> None:
    assert detector.detect(text) == []


def test_it_is_read_once_and_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    assert Detector(["de"]).detect("Where is it?") == [("de", 1.0)]
    assert Detector([]).languages == ()
    lazy = Detector(["de", "en", "de"])
    assert lazy.detect("...") == []
    with pytest.raises(MissingError, match=r"nmt-rnn\[serve\]"):
        lazy.detect("Where is it?")
    monkeypatch.undo()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lazy.detect, ["Where is it?", "Wo ist es denn?"] * 8))
    assert [each[0][0] for each in found] == ["en", "de"] * 8
    assert lazy.prepare() is lazy.prepare()


def test_languages_that_nobody_knows() -> None:
    assert Detector(["xx", "yy"]).detect("Where is it?") == []
