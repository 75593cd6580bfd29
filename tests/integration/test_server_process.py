"""A service in a process of its own: slow, silent and hostile clients, and signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from served import MODEL

from nmt.commands.serve import run_check

SLOW = 1.0
# As `nmt serve`, with less patience than its options allow.
START = f"""
import sys
from dataclasses import replace
from pathlib import Path
from nmt.commands.serve import run
from nmt.server.options import Limits, ServeOptions
limits = Limits(slow={SLOW}, connections=40, body=100_000, file=200_000)
run([Path(sys.argv[1])], ServeOptions(port=0, threads=1, page=False, limits=limits))
"""


class Process:
    def __init__(self, model: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", START, str(model)], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        first = self.process.stderr.readline()
        assert "http://127.0.0.1:" in first, first + self.process.stderr.read()
        self.port = int(first.partition("127.0.0.1:")[2].split()[0])

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def translate(self, text: str) -> str:
        body = json.dumps({"q": text, "source": "en", "target": "tgt"}).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/translate", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return str(json.load(answer)["translatedText"])


@contextmanager
def process_of(model: Path) -> Iterator[Process]:
    running = Process(model)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stderr is not None
        running.process.stderr.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Process]:
    with process_of(MODEL) as it:
        yield it


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, or resets."""
    found = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            found += chunk
    return found


POST = b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n", None),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n\r\n", 200),
        (POST + b"content-length: 100\r\n\r\n{", 408),
        (POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", 408),
    ],
    ids=["silent", "half of headers", "nothing after a request", "half of a body", "half of its chunks"],
)
def test_who_is_slow_is_given_up(service: Process, sent: bytes, status: int | None) -> None:
    with closing(service.connect()) as connection:
        connection.sendall(sent)
        start = time.monotonic()
        if status == 200:  # the rest of the time is that of a connection at rest, unless something comes
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
            connection.sendall(b"\r\n")
        found = everything(connection)
        assert 0.5 * SLOW < time.monotonic() - start < 8 * SLOW
        if status != 200:
            assert found.startswith(b"HTTP/1.1 %d " % status) if status else found == b""
    assert service.translate("one")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff\x16\x03\x01" * 20, 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000, 431),
        (b"GET /health HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % number for number in range(20_000)), 431),
        (b"GET /" + b"a" * 200_000, 431),
        (POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}", 400),
        (POST + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"content-length: 100001\r\nconnection: close\r\n\r\n", 413),
        (POST + b"content-length: 99999999999999999999\r\nconnection: close\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 3, 413),
        (b"GET /../../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        (b"GET /page/..%2f..%2fapp.py HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        (b"GET /download_file/..%2f..%2fetc HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        (b"GET http://other.example/health HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n", 200),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_what_is_no_request(service: Process, sent: bytes, status: int) -> None:
    with closing(service.connect()) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # answered before all of it was sent
            connection.sendall(sent)
        found = everything(connection)
        assert found.startswith(b"HTTP/1.1 %d " % status) or (found == b"" and status in (413, 431)), found[:200]
    assert service.translate("one")


def test_many_requests_in_one_piece_are_answered_in_order(service: Process) -> None:
    texts = ["one", "two", "three"] * 5
    sent = b""
    for text in texts:
        body = json.dumps({"q": text, "source": "en", "target": "tgt"}).encode()
        sent += POST + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    sent += b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with closing(service.connect()) as connection:
        connection.sendall(sent)
        bodies = [part.partition(b"\r\n\r\n")[2] for part in everything(connection).split(b"HTTP/1.1 200 OK")[1:]]
    wanted = {text: service.translate(text) for text in set(texts)}
    assert [json.loads(body) for body in bodies[:-1]] == [{"translatedText": wanted[text]} for text in texts]


def test_connections_beyond_the_limit_are_told_so(service: Process) -> None:
    crowd = [service.connect() for _ in range(40)]
    try:
        with closing(service.connect()) as one_more:
            found = everything(one_more)
        assert found.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in found
        assert found.endswith(b'{"error":"Too many connections: try again in a moment"}')
    finally:
        for each in crowd:
            each.close()
    for _ in range(100):
        try:
            assert service.translate("one")
            break
        except OSError:
            time.sleep(0.02)
    else:
        raise AssertionError("the service does not recover")


def test_signals(tmp_path: Path) -> None:
    (model := tmp_path / "models").mkdir()
    (model / "a.nmt").write_bytes(MODEL.read_bytes())
    with process_of(model) as running:
        texts = ["the old dog sees the small cat."] * 600
        body = json.dumps({"q": texts, "source": "en", "target": "tgt"}).encode()
        with closing(running.connect()) as connection, closing(running.connect()) as idle:
            connection.sendall(POST + b"content-length: %d\r\n\r\n%b" % (len(body), body))
            running.translate("one")  # the other request has come by now, and its lines wait
            running.process.send_signal(signal.SIGHUP)
            running.process.send_signal(signal.SIGTERM)
            answer = everything(connection).partition(b"\r\n\r\n")
            assert everything(idle) == b""
        assert answer[0].startswith(b"HTTP/1.1 200 ")
        assert len(json.loads(answer[2])["translatedText"]) == 600
        assert running.process.wait(10) == 0
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        assert running.process.stderr is not None
        log = [json.loads(line) for line in running.process.stderr.read().splitlines()]
    assert [each["event"] for each in log if each["event"] not in ("request", "reloaded")] == ["started", "stopped"]
    assert {each["status"] for each in log if each["event"] == "request"} == {200}


def test_a_port_that_is_taken(service: Process) -> None:
    command = [sys.executable, "-m", "nmt", "serve", str(MODEL), "--port", str(service.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"error: 127.0.0.1:{service.port}: Address already in use\n")


def test_a_deployment_is_checked(service: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(f"http://127.0.0.1:{service.port}/", "")
    assert "BAD" not in capsys.readouterr().out
    assert not run_check(f"http://127.0.0.1:{service.port}/nothing", "")
    assert not run_check("http://127.0.0.1:9", "")
    assert capsys.readouterr().out.splitlines()[-1].startswith("BAD  answers: ")
