"""A browser, the page in it, and the service behind it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from service import Running, Service

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium, or the one that Playwright has installed."""
    found = os.environ.get("NMT_BROWSER") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield started
        started.close()


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Service, str]]:
    service = Service()
    with Running(service.app) as app:
        yield service, app.url


@pytest.fixture
def service(running: tuple[Service, str]) -> Service:
    running[0].reset()
    return running[0]


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, running: tuple[Service, str]) -> Iterator[OpenPage]:
    """Open the page, with a context's options; it may log no error, and ask nobody but its service."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_in(query: str = "", *, url: str = running[1], may_fail: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(5_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(url) else wrong.append(request.url))
        if not may_fail:
            page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
        page.goto(url + query)
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def page(service: Service, open_page: OpenPage) -> Page:
    return open_page()
