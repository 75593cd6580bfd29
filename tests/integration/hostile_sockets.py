"""Requests over sockets, good ones among hostile ones: python tests/integration/hostile_sockets.py [COUNT] [SEED]

The service is a process of its own. Good requests are answered with 200; the others as `hostile_requests.py` says, or
by the connection's end, where they are no HTTP.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes, urlencode

from hostile_requests import ALLOWED, OPTIONS, Request, hostile
from served import MODEL

from nmt.server.app import Application
from nmt.server.registry import ModelOptions, Models
from nmt.server.running import listen, run

CONNECTIONS: Final = 16
_GOOD: Final = 0.5  # of all
_LEFT: Final = "left"
_WORDS: Final = (
    "red",
    "dog",
    "the",
    "old",
    "cat",
    "sees",
    "{name}",
    "5 kg",
    "https://x.example/",
    "Red.",
    "\u72ac",
    "\U0001f600",
)
_TAGS: Final = ("<b>{}</b>", "<p>{}", "<a href='x'>{}</a>", "<br>{}", "<!-- x -->{}", "<i><b>{}</i></b>", "&lt;{}")


@contextmanager
def service_apart() -> Iterator[tuple[int, int]]:
    """Run a service in a process of its own; yields its port and the number of the process."""
    listening = listen("127.0.0.1", 0)
    process = os.fork()
    if not process:
        try:
            run(Application(Models([MODEL], ModelOptions(threads=1)), OPTIONS), listening, OPTIONS)
            os._exit(0)
        finally:
            os._exit(1)
    with listening:
        try:
            yield listening.getsockname()[1], process
        finally:
            os.kill(process, signal.SIGTERM)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code == 0


def good(chance: random.Random) -> Request:
    """Make a request of those that clients send."""
    text = " ".join(chance.choices(_WORDS, k=chance.randrange(1, 12)))
    fields: dict[str, Any] = {"q": text, "source": chance.choice(["en", "auto"]), "target": "tgt"}
    kind = chance.randrange(10)
    if kind == 0:
        return Request(
            "GET", chance.choice(["/languages", "/health", "/frontend/settings"]), b"", [(b"host", b"x")], b""
        )
    if kind == 1:
        return _posted("/detect", urlencode({"q": text}).encode(), b"application/x-www-form-urlencoded")
    if kind == 2:
        parts = [("source", "", "en"), ("target", "", "tgt"), ("file", '; filename="a.txt"', text)]
        body = "".join(f'--b\r\nContent-Disposition: form-data; name="{a}"{b}\r\n\r\n{c}\r\n' for a, b, c in parts)
        return _posted("/translate_file", f"{body}--b--\r\n".encode(), b"multipart/form-data; boundary=b")
    if kind == 3:
        return _posted("/translate", urlencode(fields).encode(), b"application/x-www-form-urlencoded")
    if kind < 6:
        fields |= {"q": chance.choice(_TAGS).format(text), "format": "html"}
    elif kind == 6:
        fields |= {"q": [text, "", "dog"], "details": True, "alternatives": 2}
    elif kind == 7:
        fields |= {"glossary": "dog\tHund\nred"}
    return _posted("/translate", json.dumps(fields).encode(), b"application/json")


def _posted(path: str, body: bytes, kind: bytes) -> Request:
    return Request("POST", path, b"", [(b"host", b"x"), (b"content-type", kind)], body)


def written(asked: Request, chance: random.Random) -> bytes:
    """Write a request as HTTP, its body whole or in chunks."""
    headers, body = list(asked.headers), asked.body
    if not any(name == b"content-length" for name, _ in headers):
        if chance.random() < 0.2:
            headers.append((b"transfer-encoding", b"chunked"))
            pieces = [body[at : at + 999] for at in range(0, len(body), 999)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in [*pieces, b""])
        else:
            headers.append((b"content-length", b"%d" % len(body)))
    path = asked.path.encode() + (b"?" + quote_from_bytes(asked.query, "%&=+;").encode() if asked.query else b"")
    lines = [b"%b %b HTTP/1.1" % (asked.method.encode(), path), *(b"%b: %b" % each for each in headers)]
    return b"\r\n".join([*lines, b"", body[: len(body) // 2] if asked.cut else body])


class Connection:
    """A connection, and the next when that has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, content: bytes, *, cut: bool, head: bool) -> tuple[int, bytes] | None:
        """Send a request; returns status and body of the answer, None if the connection ended without one."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(content)
            if cut:
                writer.write_eof()
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:] if line)
            status = int(lines[0].split()[1])
            body = b"" if head or status == 304 else await reader.readexactly(int(headers.get(b"content-length", b"0")))
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.end()
            return None
        if cut or headers.get(b"connection") == b"close" or not OPTIONS.limits.body > len(content):
            await self.end()
        return status, body

    async def end(self) -> None:
        """End it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def send_all(port: int, count: int, seed: int) -> Counter[int | str]:
    """Send requests; returns how many were answered how."""
    statuses: Counter[int | str] = Counter()

    async def some(first: int) -> None:
        connection = Connection(port)
        for number in range(first, count, CONNECTIONS):
            chance = random.Random(f"{seed} {number}")
            is_good = chance.random() < _GOOD
            asked = good(chance) if is_good else hostile(chance)
            answer = await connection.ask(written(asked, chance), cut=asked.cut, head=asked.method == "HEAD")
            status, body = answer or (_LEFT, b"")
            assert status == 200 if is_good else status == _LEFT or status in ALLOWED, (seed, number, asked, answer)
            if isinstance(status, int) and status >= 400 and body.startswith(b"{"):
                assert list(json.loads(body)) == ["error"], (seed, number, body)
            if not is_good and (status in (_LEFT, 400) or any(name == b"content-length" for name, _ in asked.headers)):
                await connection.end()  # what follows might be taken for the rest of the body
            statuses[status] += 1
        await connection.end()

    await asyncio.gather(*(some(first) for first in range(CONNECTIONS)))
    return statuses


def memory(process: int) -> float:
    """Megabytes that a process has."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    """Send as many as are asked for, in ten parts."""
    count, seed = (int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), (int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    total: Counter[int | str] = Counter()
    with service_apart() as (port, process):
        for part in range(10):
            total += asyncio.run(send_all(port, count // 10, seed + part))
            shown = dict(sorted(total.items(), key=lambda each: str(each[0])))
            print(f"{total.total():,} requests, {memory(process):.1f} MB, {shown}", flush=True)


if __name__ == "__main__":
    main()
