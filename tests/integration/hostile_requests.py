"""Requests that nobody should send; `hostile_sockets.py` sends them, and others, over a network.

Each is answered with an error in its shape, or is not wrong after all; none is a defect (500), and none ends the
service, which grows by nothing that stays.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any, NamedTuple

from served import Served

from nmt.server.options import Limits, ServeOptions

ALLOWED = {200, 304, 400, 403, 404, 405, 408, 413, 415, 429}
OPTIONS = ServeOptions(
    log=False, page=False, threads=1, limits=Limits(body=20_000, file=20_000, characters=300, texts=20)
)

_PATHS = ["/translate"] * 8 + ["/detect"] * 2 + ["/translate_file"] * 3 + [
    "/languages", "/health", "/suggest", "/frontend/settings", "/metrics", "/", "/download_file/x",
    "/download_file/%2e%2e%2f", "//translate", "/translate/", "/translate%00", "/..%2f..%2fetc%2fpasswd", "/\u00fc",
    "/page/../app.py", "/spec?x", "/translate;a=b",
]  # fmt: skip
_METHODS = ["POST"] * 8 + ["GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]
_TYPES = [
    "application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "text/plain", "",
    "multipart/form-data; boundary=b", "multipart/form-data", "application/vnd.x+json", "\x7f",
    "multipart/form-data; boundary=" + "b" * 500,
]  # fmt: skip
_TEXTS = [
    "", "red dog", "\x00", "\u202e\u0301" * 20, "<b><i>red</b> dog", "<!--", "&#x110000; &amp", "{name} %s ${x}",
    "\n" * 50, "a" * 301, "\U0001f600\u200d" * 9,
    "https://x.example/?q=1 a@b.example", "one.two.three. " * 15, "\r\n\v\f\x1c\x85\u2028", "\ufeffred",
    "<script>x", "<p " * 40, "]]>" * 9, "red\tdog",
]  # fmt: skip
_LANGUAGES = ["en"] * 6 + ["tgt"] * 6 + ["auto", "", "xx", "EN", "en-GB", "../tgt", "e" * 1000, "\x00", "en\n"]
_NAMES = ["q"] * 5 + ["source", "target", "format", "alternatives", "details", "api_key", "glossary", "x", ""]
_BYTES = [
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"%00",
    b"%",
    b"{",
    b"[" * 500,
    b'"\\ud800"',
    b"1e999",
    b"NaN",
    b"--b\r\n",
    b"\r\n",
    b"&&=&",
]


def value_of(chance: random.Random, depth: int = 0) -> Any:
    """Make a value of JSON."""
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind < 3:
        return chance.choice(_TEXTS)
    if kind < 6:
        return chance.choice([None, True, False, 0, -1, 3, 10**30, 1.5, 2**63, "3", "true"])
    if kind < 8:
        return [value_of(chance, depth + 1) for _ in range(chance.randrange(25))]
    return {chance.choice(_NAMES): value_of(chance, depth + 1) for _ in range(chance.randrange(5))}


def body_of(chance: random.Random, kind: str) -> bytes:
    """Make a body that is nearly right, and more often than not damaged."""
    fields: dict[str, Any] = {
        "q": chance.choice(_TEXTS) if chance.random() < 0.5 else value_of(chance),
        "source": chance.choice(_LANGUAGES),
        "target": chance.choice(_LANGUAGES),
    }
    for _ in range(chance.randrange(4)):
        fields[chance.choice(_NAMES)] = value_of(chance)
    if "json" in kind:
        body = json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    elif "multipart" in kind:
        name = chance.choice(
            ["a.txt", "a.docx", "../../a.txt", "a.html", "", "a", ".txt", "a.srt", "a" * 300 + ".txt", "a.po", "a.tmx"]
        )
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()
        ]
        if chance.random() < 0.7:
            content = chance.choice(_TEXTS)
            parts.append(f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{content}\r\n')
        body = ("".join(parts) + "--b--\r\n").encode("utf-8", "surrogatepass")
    else:
        body = "&".join(f"{key}={value}" for key, value in fields.items()).encode("utf-8", "surrogatepass")
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        place = chance.randrange(len(body) + 1)
        body = body[:place] + chance.choice(_BYTES) + body[place + chance.randrange(20) :]
    return body * 200 if chance.random() < 0.01 else body


class Request(NamedTuple):
    """What is sent."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    cut: bool = False
    """Whether its end is missing."""


def hostile(chance: random.Random) -> Request:
    """Make a request that nobody should send."""
    kind = chance.choice(_TYPES)
    path, _, query = chance.choice(_PATHS).partition("?")
    body = body_of(chance, kind)
    headers = [(b"host", b"x"), (b"content-type", kind.encode("latin-1"))]
    if chance.random() < 0.3:
        headers.append((b"content-length", chance.choice([b"%d" % len(body), b"-1", b"x", b"9" * 30, b"20001"])))
    if chance.random() < 0.2:
        wrong = [b"Bearer \xff", b"x" * 500, b""]
        headers.append(
            (chance.choice([b"authorization", b"origin", b"x-forwarded-for", b"cookie"]), chance.choice(wrong))
        )
    method, more = chance.choice(_METHODS), body[:300].split(b"\r")[0] if chance.random() < 0.3 else query.encode()
    return Request(method, path, more, headers, body, cut=chance.random() < 0.03)


async def answer_to(app: Any, chance: random.Random) -> tuple[int, bytes]:
    """Send a request as a server would hand it over, in pieces, and perhaps without its end."""
    asked = hostile(chance)
    scope = {
        "type": "http", "http_version": "1.1", "method": asked.method, "scheme": "http", "path": asked.path,
        "raw_path": asked.path.encode(), "root_path": "", "headers": asked.headers, "client": ("10.0.0.1", 1),
        "server": ("x", 80), "query_string": asked.query, "state": {},
    }  # fmt: skip
    pieces = [asked.body[at : at + 4_000] for at in range(0, len(asked.body), 4_000)] or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces) or asked.cut}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent, scope
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def send_all(app: Any, count: int, seed: int) -> Counter[int]:
    """Send requests, sixteen at a time; returns how many were answered how."""
    statuses: Counter[int] = Counter()

    async def some(first: int) -> None:
        for number in range(first, count, 16):
            status, body = await answer_to(app, random.Random(f"{seed} {number}"))
            assert status in ALLOWED, (seed, number, status, body)
            if status >= 400 and body:
                assert list(json.loads(body)) == ["error"], (seed, number, body)
            statuses[status] += 1

    await asyncio.gather(*(some(first) for first in range(16)))
    return statuses


def send_and_look(service: Served, count: int, seed: int) -> Counter[int]:
    """Send requests, and look whether the service still translates and nothing waits."""
    before = service.translate("red dog").json()
    statuses = service.run(send_all(service.app, count, seed))
    translating = service.app.fastapi.state.context.service.translating
    assert (translating.waiting, translating.requests) == (0, 0)
    assert service.translate("red dog").json() == before
    return statuses
