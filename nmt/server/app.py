"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import nmt
from nmt.process import count_threads
from nmt.server import file_routes, routes, text_routes
from nmt.server.admission import Admission
from nmt.server.answers import error_answer
from nmt.server.batching import BatchTold
from nmt.server.context import Context
from nmt.server.errors import Refused
from nmt.server.log import Log
from nmt.server.metrics import Metrics
from nmt.server.observing import Observing
from nmt.server.options import ServeOptions
from nmt.server.registry import Models
from nmt.server.service import Service
from nmt.server.shelter import Shelter
from nmt.server.static import page_routes
from nmt.server.translating import Translating

_COUNTED: Final = frozenset(
    (
        "/",
        "/detect",
        "/docs",
        "/frontend/settings",
        "/health",
        "/languages",
        "/metrics",
        "/spec",
        "/translate",
        "/translate_file",
    )
)
LOOK_AGAIN: Final = 5.0
"""Seconds after which it is looked whether files of models have changed."""


class Application(Observing):
    """The application.

    Args:
        models: What it serves; closed when it ends.
        options: How to serve.

    Raises:
        KeysError, OSError: The file of keys cannot be read.
    """

    def __init__(self, models: Models, options: ServeOptions) -> None:
        self._models, self._options = models, options
        self._admission = Admission(options.keys, options.keys_optional, options.limits.requests)
        self.log = Log(options.log)
        self.fastapi = FastAPI(
            title="nmt",
            version=nmt.__version__,
            lifespan=self._lifespan,
            openapi_url="/spec",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # to where a request's own headers say
            exception_handlers={Refused: _refused, HTTPException: _http_error, Exception: _defect},
        )
        for each in (routes, text_routes, file_routes):
            self.fastapi.include_router(each.router)
        if options.page:
            self.fastapi.include_router(page_routes())
        if options.origins:
            self.fastapi.add_middleware(
                CORSMiddleware,
                allow_origins=options.origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["Retry-After"],
                max_age=86_400,
            )
        super().__init__(self.fastapi if options.origins else self._answer, self.log, _COUNTED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; see ASGI."""
        if self._options.root_path:
            scope["root_path"] = self._options.root_path
        await super().__call__(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is asked most by itself: finding its route would take as long as all else of Python in it."""
        if scope["type"] != "http" or scope["path"] != "/translate" or scope["method"] != "POST":
            await self.fastapi(scope, receive, send)
            return
        scope["app"] = self.fastapi
        try:
            answer = await text_routes.translate(Request(scope, receive, send))
        except Refused as error:
            answer = error_answer(error)
        await answer(scope, receive, send)

    async def reload(self) -> None:
        """Look again at models and keys; requests go on meanwhile."""
        context: Context = self.fastapi.state.context
        problems = list(await context.service.reload())
        try:
            self._admission.reload()
        except (ValueError, OSError) as error:
            problems.append(str(error))
        self._tell_reloaded(problems)

    def _tell_reloaded(self, problems: Sequence[str]) -> None:
        self.log.say("reloaded", directions=len(self._models.directions()), problems=list(problems))

    async def _watch(self, service: Service) -> None:
        """Take models whose files have changed, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            problems = await service.refresh()
            if problems is not None:
                self._tell_reloaded(problems)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        options, limits = self._options, self._options.limits
        translating = Translating(self._models, count_threads(options.threads), limits.queue, self._batch)
        service = Service(self._models, translating, options)
        metrics = Metrics(
            lambda: translating.waiting,
            lambda: translating.requests,
            self._models.usage,
            lambda: [each.lines - each.done for each in [*service.documents]],
        )
        app.state.context = Context(options, service, self._admission, metrics, Shelter(limits.files, limits.kept))
        self.metrics = metrics
        self.log.say("started", version=nmt.__version__, directions=len(self._models.directions()))
        beside = [asyncio.ensure_future(self._watch(service))]
        if options.page:
            beside.append(asyncio.ensure_future(service.prepare()))  # which the page asks for soon
        try:
            with metrics.served_at(options.metrics_at):
                yield
        finally:
            for each in beside:
                each.cancel()
            await asyncio.to_thread(translating.stop)
            self._models.close()
            self.log.say("stopped")
            self.log.end()

    def _batch(self, told: BatchTold) -> None:
        if self.metrics is not None:
            self.metrics.batch(told)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = error_answer(Refused(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _defect(request: Request, error: Exception) -> Response:
    return error_answer(Refused(500, "The service failed; its log says where"))
