"""What LibreTranslate's clients rely on: every route, its shapes and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served import MODEL, Served, served

import nmt


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as it:
        yield it


@pytest.fixture(scope="module")
def translator() -> nmt.Translator:
    return nmt.Translator.load(MODEL, threads=1)


def test_health_and_languages(service: Served) -> None:
    assert service.ask("GET", "/health").json() == {"status": "ok"}
    assert service.ask("POST", "/languages", data={}).json() == service.ask("GET", "/languages").json()
    assert service.ask("GET", "/languages").json() == [
        {"code": "en", "name": "English", "targets": ["en", "tgt"]},
        {"code": "tgt", "name": "tgt", "targets": ["tgt"]},
    ]


ASKED = {"q": "red dog", "source": "en", "target": "tgt"}


@pytest.mark.parametrize(
    "how",
    [
        {"method": "POST", "json": ASKED},
        {"method": "POST", "json": {**ASKED, "format": "text", "alternatives": 0, "api_key": ""}},
        {"method": "POST", "data": ASKED},
        {"method": "POST", "content": "q=red+dog&source=en&target=tgt"},
        {"method": "POST", "files": {name: (None, value) for name, value in ASKED.items()}},
        {"method": "POST", "params": ASKED},
        {"method": "GET", "params": ASKED},
    ],
)
def test_ways_to_ask(service: Served, translator: nmt.Translator, how: dict[str, Any]) -> None:
    answer = service.ask(url := how["method"], "/translate", **{key: how[key] for key in how if key != "method"})
    assert answer.status_code == 200, (url, answer.text)
    assert answer.json() == {"translatedText": translator.translate(["red dog"])[0]}
    assert answer.headers["content-type"] == "application/json"


def test_texts_are_what_the_command_makes_of_their_lines(service: Served, translator: nmt.Translator) -> None:
    texts = ["red dog", "", "the small cat.\n\none two three\r\n", "  \n"]
    one, three, two = translator.translate(["red dog", "one two three", "the small cat."])
    assert service.translate(texts).json() == {"translatedText": [one, "", f"{two}\n\n{three}\r\n", "  \n"]}
    assert service.translate("red dog", target="en").json() == {"translatedText": "red dog"}
    assert service.translate("red dog", source="en-GB", target="TGT").json() == {"translatedText": one}


def test_alternatives(service: Served) -> None:
    answer = service.translate(["red dog", ""], alternatives=3).json()
    first, nothing = answer["alternatives"]
    assert 1 <= len(first) <= 3
    assert nothing == []
    assert answer["translatedText"][0] not in first
    assert service.translate("red dog", alternatives="3").json()["alternatives"] == first


REFUSED = [
    ({"json": {**ASKED, "q": ""}}, 400, "Invalid request: missing q parameter"),
    ({"json": {**ASKED, "q": []}}, 400, "Invalid request: missing q parameter"),
    ({"json": {**ASKED, "q": None}}, 400, "Invalid request: missing q parameter"),
    ({"json": {**ASKED, "q": 3}}, 400, "Invalid request: expected a text or a list of texts as q, got a number"),
    ({"json": {**ASKED, "q": ["a", {}]}}, 400, "Invalid request: expected a list of texts as q, got an object in it"),
    ({"json": {**ASKED, "source": ""}}, 400, "Invalid request: missing source parameter"),
    ({"json": {**ASKED, "source": ["en"]}}, 400, "Invalid request: expected a text as source, got a list"),
    ({"json": {"q": "a", "source": "en"}}, 400, "Invalid request: missing target parameter"),
    ({"json": {**ASKED, "target": "xx"}}, 400, "xx is not supported"),
    ({"json": {**ASKED, "target": "../tgt"}}, 400, "../tgt is not supported"),
    (
        {"json": {**ASKED, "source": "tgt", "target": "en"}},
        400,
        "English (en) is not available as a target language from tgt (tgt)",
    ),
    ({"json": {**ASKED, "format": "pdf"}}, 400, "pdf format is not supported"),
    (
        {"json": {**ASKED, "alternatives": -1}},
        400,
        "Invalid request: expected a whole number from 0 as alternatives, got a number",
    ),
    ({"json": {**ASKED, "q": "a" * 20_001}}, 400, "Invalid request: request (20001) exceeds text limit (20000)"),
    ({"json": {**ASKED, "q": ["a"] * 1001}}, 400, "Invalid request: request (1001) exceeds text limit (1000)"),
    ({"json": [ASKED]}, 400, "Invalid JSON format: expected an object, got a list"),
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "Invalid JSON format: "),
    ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "Invalid JSON format: "),
    ({"content": b'{"q":"\xff"}', "headers": {"content-type": "application/json"}}, 400, "Invalid JSON format: "),
    ({"content": b'{"q":"\\ud800"}', "headers": {"content-type": "application/json"}}, 400, "Invalid JSON format: "),
    ({"content": b"q=%ff"}, 400, "Invalid request: expected at most 100 fields in UTF-8, URL-encoded"),
    ({"content": b"&".join([b"q=a"] * 101)}, 400, "Invalid request: expected at most 100 fields in UTF-8, URL-encoded"),
    ({"content": b"q=a", "headers": {"content-type": "text/xml"}}, 415, "Invalid request: expected application/json, "),
    ({"content": b"q" * 1_000_001}, 413, "Invalid request: expected at most 1,000,000 bytes"),
    ({"content": b"", "headers": {"content-length": "-1"}}, 413, "Invalid request: expected at most 1,000,000 bytes"),
    ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "Invalid request: not a form"),
    (
        {"content": b"--x\r\n\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "Invalid request: not a form",
    ),
]


@pytest.mark.parametrize(("how", "status", "message"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_is_refused(service: Served, how: dict[str, Any], status: int, message: str) -> None:
    answer = service.ask("POST", "/translate", **how)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(message), answer.text


def test_other_paths_and_methods(service: Served) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/health", 405), ("GET", "/..%2f/etc", 404)):
        answer = service.ask(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
