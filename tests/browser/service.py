"""A service as the page sees it, whose answers a test decides: it writes the words of a line backwards."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from nmt.server.static import page_routes

LANGUAGES = [
    {"code": "ar", "name": "Arabic", "targets": ["ar", "en"]},
    {"code": "de", "name": "German", "targets": ["de", "en"]},
    {"code": "en", "name": "English", "targets": ["ar", "de", "en"]},
]
_DOUBTS = ("doubtful", "unknown", "failed")  # a line that holds one of these words has this status


@dataclass
class Answer:
    """An answer that is given once, instead of the usual one."""

    status: int
    error: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """A request that came."""

    path: str
    fields: dict[str, Any]
    seconds: float
    """When it came."""
    gone: bool = False
    """Whether its client left before the answer."""


class Service:
    """The service; a test reads what was asked, and says what is answered next."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.next: list[Answer] = []
        self.slow = 0.0
        """Seconds that a translation takes whose text holds "slow"."""
        self.settings: dict[str, Any] = {}
        self.app = FastAPI(openapi_url=None)
        self.app.include_router(page_routes())
        for path, answer, methods in (
            ("/languages", self._languages, ["GET"]),
            ("/frontend/settings", self._settings, ["GET"]),
            ("/detect", self._detect, ["POST"]),
            ("/translate", self._translate, ["POST"]),
            ("/translate_file", self._translate_file, ["POST"]),
            ("/download_file/{name}", self._download, ["GET"]),
        ):
            self.app.add_api_route(path, answer, methods=methods)
        self.reset()

    def reset(self) -> None:
        """Forget what was asked, and answer as usual."""
        self.asked.clear()
        self.next.clear()
        self.slow = 0.0
        self.settings = {
            "apiKeys": False, "charLimit": 500, "frontendTimeout": 60, "keyRequired": False, "filesTranslation": True,
            "supportedFilesFormat": [".txt", ".docx"],
            "language": {"source": {"code": "de", "name": "German"}, "target": {"code": "en", "name": "English"}},
        }  # fmt: skip

    def lines(self) -> list[list[str]]:
        """Lines of each request for a translation."""
        return [each.fields["q"] for each in self.asked if each.path == "/translate"]

    async def _languages(self) -> Response:
        return JSONResponse(LANGUAGES)

    async def _settings(self) -> Response:
        return JSONResponse(self.settings)

    async def _detect(self, request: Request) -> Response:
        fields = await self._take(request)
        found = "en" if "the" in fields["q"].split() else "de"
        return self._told() or JSONResponse([{"language": found, "confidence": 90.0}])

    async def _translate(self, request: Request) -> Response:
        fields = await self._take(request)
        asked = self.asked[-1]
        if told := self._told():
            return told
        if self.slow and any("slow" in line for line in fields["q"]):
            end = time.monotonic() + self.slow
            while time.monotonic() < end:
                if await request.is_disconnected():
                    asked.gone = True
                    return Response(status_code=499)
                await asyncio.sleep(0.01)
        terms = dict(line.partition("\t")[::2] for line in fields.get("glossary", "").split("\n"))
        found = [_translated(line, terms) for line in fields["q"]]
        return JSONResponse(
            {
                "translatedText": [each["text"] for each in found],
                "alternatives": [[each["text"].upper(), f"{each['text']}?"] for each in found],
                "details": [[each] for each in found],
            }
        )

    async def _translate_file(self, request: Request) -> Response:
        form = await request.form()
        self.asked.append(Asked("/translate_file", {**form, "name": form["file"].filename}, time.monotonic()))
        return self._told() or JSONResponse(
            {
                "translatedFileUrl": "http://elsewhere.invalid/download_file/new.txt",
                "statuses": {"ok": 5, "doubtful": 1},
                "left": [{"what": "formula", "why": "it is no text", "count": 2}],
                "missing": [],
            }
        )

    async def _download(self, name: str) -> Response:
        return PlainTextResponse(f"translated {name}")

    async def _take(self, request: Request) -> dict[str, Any]:
        fields: dict[str, Any] = await request.json()
        self.asked.append(Asked(request.url.path, fields, time.monotonic()))
        return fields

    def _told(self) -> Response | None:
        if not self.next:
            return None
        told = self.next.pop(0)
        return JSONResponse({"error": told.error}, told.status, told.headers)


def _translated(line: str, terms: dict[str, str]) -> dict[str, Any]:
    words = line.split()
    last = len(words) - 1
    return {
        "source": " ".join(words),
        "text": " ".join(terms.get(word) or word for word in reversed(words)),
        "status": next((each for each in _DOUBTS if each in words), "ok"),
        "alignment": [[number, last - number] for number in range(len(words))],
        "missing": ["Unmet"] if "Unmet" in words else [],
    }


class Running:
    """An application on a port of its own, in a thread.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
            assert self._thread.is_alive()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
