"""Many models in one process: memory within a budget, the right model each time, the first request of a closed model.

    python benchmarks/serving_models.py MODEL... [--text FILE] [--models N] [--budget MB] [--threads N] [--requests N]
                                        [--digests] [--json FILE]

MODEL are files that `nmt export` wrote, of which a folder of N copies is made, in turn, each for a pair of languages
of its own. First every model is asked for once while none is open, with its file in the system's memory and then read
anew from the disk: the time from asking to the translation of one line. Then threads ask for models by chance, and
some lines for each; a request is wrong if it gets other translations than the file itself gives. Memory is all that the
process has resident, mapped files too, beyond what it has when one model was opened and closed: sampled meanwhile, and
in the end, when all are closed. With --digests, `models.toml` lists SHA-256 digests, which are compared on opening.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from nmt.decoding.translator import Translator
from nmt.process import give_back_memory
from nmt.server.listing import digest_of
from nmt.server.registry import ModelOptions, Models
from nmt.server.registry_file import ModelRow, write_registry

LINES = (
    "Two men are talking on the street .",
    "Das kostet 3 Euro.",
    "A dog runs through the grass.",
    "Ein Mann liest ein Buch .",
)


class Asked(NamedTuple):
    """A model of the folder, and what it is to say."""

    source: str
    target: str
    expected: list[str]
    """Translations of the lines."""


def resident() -> tuple[float, float]:
    """Megabytes of the process: its own, and those of files that it maps, be they copies in memory."""
    status = Path("/proc/self/status").read_text()
    sizes = {name: int(size) * 1024 / 1e6 for name, size in re.findall(r"Rss(\w+):\s+(\d+)", status)}
    return sizes["Anon"], sizes["File"] + sizes["Shmem"]


def make_folder(folder: Path, originals: list[Path], count: int, lines: list[str], digests: bool) -> list[Asked]:
    """Copy models into a folder; return what is to be asked of them."""
    expected = [Translator.load(path, threads=1).translate(lines) for path in originals]
    digest = [digest_of(path) if digests else None for path in originals]
    rows, asked = [], []
    for number in range(count):
        which = number % len(originals)
        file = f"{number}.nmt"
        shutil.copyfile(originals[which], folder / file)
        row = ModelRow(file=file, source=f"s{code(number)}", target=f"t{code(number)}", sha256=digest[which])
        rows.append(row)
        asked.append(Asked(row.source, row.target, expected[which]))
    write_registry(folder, rows)
    return asked


def code(number: int) -> str:
    """A number in letters, as in codes of languages."""
    return "".join(chr(97 + int(digit)) for digit in f"{number:03}")


def first_requests(models: Models, asked: list[Asked], folder: Path, line: str, drop: bool) -> dict[str, object]:
    """Milliseconds until a model that is closed has translated a line; `drop`: its file is read from the disk."""
    times, processor = [], []
    for number, each in enumerate(asked):
        models.close()
        if drop:
            with (folder / f"{number}.nmt").open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        begin = time.perf_counter(), time.process_time()
        with models.use(each.source, each.target) as model:
            model.translator.translate_detailed([line])
        times.append(1000 * (time.perf_counter() - begin[0]))
        processor.append(1000 * (time.process_time() - begin[1]))
    return {"wall": spread(times), "processor": spread(processor)}


def by_chance(models: Models, asked: list[Asked], lines: list[str], requests: int, threads: int) -> tuple[int, float]:
    """Ask for models by chance from several threads; return the number of wrong answers, and requests a second."""

    def ask(seed: int) -> int:
        chance, wrong = random.Random(seed), 0
        for _ in range(requests // threads):
            each = chance.choice(asked)
            which = chance.sample(range(len(lines)), 2)
            with models.use(each.source, each.target) as model:
                found = model.translator.translate_detailed([lines[number] for number in which])
            wrong += [one.text for one in found] != [each.expected[number] for number in which]
        return wrong

    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        wrong = sum(pool.map(ask, range(threads)))
    return wrong, requests / (time.perf_counter() - begin)


def spread(times: list[float]) -> dict[str, float]:
    """Median, 99th percentile and largest."""
    return {
        "median": statistics.median(times),
        "p99": sorted(times)[int(0.99 * (len(times) - 1))],
        "largest": max(times),
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Make the folder, and ask."""
    lines = list(LINES)
    if arguments.text is not None:
        lines = arguments.text.read_text(encoding="utf-8").splitlines()[: arguments.lines]
    asked = make_folder(folder, arguments.model, arguments.models, lines, arguments.digests)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    begin = time.perf_counter()
    models = Models([folder], ModelOptions(memory=round(arguments.budget * 1e6), threads=1))
    listed = 1000 * (time.perf_counter() - begin)
    with models.use(asked[0].source, asked[0].target) as model:
        model.translator.translate_detailed(lines)
    models.close()
    base = sum(resident())
    told: dict[str, object] = {"models": len(asked), "megabytes": size, "listed_ms": listed, "base_mb": base}
    told["first_ms"] = first_requests(models, asked, folder, lines[0], drop=False)
    told["first_from_disk_ms"] = first_requests(models, asked, folder, lines[0], drop=True)
    models.close()
    peak = [0.0, 0.0, 0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            own, mapped = resident()
            peak[:] = max(peak[0], own + mapped - base), max(peak[1], models.usage().bytes / 1e6), max(peak[2], own)

    watcher = threading.Thread(target=watch)
    watcher.start()
    wrong, speed = by_chance(models, asked, lines, arguments.requests, arguments.threads)
    done.set()
    watcher.join()
    own, mapped = resident()
    told |= {
        "requests": arguments.requests,
        "wrong": wrong,
        "requests_per_second": speed,
        "budget_mb": arguments.budget,
        "peak_mb_beyond_base": peak[0],
        "peak_mb_as_counted": peak[1],
        "end_mb_beyond_base": own + mapped - base,
        "usage": models.usage()._asdict(),
    }
    models.close()
    give_back_memory()
    told["closed_mb_beyond_base"] = sum(resident()) - base
    return told


def main() -> None:
    """Read arguments, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="+")
    parser.add_argument("--text", type=Path, help="lines to translate, instead of four")
    parser.add_argument("--lines", type=int, default=200, help="of these, so many")
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--budget", type=float, default=300, help="megabytes")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = measure(arguments, Path(folder))
    for name, value in told.items():
        print(f"{name}: {value}")
    if arguments.json is not None:
        from measuring import write_json  # noqa: PLC0415  (imports torch, whose memory would be counted)

        write_json(arguments.json, [told])


if __name__ == "__main__":
    main()
