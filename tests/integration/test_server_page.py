"""The files of the web page, without a browser: `tests/browser.sh` has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, served

import nmt.server
from nmt.server.options import ServeOptions

FILES = sorted((Path(nmt.server.__file__).parent / "page").iterdir())


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as it:
        yield it


def path_of(file: Path) -> str:
    return {"index.html": "/", "api.html": "/docs"}.get(file.name, f"/page/{file.name}")


def test_files_are_sent_once(service: Served) -> None:
    for file in FILES:
        first = service.ask("GET", path_of(file))
        assert (first.status_code, first.content) == (200, file.read_bytes()), file
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in first.headers["content-security-policy"]
        assert first.headers["x-content-type-options"] == "nosniff"
        for etag in (first.headers["etag"], f"W/{first.headers['etag']}"):
            again = service.ask("GET", path_of(file), headers={"if-none-match": etag})
            assert (again.status_code, again.content) == (304, b"")


def test_all_that_a_file_names_is_there(service: Served) -> None:
    """And none names another host, or holds what the policy forbids."""
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        names = re.findall(r'(?:src|href)="(?!spec")([^"]+)"', text)
        names += [f"page/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
        assert all(service.ask("GET", f"/{name}").status_code == 200 for name in names), (file, names)
        assert re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)\w+\.\w+", text) == [], file
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script>|javascript:|innerHTML|\beval\b", text), file


@pytest.mark.parametrize(
    "path", ["/page/", "/page/index.html", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/x.js"]
)
def test_nothing_else_is_sent(service: Served, path: str) -> None:
    assert service.ask("GET", path).status_code == 404


def test_a_service_without_a_page() -> None:
    with served(ServeOptions(log=False, page=False)) as service:
        assert service.ask("GET", "/").status_code == 404
