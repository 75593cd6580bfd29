"""The service under load, beside the command and beside another engine behind the same kind of application.

    python benchmarks/serving.py MODEL.nmt --text FILE [--load] [--peer FOLDER] [--overload] [--memory REQUESTS]
        [--row] [--clients 1 8 64] [--seconds S] [--beam-size K] [--threads T] [--json FILE]

Clients (benchmarks/serving_clients.py) run in a process of their own, on the same machine, of which each row says how
much of a core they took. Each part can be asked for by itself; --row is all of them, in about seven minutes on two
cores.

--load: so many clients, each of which sends a sentence, waits for its translation, and sends the next: sentences a
second, the median and the 99th percentile of the time of an answer, and the ratio to what `nmt translate` makes of the
file, measured before and after in a process that is warm. --peer: the same of CTranslate2's Transformer of "base" size
in int8 (made by benchmarks/peers/make.sh) behind a FastAPI application that makes batches as ours does
(benchmarks/peers/with_fastapi.py), with a thread for each of its workers and with one worker of all threads, of which
the better one counts. --overload: four times as many requests as are answered with 64 clients, sent whatever the
answers do: how many were answered, refused (503) and lost, and the times of those accepted. --memory: so many requests
of 64 clients, and what the process has in memory after each tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ALL_REQUESTS = 10**9
TIMES_TOO_MANY = 4
ROUNDS = 3
"""Of the file: it takes a second."""


class Running:
    """A service in a process of its own."""

    def __init__(self, command: Sequence[str], port: int, *, of_peer: bool = False) -> None:
        self.port = port
        hidden = {"PYTHONPATH", "PYTHONSAFEPATH"} if of_peer else set()  # which are for our own environment
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"{' '.join(command)}: does not answer")

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


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_ours(asked: argparse.Namespace, *more: str) -> Running:
    """Start the service."""
    port = free_port()
    command = [sys.executable, "-m", "nmt", "serve", str(asked.model), "--port", str(port), "--no-log", *more]
    return Running([*command, "--threads", str(asked.threads), "--beam-size", str(asked.beam_size)], port)


def serve_peer(asked: argparse.Namespace, workers: int, threads: int) -> Running:
    """Start the other engine."""
    port = free_port()
    python = asked.peer / "ctranslate2" / "bin" / "python"
    script = Path(__file__).parent / "peers" / "with_fastapi.py"
    how = [str(asked.peer / "models" / "base" / "int8"), *map(str, (port, workers, threads, asked.beam_size))]
    return Running([str(python), str(script), *how], port, of_peer=True)


def ask(asked: argparse.Namespace, service: Running, **how: float) -> dict[str, Any]:
    """Let clients ask a service; return what they saw, and the service's CPU time of a request."""
    command = [sys.executable, str(Path(__file__).with_name("serving_clients.py")), str(service.port)]
    command += [str(asked.text), asked.source, asked.target, json.dumps(how)]
    before = service.cpu()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"service_cpu_ms": 1000 * (service.cpu() - before) / max(1, found["requests"])}


def closed(asked: argparse.Namespace, service: Running, clients: int, seconds: float) -> dict[str, Any]:
    """Let clients ask, a sentence each at a time."""
    return ask(asked, service, clients=clients, seconds=seconds, requests=ALL_REQUESTS)


