"""What stands around the application: every request is counted, logged and answered, whatever happens."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.server.answers import error_answer
from nmt.server.errors import Refused
from nmt.server.log import Log
from nmt.server.metrics import Metrics

TOLD: Final = "nmt.told"
"""Key of a request's scope: numbers that are logged with it, by name."""

_NO_ROUTE: Final = "other"


class Observing:
    """The application, observed.

    Args:
        app: The application.
        log: Is told of every request.
        routes: Paths that are told by their names; all others are told as one.
    """

    def __init__(self, app: ASGIApp, log: Log, routes: frozenset[str]) -> None:
        self._app, self.log, self._routes = app, log, routes
        self.metrics: Metrics | None = None
        """Is told, too, once it is there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:
            self.log.defect(error)
            if not status:
                await error_answer(Refused(500, "The service failed; its log says where"))(scope, receive, told)
        finally:
            seconds = perf_counter() - start
            path = scope["path"]
            route = path if path in self._routes else _NO_ROUTE
            if self.metrics is not None:
                self.metrics.answered(route, status, seconds)
            more = scope.get(TOLD, {})
            milliseconds = round(1000 * seconds, 2)
            self.log.say("request", route=route, method=scope["method"], status=status, ms=milliseconds, **more)
