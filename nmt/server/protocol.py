"""HTTP as uvicorn speaks it, with bounds for clients that are slow, silent, too many or too wordy."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nmt.server.options import Limits

GONE: Final = "nmt.gone"
"""Key of a request's scope: a function that is called when its client leaves before the answer."""

_HEADERS: Final = 65_536  # bytes before a request's body
_BUSY: Final = b'{"error":"Too many connections: try again in a moment"}'
_WORDY: Final = b'{"error":"Invalid request: expected at most 65,536 bytes of headers"}'


def protocol_with(limits: Limits) -> type[HttpToolsProtocol]:
    """Make the class of connections with some limits."""

    class Protocol(BoundedProtocol):
        bounds = limits

    return Protocol


class BoundedProtocol(HttpToolsProtocol):
    """A connection; arguments are uvicorn's."""

    bounds = Limits()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_headers, self._size = True, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; see `asyncio.Protocol`, as for the others."""
        super().connection_made(transport)
        self._wait_for_headers()
        if len(self.connections) > self.bounds.connections:
            self._end(503, b"Service Unavailable", _BUSY, b"retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and tell the request that is under way."""
        self._headers_are_there()
        self.resume_writing()
        super().connection_lost(exc)
        if self.cycle is not None and not self.cycle.response_complete:
            gone = self.cycle.scope.get(GONE)
            if callable(gone):
                gone()

    def data_received(self, data: bytes) -> None:
        """Take some of a request."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_headers()
        super().data_received(data)
        if self._in_headers:
            self._size += len(data)
            if self._size > _HEADERS and not self.transport.is_closing():
                self._end(431, b"Request Header Fields Too Large", _WORDY)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_headers, self._size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._headers_are_there()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client takes nothing for now."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.bounds.slow, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes something again."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _wait_for_headers(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.bounds.slow, self.transport.abort)

    def _headers_are_there(self) -> None:
        self._in_headers = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, status: int, phrase: bytes, body: bytes, more: bytes = b"") -> None:
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%b\r\n%b"
            % (status, phrase, len(body), more, body)
        )
        self.transport.close()
