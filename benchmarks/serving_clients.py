"""Clients of a service, in a process of their own that does little else, since it shares the machine with the service.

    python benchmarks/serving_clients.py PORT TEXT SOURCE TARGET HOW

HOW is JSON. {"clients": N, "seconds": S, "requests": M}: so many connections, each of which sends a sentence of TEXT,
waits for its translation and sends the next, until either is reached. {"rate": R, "seconds": S}: R requests a second,
whatever becomes of them, on as many connections as that takes; the time of an answer counts from when its request was
due. Prints a line of JSON: see `Seen.row`.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

LEFT_ALONE = 60.0
"""Seconds after the last request until those that have no answer are lost."""
_TICK = 0.002  # seconds between looks at what is due


class Seen:
    """What clients saw."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, float]] = []
        """Status, 0 for none, and seconds of each."""
        self.sent = 0
        self.latest = 0.0
        """Seconds by which a request was sent later than it was due, at most: of a generator that is the limit itself,
        many."""
        self._start, self._cpu = time.perf_counter(), time.process_time()

    def row(self) -> dict[str, Any]:
        """Sum it up: `cores` is how many the clients kept busy."""
        seconds = time.perf_counter() - self._start
        cpu = time.process_time() - self._cpu
        good = sorted(took for status, took in self.answers if status == 200)
        refused = sorted(took for status, took in self.answers if status == 503)
        statuses = Counter(status for status, _ in self.answers)
        return {
            "requests": self.sent,
            "statuses": {str(status): statuses[status] for status in sorted(statuses)},
            "seconds": seconds,
            "per_second": len(good) / seconds,
            "p50_ms": 1000 * statistics.median(good) if good else None,
            "p99_ms": 1000 * good[int(0.99 * len(good))] if good else None,
            "refused_p99_ms": 1000 * refused[int(0.99 * len(refused))] if refused else None,
            "latest_ms": 1000 * self.latest,
            "client_cpu_ms": 1000 * cpu / max(1, self.sent),
            "client_cores": cpu / seconds,
        }


class Client(asyncio.Protocol):
    """A connection with one request at a time.

    Args:
        done: Called with the client, the status of an answer, 0 for none, and when its request was due.
    """

    def __init__(self, done: Any) -> None:
        self._done, self._due, self._buffer = done, 0.0, b""
        self._asked = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; see `asyncio.Protocol`."""
        self.transport = transport

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        self._due, self._asked = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take some of an answer."""
        self._buffer = data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        place = data.lower().find(b"content-length:", 0, end)
        if len(data) >= end + 4 + int(data[place + 15 : data.find(b"\r\n", place)]):
            self._buffer = b""
            self._end(int(data[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self.transport = None
        self._end(0)

    def _end(self, status: int) -> None:
        if self._asked:
            self._asked = False
            self._done(self, status, self._due)


def request_of(line: str, source: str, target: str) -> bytes:
    """Write a request for the translation of a line."""
    body = json.dumps({"q": line, "source": source, "target": target}).encode()
    head = f"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def closed_loop(port: int, lines: list[bytes], clients: int, seconds: float, requests: int) -> Seen:
    """Let clients ask one after the other, each a sentence at a time."""
    loop = asyncio.get_running_loop()
    chance, finished, left = random.Random(clients), loop.create_future(), clients

    def next_one(client: Client) -> None:
        nonlocal left
        now = time.perf_counter()
        if client.transport is None or now > until or seen.sent >= requests:
            left -= 1
            if not left:
                finished.set_result(None)
            return
        seen.sent += 1
        client.ask(chance.choice(lines), now)

    def done(client: Client, status: int, due: float) -> None:
        seen.answers.append((status, time.perf_counter() - due))
        next_one(client)

    made = [await loop.create_connection(lambda: Client(done), "127.0.0.1", port) for _ in range(clients)]
    seen, until = Seen(), time.perf_counter() + seconds
    for _, client in made:
        next_one(client)
    await finished
    return seen


async def open_loop(port: int, lines: list[bytes], rate: float, seconds: float) -> Seen:
    """Send requests at a rate, each on a connection that is free, or a new one."""
    loop, seen, chance = asyncio.get_running_loop(), Seen(), random.Random(1)
    free: list[Client] = []
    connecting: set[asyncio.Task[None]] = set()

    def done(client: Client, status: int, due: float) -> None:
        seen.answers.append((status, time.perf_counter() - due))
        if client.transport is not None:
            free.append(client)

    async def ask_anew(due: float) -> None:
        try:
            _, client = await loop.create_connection(lambda: Client(done), "127.0.0.1", port)
        except OSError:
            seen.answers.append((0, time.perf_counter() - due))
            return
        client.ask(chance.choice(lines), due)

    start = time.perf_counter()
    while (now := time.perf_counter() - start) < seconds:
        while seen.sent < now * rate:
            due = start + seen.sent / rate
            seen.latest = max(seen.latest, start + now - due)
            seen.sent += 1
            while free and free[-1].transport is None:
                free.pop()
            if free:
                free.pop().ask(chance.choice(lines), due)
            else:
                connecting.add(task := asyncio.ensure_future(ask_anew(due)))
                task.add_done_callback(connecting.discard)
        await asyncio.sleep(_TICK)
    until = time.perf_counter() + LEFT_ALONE
    while len(seen.answers) < seen.sent and time.perf_counter() < until:
        await asyncio.sleep(_TICK)
    return seen


def main() -> None:
    """Be the clients."""
    port, text, source, target, how = sys.argv[1:]
    texts = Path(text).read_text(encoding="utf-8").splitlines()
    lines = [request_of(line, source, target) for line in texts if line.strip()]
    asked = json.loads(how)
    run = open_loop if "rate" in asked else closed_loop
    print(json.dumps(uvloop.run(run(int(port), lines, **asked)).row()))


if __name__ == "__main__":
    main()
