"""The web page: a few files of the package, sent as they are."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_PAGES: Final = {"index.html": "/", "api.html": "/docs"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-cache",  # asked for each time, sent when it has changed
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page_routes() -> APIRouter:
    """Make the routes of the web pages, `/`, `/docs` and `/page/NAME`: read once; no path is made of a request."""
    router = APIRouter(include_in_schema=False)
    for entry in files("nmt.server").joinpath("page").iterdir():
        _, _, kind = entry.name.rpartition(".")
        if kind in _KINDS:
            _add(router, _PAGES.get(entry.name, f"/page/{entry.name}"), entry.read_bytes(), _KINDS[kind])
    return router


def _add(router: APIRouter, path: str, content: bytes, kind: str) -> None:
    digest = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**_HEADERS, "etag": digest}

    @router.api_route(path, methods=["GET", "HEAD"])
    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match", "").removeprefix("W/") == digest:  # a proxy that compresses says W/
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)
