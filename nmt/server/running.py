"""The process of a service: its socket, its signals, its beginning and its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

import uvicorn

from nmt.server.app import Application
from nmt.server.log import Log
from nmt.server.options import ServeOptions
from nmt.server.protocol import protocol_with

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_AGAIN: Final = 0.5  # seconds: who signals a group and then its first process means one signal
_BACKLOG: Final = 2_048
_KEEP_ALIVE: Final = 75  # seconds: longer than the usual proxies keep an idle connection, so that they close it


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a service.

    Raises:
        OSError: The address is in use, or not of this machine; its `filename` says which.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)  # who comes before all is ready waits
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), f"{host}:{port}") from None
    return made


def url_of(listening: socket.socket) -> str:
    """Return the address of a socket for clients on this machine."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server, with signals that end it without being an error, and one that reloads."""

    def __init__(self, config: uvicorn.Config, reload: Callable[[], Awaitable[object]]) -> None:
        super().__init__(config)
        self._reload = reload
        self._asked = 0.0
        self._reloading: set[asyncio.Task[object]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while it runs."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (*_STOPPING, signal.SIGHUP)}
        for number in _STOPPING:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _stop(self) -> None:
        now = monotonic()
        self.force_exit = self.should_exit and now - self._asked > _AGAIN  # the second signal waits for nobody
        self._asked = now
        self.should_exit = True

    def _begin_reload(self) -> None:
        async def run() -> None:
            await self._reload()

        task = asyncio.ensure_future(run())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)


class _ToLog(logging.Handler):
    """Tells the service's log what uvicorn says, which is nothing of what users send."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        self._log.say("uvicorn", message=record.getMessage())


def run(app: Application, listening: socket.socket, options: ServeOptions) -> None:
    """Serve until a signal ends it: SIGTERM or SIGINT, after which what runs is finished and nothing more taken.

    Args:
        app: The application; SIGHUP reloads it.
        listening: The socket.
        options: How to serve.
    """
    logger = logging.getLogger("uvicorn.error")
    logger.propagate = False
    logger.addHandler(_ToLog(app.log))
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what it says, answers say
    config = uvicorn.Config(
        app,
        http=protocol_with(options.limits),
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(options.proxies),
        forwarded_allow_ips=options.proxies or None,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(options.limits.seconds) + 1,
    )
    _Server(config, app.reload).run([listening])
