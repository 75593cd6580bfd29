"""The service under load, beside the command and beside another engine behind the same kind of application.

    python benchmarks/serving.py MODEL.nmt --text FILE [--clients 1 8 64] [--seconds S] [--beam-size K] [--threads T]
        [--peer build/peers] [--overload] [--memory REQUESTS] [--json FILE]

Clients run in a process of their own, on the same machine; each sends a sentence, waits for its translation, and sends
the next. What is shown: sentences a second, the median and the 99th percentile of the time of an answer, and the ratio
to what `nmt translate` makes of the file, measured before and after in a process that is warm. With --peer,
CTranslate2's Transformer of "base" size (benchmarks/peers/make.sh) behind a FastAPI application
(benchmarks/peers/with_fastapi.py) is asked in the same way. --overload sends four times what the service can do,
whether it answers or not; --memory sends so many requests and shows how the process grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from measuring import write_json


class Times(NamedTuple):
    """What clients saw."""

    seconds: float
    answers: list[tuple[int, float]]
    """Status, 0 for none, and seconds of each."""

    def row(self) -> dict[str, Any]:
        """Sum it up."""
        good = sorted(took for status, took in self.answers if status == 200)
        return {
            "requests": len(self.answers),
            "statuses": dict(Counter(status for status, _ in self.answers)),
            "per_second": len(good) / self.seconds,
            "p50_ms": 1000 * statistics.median(good) if good else None,
            "p99_ms": 1000 * good[int(0.99 * len(good))] if good else None,
        }


class Client(asyncio.Protocol):
    """A connection that is kept, with one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; see `asyncio.Protocol`."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take some of an answer."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length and self._answer is not None and not self._answer.done():
            self._buffer = b""
            self._answer.set_result(int(head.split(b" ", 2)[1]))

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; the result is the status of its answer, 0 if there is none."""
        self._answer = asyncio.get_running_loop().create_future()
        if self.transport is None:
            self._answer.set_result(0)
        else:
            self.transport.write(request)
        return self._answer


def request_of(line: str, source: str, target: str) -> bytes:
    """Write a request for the translation of a line."""
    body = json.dumps({"q": line, "source": source, "target": target}).encode()
    return b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


async def connect(port: int) -> Client:
    """Open a connection."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


async def closed_loop(port: int, lines: list[bytes], clients: int, seconds: float, most: int) -> Times:
    """Let clients ask one after the other, each a sentence at a time."""
    answers: list[tuple[int, float]] = []
    start = time.perf_counter()

    async def one(client: Client, seed: int) -> None:
        chosen = random.Random(seed)
        while time.perf_counter() - start < seconds and len(answers) < most:
            begin = time.perf_counter()
            status = await client.ask(chosen.choice(lines))
            answers.append((status, time.perf_counter() - begin))
            if status == 0:
                client = await connect(port)

    connected = [await connect(port) for _ in range(clients)]
    start = time.perf_counter()
    await asyncio.gather(*(one(client, seed) for seed, client in enumerate(connected)))
    return Times(time.perf_counter() - start, answers)


async def open_loop(port: int, lines: list[bytes], rate: float, seconds: float) -> Times:
    """Send requests at a rate, whatever the answers do, each on a connection of its own or one that is free."""
    answers: list[tuple[int, float]] = []
    free: list[Client] = []
    chosen = random.Random(1)

    async def one() -> None:
        begin = time.perf_counter()
        try:
            client = free.pop() if free else await connect(port)
            status = await client.ask(chosen.choice(lines))
        except OSError:
            status = 0
        answers.append((status, time.perf_counter() - begin))
        if status:
            free.append(client)

    start, running = time.perf_counter(), []
    while (now := time.perf_counter() - start) < seconds:
        while len(running) < now * rate:
            running.append(asyncio.ensure_future(one()))
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    return Times(time.perf_counter() - start, answers)


def as_client(arguments: argparse.Namespace) -> None:
    """Be the process of the clients."""
    texts = arguments.text.read_text(encoding="utf-8").splitlines()
    lines = [request_of(line, arguments.source, arguments.target) for line in texts if line.strip()]
    how, port = json.loads(arguments.client), arguments.port
    work = open_loop(port, lines, how["rate"], how["seconds"]) if "rate" in how else closed_loop(port, lines, **how)
    row = uvloop.run(work).row()
    print(json.dumps(row | {"client_cpu_ms": 1000 * time.process_time() / max(1, row["requests"])}))


