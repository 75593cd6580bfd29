"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import nmt
from nmt.process import count_threads
from nmt.server.answers import error_answer
from nmt.server.errors import Refused
from nmt.server.options import ServeOptions
from nmt.server.registry import Models
from nmt.server.routes import routes
from nmt.server.service import Service
from nmt.server.translating import Translating


def make_app(models: Models, options: ServeOptions) -> FastAPI:
    """Make the application.

    Args:
        models: What it serves; closed when it ends.
        options: How to serve.
    """
    started: list[Service] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        translating = Translating(models, count_threads(options.threads), options.limits.queue)
        app.state.service = Service(models, translating, options)
        started.append(app.state.service)
        try:
            yield
        finally:
            await asyncio.to_thread(translating.stop)
            models.close()

    app = FastAPI(
        title="nmt",
        version=nmt.__version__,
        lifespan=lifespan,
        openapi_url="/spec",
        docs_url=None,
        redoc_url=None,
        exception_handlers={Refused: _refused, HTTPException: _http_error, Exception: _defect},
    )
    app.include_router(routes(lambda: started[-1]))
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = error_answer(Refused(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _defect(request: Request, error: Exception) -> Response:
    return error_answer(Refused(500, f"Cannot translate text: {type(error).__name__}"))
