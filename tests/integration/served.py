"""A service in this process, asked as clients do but without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from nmt.server.app import Application
from nmt.server.options import ServeOptions
from nmt.server.registry import ModelOptions, Models

MODEL = Path(__file__).parents[1] / "data" / "model-v1-int8.nmt"
"""From `en` to `tgt`; translates words to words."""

T = TypeVar("T")


class Served:
    """A service that is there."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient, app: Application) -> None:
        self._runner, self.client, self.app = runner, client, app

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something in the service's loop."""
        return self._runner.run(work)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Ask something, and wait for the answer."""
        return self.run(self.client.request(method, path, **how))

    def translate(self, q: Any, **more: Any) -> httpx.Response:
        """POST /translate, as JSON."""
        return self.ask("POST", "/translate", json={"q": q, "source": "en", "target": "tgt", **more})

    def together(self, *requests: dict[str, Any]) -> list[httpx.Response]:
        """Ask several things at the same time: arguments of `httpx.AsyncClient.request`."""

        async def gather() -> list[httpx.Response]:
            return await asyncio.gather(*(self.client.request(**each) for each in requests))

        return self.run(gather())


@contextmanager
def served(
    options: ServeOptions = ServeOptions(log=False),  # noqa: B008
    *places: Path,
    models: Models | None = None,
) -> Iterator[Served]:
    """Begin a service, and end it."""
    app = Application(models or Models(places or [MODEL], ModelOptions(threads=1)), options)
    lifespan = app.fastapi.router.lifespan_context(app.fastapi)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with asyncio.Runner() as runner:
        runner.run(lifespan.__aenter__())
        try:
            yield Served(runner, httpx.AsyncClient(transport=transport, base_url="http://service"), app)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))