def ask_service(arguments: argparse.Namespace, port: int, **how: Any) -> dict[str, Any]:
    """Start the clients, and return what they saw."""
    command = [sys.executable, __file__, str(arguments.model), "--text", str(arguments.text)]
    command += ["--port", str(port), "--source", arguments.source, "--target", arguments.target]
    command += ["--client", json.dumps(how)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


class Running:
    """A service in a process of its own."""

    def __init__(self, command: list[str], port: int, *, of_peer: bool = False) -> None:
        self.port = port
        hidden = {"PYTHONPATH", "PYTHONSAFEPATH"} if of_peer else set()  # which are for our own environment
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{command}: does not answer")

    def memory(self) -> float:
        """Megabytes that it has."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6

    def cpu(self) -> float:
        """CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        """End it; returns its exit code."""
        self.process.terminate()
        return self.process.wait(60)


def serve_ours(arguments: argparse.Namespace, *more: str) -> Running:
    """Start the service."""
    port = free_port()
    command = [sys.executable, "-m", "nmt", "serve", str(arguments.model), "--port", str(port), *more]
    command += ["--threads", str(arguments.threads), "--beam-size", str(arguments.beam_size)]
    return Running(command, port)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def file_rate(arguments: argparse.Namespace) -> tuple[float, float]:
    """Sentences a second of the file, translated by a process that is warm, and CPU milliseconds of each."""
    code = (
        "import sys, time; from nmt import Translator; from nmt.decoding.translation import TranslationSettings as S\n"
        "model, text, threads, beam = sys.argv[1:]; lines = open(text, encoding='utf-8').read().splitlines()\n"
        "translator, settings = Translator.load(model, threads=int(threads)), S(beam_size=int(beam))\n"
        "translator.translate_detailed(lines[:200], settings); start, cpu = time.perf_counter(), time.process_time()\n"
        "for _ in translator.translate_stream(lines, settings): pass\n"
        "print(len(lines) / (time.perf_counter() - start), 1000 * (time.process_time() - cpu) / len(lines))\n"
    )
    asked = [str(each) for each in (arguments.model, arguments.text, arguments.threads, arguments.beam_size)]
    done = subprocess.run([sys.executable, "-c", code, *asked], check=True, capture_output=True, text=True)
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def measure_load(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all numbers of clients."""
    rows = []
    for clients in arguments.clients:
        before = file_rate(arguments)
        service = serve_ours(arguments)
        ask_service(arguments, service.port, clients=8, seconds=1.5, most=1_000_000)
        used = service.cpu()
        row = ask_service(arguments, service.port, clients=clients, seconds=arguments.seconds, most=1_000_000)
        row |= {"clients": clients, "cpu_ms": 1000 * (service.cpu() - used) / row["requests"], "exit": service.end()}
        after = file_rate(arguments)
        row |= {"file_per_second": (before[0] + after[0]) / 2, "file_cpu_ms": (before[1] + after[1]) / 2}
        row["of_file"] = row["per_second"] / row["file_per_second"]
        rows.append(row)
        show(row)
    return rows


def measure_peer(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The same of the other engine."""
    port = free_port()
    python = arguments.peer / "ctranslate2" / "bin" / "python"
    script = Path(__file__).parent / "peers" / "with_fastapi.py"
    model = arguments.peer / "models" / "base" / "int8"
    asked = [str(model), str(port), str(arguments.threads), str(arguments.beam_size)]
    service = Running([str(python), str(script), *asked], port, of_peer=True)
    ask_service(arguments, port, clients=8, seconds=3, most=1_000_000)
    rows = []
    for clients in arguments.clients:
        row = ask_service(arguments, port, clients=clients, seconds=arguments.seconds, most=1_000_000)
        rows.append({"peer": "CTranslate2 base, int8", "clients": clients} | row)
        show(rows[-1])
    service.end()
    return rows


def measure_overload(arguments: argparse.Namespace) -> dict[str, Any]:
    """Four times as many requests as are answered without it."""
    service = serve_ours(arguments, "--queue", str(arguments.queue))
    usual = ask_service(arguments, service.port, clients=64, seconds=arguments.seconds, most=1_000_000)
    row = ask_service(arguments, service.port, rate=4 * usual["per_second"], seconds=arguments.seconds)
    row |= {"rate": 4 * usual["per_second"], "exit": service.end()}
    row["lost"] = row["requests"] - sum(row["statuses"].get(status, 0) for status in ("200", "503"))
    show(row)
    return row


def measure_memory(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Memory of the process after every tenth of the requests."""
    service = serve_ours(arguments, "--no-log")
    rows = []
    for part in range(11):
        if part:
            ask_service(arguments, service.port, clients=64, seconds=3_600, most=arguments.memory // 10)
        rows.append({"requests": part * arguments.memory // 10, "mb": service.memory()})
        show(rows[-1])
    service.end()
    return rows


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    print(
        "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
        )
    )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="sentences of the model's source language")
    parser.add_argument("--source", default="en", help="its code")
    parser.add_argument("--target", default="de", help="code of the language to translate to")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--queue", type=int, default=1_000)
    parser.add_argument("--peer", type=Path, help="what benchmarks/peers/make.sh has made")
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--memory", type=int, default=0, metavar="REQUESTS")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        as_client(arguments)
        return
    found: dict[str, Any] = {"load": measure_load(arguments)}
    if arguments.peer:
        found["peer"] = measure_peer(arguments)
    if arguments.overload:
        found["overload"] = measure_overload(arguments)
    if arguments.memory:
        found["memory"] = measure_memory(arguments)
    if arguments.json:
        write_json(arguments.json, [found])


if __name__ == "__main__":
    main()