def file_rate(asked: argparse.Namespace) -> tuple[float, float]:
    """Sentences a second of the file, translated by a process that is warm, and CPU milliseconds of each."""
    code = (
        "import sys, time; from nmt import Translator; from nmt.decoding.translation import TranslationSettings as S\n"
        "model, text, threads, beam = sys.argv[1:]; lines = open(text, encoding='utf-8').read().splitlines()\n"
        "translator, settings = Translator.load(model, threads=int(threads)), S(beam_size=int(beam))\n"
        "translator.translate_detailed(lines[:200], settings)\n"
        "start, cpu = time.perf_counter(), time.process_time()\n"
        f"for _ in range({ROUNDS}):\n"  # by themselves: what comes twice in one text is translated once
        "    for _ in translator.translate_stream(lines, settings): pass\n"
        f"count = {ROUNDS} * len(lines)\n"
        "print(count / (time.perf_counter() - start), 1000 * (time.process_time() - cpu) / count)\n"
    )
    how = [str(each) for each in (asked.model, asked.text, asked.threads, asked.beam_size)]
    done = subprocess.run([sys.executable, "-c", code, *how], check=True, capture_output=True, text=True)
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def measure_load(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all numbers of clients."""
    rows = []
    for clients in asked.clients:
        before = file_rate(asked)
        service = serve_ours(asked)
        closed(asked, service, 8, 1.5)
        row = {"clients": clients} | closed(asked, service, clients, asked.seconds) | {"exit": service.end()}
        after = file_rate(asked)
        row |= {"file_per_second": statistics.mean((before[0], after[0])), "file_cpu_ms": min(before[1], after[1])}
        row["of_file"] = row["per_second"] / row["file_per_second"]
        rows.append(row)
        show("load", row)
    return rows


def measure_peer(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The same of the other engine, the better of two ways to use the threads."""
    found: dict[int, list[dict[str, Any]]] = {clients: [] for clients in asked.clients}
    for workers, threads in dict.fromkeys([(asked.threads, 1), (1, asked.threads)]):
        service = serve_peer(asked, workers, threads)
        closed(asked, service, 8, 2)
        for clients in asked.clients:
            how = {"clients": clients, "workers": workers, "threads": threads}
            found[clients].append(how | closed(asked, service, clients, asked.seconds))
        service.end()
    rows = [max(each, key=lambda row: float(row["per_second"])) for each in found.values()]
    for row in rows:
        show("peer", row)
    return rows


def measure_overload(asked: argparse.Namespace) -> dict[str, Any]:
    """Four times as many requests as are answered without it."""
    service = serve_ours(asked, "--queue", str(asked.queue))
    closed(asked, service, 8, 1.5)
    usual = closed(asked, service, 64, asked.seconds)["per_second"]
    rate = TIMES_TOO_MANY * usual
    row = {"usual_per_second": usual, "rate": rate} | ask(asked, service, rate=rate, seconds=asked.seconds)
    row |= {"mb": service.memory(), "exit": service.end()}
    row["lost"] = row["requests"] - sum(row["statuses"].get(status, 0) for status in ("200", "503"))
    show("overload", row)
    return row


def measure_memory(asked: argparse.Namespace) -> dict[str, Any]:
    """Memory of the process after every tenth of the requests."""
    service = serve_ours(asked)
    start, megabytes = time.perf_counter(), [service.memory()]
    for _ in range(10):
        ask(asked, service, clients=64, seconds=3_600, requests=asked.memory // 10)
        megabytes.append(service.memory())
    row = {
        "requests": asked.memory,
        "seconds": time.perf_counter() - start,
        "mb": [round(each, 1) for each in megabytes],
    }
    row |= {"growth": megabytes[-1] / megabytes[1] - 1, "exit": service.end()}
    show("memory", row)
    return row


def show(what: str, row: dict[str, Any]) -> None:
    """Print a row."""
    values = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items())
    print(f"{what}:", "  ".join(values), flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="sentences of the model's source language")
    parser.add_argument("--source", default="en", help="its code")
    parser.add_argument("--target", default="de", help="code of the language to translate to")
    parser.add_argument("--load", action="store_true", help="what is measured if nothing else is asked for")
    parser.add_argument("--peer", type=Path, help="what benchmarks/peers/make.sh has made")
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--memory", type=int, default=0, metavar="REQUESTS")
    parser.add_argument("--row", action="store_true", help="--load --overload --memory 100000, and --peer where it is")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--queue", type=int, default=400, help="of the service under overload")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if asked.load or asked.row or not (asked.peer or asked.overload or asked.memory):
        found["load"] = measure_load(asked)
    if asked.peer:
        found["peer"] = measure_peer(asked)
    if asked.overload or asked.row:
        found["overload"] = measure_overload(asked)
    if asked.row:
        asked.memory = asked.memory or 100_000
    if asked.memory:
        found["memory"] = measure_memory(asked)
    if asked.json:
        from measuring import write_json  # noqa: PLC0415  (imports torch, which takes seconds)

        write_json(asked.json, [found])


if __name__ == "__main__":
    main()
