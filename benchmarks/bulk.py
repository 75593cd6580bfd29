"""`nmt bulk` beside bare processes of the same translator: throughput, equal rows, and workers killed on the way.

    python benchmarks/bulk.py MODEL.nmt --text FILE [--lines N] [--kills K] [--workers W] [--beam-size B] [--json FILE]

The lines of FILE (plain or compressed) are repeated with words of others in them, all of them different. Bare
processes, forked once, take shards of the same size from one queue and write what they make of each to a file; their
time and that of `nmt bulk` are from the first shard to the last, and both have their models open. Then `nmt bulk`
goes over all lines while workers, its descendants, are killed at even distances, and its rows are compared with those
of `nmt translate`; `--lines 0` leaves that out. The comparison of throughput is of `--timed` lines, so that all of it
takes minutes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from itertools import islice
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from measuring import write_json

from nmt.data.text import read_lines
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator
from nmt.files import atomic_write


def varied(lines: list[str]) -> Iterator[str]:
    """Repeat lines without end, with words of others in them, so that no two are equal."""
    by_chance = random.Random(1)
    seen: set[int] = set()
    words = [word for line in lines for word in line.split()]
    while True:
        for line in lines:
            made = line.split()
            for _ in range(2):
                made[by_chance.randrange(len(made))] = by_chance.choice(words)
            text = " ".join(made)
            if hash(text) not in seen:
                seen.add(hash(text))
                yield text


def bare(model: Path, text: Path, folder: Path, workers: int, beam_size: int, rows: int) -> float:
    """Translate a file by processes of one thread each; seconds from the first shard on."""
    lines = list(read_lines(text))
    context = multiprocessing.get_context("fork")
    queue: SimpleQueue[int | None] = context.SimpleQueue()
    ready, begin = context.Semaphore(0), context.Event()

    def work() -> None:
        translator = Translator.load(model, 1)
        ready.release()
        begin.wait()
        while (first := queue.get()) is not None:
            shard = lines[first : first + rows]
            found = translator.translate_detailed(shard, TranslationSettings(beam_size))
            with atomic_write(folder / f"{first:09d}") as file:
                file.write("".join(f"{each.text}\n" for each in found).encode())

    processes = [context.Process(target=work) for _ in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    started = time.monotonic()
    begin.set()
    for first in range(0, len(lines), rows):
        queue.put(first)
    for _ in processes:
        queue.put(None)
    for process in processes:
        process.join()
    return time.monotonic() - started


def bulk(
    model: Path, text: Path, output: Path, workers: int, beam_size: int, rows: int, kills: int = 0
) -> dict[str, Any]:
    """Run the command, and kill workers of it: one whenever so many shards more are done."""
    options = ["--beam-size", beam_size, "--workers", workers, "--shard-rows", rows]
    command = [sys.executable, "-m", "nmt", "bulk", model, text, "--output", output, *options]
    shards = -(-sum(1 for _ in read_lines(text)) // rows)
    by_chance, killed = random.Random(2), 0
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            time.sleep(0.05)
            done = len(list(output.parent.glob(f"{output.name}.bulk/shards/*/*.done")))
            if killed < kills and done > killed * shards // (kills + 1) and (found := workers_of(process.pid)):
                os.kill(by_chance.choice(found), signal.SIGKILL)
                killed += 1
        assert process.stdout is not None
        summary: dict[str, Any] = json.loads(process.stdout.read())
    assert process.returncode == 0
    return {**summary, "kills": killed}


def workers_of(process: int) -> list[int]:
    """Descendants of a process that are at a shard."""
    names: dict[int, str] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            names[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue

    def descends(number: int) -> bool:
        while number in parents and number != process:
            number = parents[number]
        return number == process

    return [number for number, name in names.items() if name.startswith("ray::Worker.make") and descends(number)]


def main() -> None:
    """Measure, and print what came of it."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--timed", type=int, default=100_000, help="lines of the comparison of throughput")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--beam-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="of the comparison, in turns")
    parser.add_argument("--shard-rows", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    how = chosen.workers, chosen.beam_size, chosen.shard_rows
    with tempfile.TemporaryDirectory(prefix="nmt-bulk-") as name:
        folder = Path(name)
        text, timed = folder / "text.en", folder / "timed.en"
        made = list(
            islice(varied([line for line in read_lines(chosen.text) if line.strip()]), max(chosen.lines, chosen.timed))
        )
        text.write_text("".join(f"{line}\n" for line in made[: chosen.lines]))
        timed.write_text("".join(f"{line}\n" for line in made[: chosen.timed]))
        rows: list[dict[str, Any]] = []
        for turn in range(chosen.rounds):
            parts = folder / f"bare-{turn}"
            parts.mkdir()
            alone = chosen.timed / bare(chosen.model, timed, parts, *how)
            whole = bulk(chosen.model, timed, folder / f"timed-{turn}.de", *how)["rows_per_second"]
            assert (
                b"".join(path.read_bytes() for path in sorted(parts.iterdir()))
                == (folder / f"timed-{turn}.de").read_bytes()
            )
            rows.append(
                {"lines": chosen.timed, "bare_per_second": alone, "bulk_per_second": whole, "ratio": whole / alone}
            )
            print(f"bare {alone:.0f} lines/s, nmt bulk {whole:.0f} lines/s: {100 * whole / alone:.1f} %", flush=True)
        output, expected = folder / "text.de", folder / "expected.de"
        if not chosen.lines:
            write_json(chosen.json, rows, workers=chosen.workers, beam_size=chosen.beam_size)
            return
        summary = bulk(chosen.model, text, output, *how, kills=chosen.kills)
        command = [sys.executable, "-m", "nmt", "translate", chosen.model, "--input", text, "--output", expected]
        subprocess.run([*map(str, command), "--beam-size", str(chosen.beam_size)], check=True)
        same = output.read_bytes() == expected.read_bytes()
        summary |= {"same_as_translate": same, "rows_written": output.read_bytes().count(b"\n")}
        print(json.dumps(summary))
        rows.append({key: value for key, value in summary.items() if key != "outputs"})
    write_json(chosen.json, rows, workers=chosen.workers, beam_size=chosen.beam_size)
    assert same
    assert summary["rows"] == summary["rows_written"] == chosen.lines


if __name__ == "__main__":
    main()
