"""The page and the service itself: that they speak the same language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage
from playwright.sync_api import expect
from service import Running

from nmt.server.app import Application
from nmt.server.options import Limits, ServeOptions
from nmt.server.registry import ModelOptions, Models

MODEL = Path(__file__).parents[1] / "data" / "model-v1-int8.nmt"  # from `en` to `tgt`, word by word


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    options = ServeOptions(log=False, threads=1, limits=Limits(characters=100))
    with Running(Application(Models([MODEL], ModelOptions(threads=1)), options)) as running:
        yield running.url


def test_texts(open_page: OpenPage, url: str) -> None:
    page = open_page(url=url)
    assert page.locator("#source option").all_inner_texts() == ["English"]
    expect(page.locator("#counter")).to_have_text("0 / 100")
    page.locator("#text").fill("red dog\n\nred жар dog")
    words = page.locator("#output .word")
    expect(words.first).to_be_visible()
    assert len(page.locator("#output").inner_text().split("\n")) == 3
    expect(page.locator("#note-list .tag").first).to_be_visible()  # no letters of the model
    words.first.hover()
    assert page.locator("#mirror .word.linked").count() >= 1
    expect(page.locator("#alternative-list button").first).to_be_visible()
    page.get_by_role("button", name="Glossary").click()
    page.get_by_label("Terms").fill("dog = Bello")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#output")).to_contain_text("Bello")


def test_documents(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    page = open_page(url=url)
    document = tmp_path / "notes.txt"
    document.write_text("red dog\n", encoding="utf-8")
    page.get_by_role("tab", name="Document").click()
    page.locator("#file").set_input_files(document)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download notes.tgt.txt").click()
    assert download.value.suggested_filename == "notes.tgt.txt"
    assert download.value.path().read_text(encoding="utf-8").strip()


def test_errors(open_page: OpenPage, url: str) -> None:
    page = open_page(url=url, may_fail=True)
    page.get_by_role("tab", name="Document").click()
    page.locator("#file").set_input_files([{"name": "a.exe", "mimeType": "", "buffer": b"MZ"}])
    expect(page.locator("#file-list .failed")).to_have_text("Invalid request: file format not supported")


def test_files_of_the_page(open_page: OpenPage, url: str) -> None:
    """They come with a policy that lets nothing else in, and are not sent twice."""
    request = open_page(url=url).context.request
    first = request.get(f"{url}page/main.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert "script-src 'self'" in first.headers["content-security-policy"]
    again = request.get(f"{url}page/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body()) == (304, b"")
    for path in ("page/index.html", "page/../app.py", "page/%2e%2e/app.py", "page/"):
        assert request.get(url + path).status == 404


def test_what_programs_read(open_page: OpenPage, url: str) -> None:
    page = open_page("docs", url=url)
    section = page.locator("section", has=page.get_by_role("heading", name="POST /translate", exact=True))
    expect(section.get_by_role("row", name="q text or list of text (needed)")).to_be_visible()
    expect(section.locator("pre")).to_have_text(f"curl -X POST {url}translate -d q=Hello -d source=en -d target=de")
    violations = Axe().run(page).response["violations"]
    assert violations == [], [each["id"] for each in violations]
