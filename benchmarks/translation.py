"""Translating beside other systems, all interleaved in one run.

    bash benchmarks/peers/make.sh MODEL/joint.spm
    python benchmarks/translation.py MODEL [--quick] [--text FILE] [--test SOURCE REFERENCE] [--json FILE]

MODEL is a folder that `nmt train` left; the peers are made by the first command. Speed: sources of 16 subwords, and 16
steps of the decoder for each whatever a model thinks of it, since the peers' weights are random; a sentence at a time
and 64, greedy and with a beam of 5. Two cores are two threads in each product, or two workers with sentences of their
own: both are shown, and ratios are of each side's better. A ratio is the median over the rounds of ours over the
peer's sentences a second, with its smallest and largest value. Bergamot makes its subwords in that time, the others
are given theirs.

Processes: CPU time and memory of a command that translates one sentence, from its start to its end; with --text, the
time and the memory of `nmt translate` for all its lines. BLEU is of --test, by `nmt translate` as the row says.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sacrebleu
from measuring import spread, spread_text, write_json
from peers.asking import Server, System

CASES = [(sentences, beam) for sentences in (1, 64) for beam in (1, 5)]
# In a process of its own, whose memory is small: the peak of a child counts that of its parent when it began.
METER = """
import json, os, resource, sys, time
start = time.perf_counter()
pid = os.fork()
if not pid:
    os.dup2(os.open(sys.argv[1], os.O_RDONLY), 0)
    os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.execv(sys.argv[3], sys.argv[3:])
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - start
print(json.dumps({"status": status, "wall": wall, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))
"""


Measured = tuple[int, int, list[tuple[str, ...]], list[System]]
"""Lines, repeats, threads and further options of each run, and the systems."""


def systems_of(arguments: argparse.Namespace) -> list[System]:
    """Ours, and the peers that are there."""
    models = arguments.peers / "models"
    both, three = ((1, 1), (2, 1)), ((1, 1), (2, 1), (1, 2))
    ours = [System("nmt", "", arguments.model, precision) for precision in arguments.precisions]
    if (arguments.model / "shortlist.safetensors").exists() and arguments.shortlist:
        ours.append(System("nmt", "", arguments.model, "int8", shortlist=arguments.shortlist))
    peers = [System("OpenNMT-py LSTM", "opennmt", models / "opennmt", "float32", both)]
    sizes = ("small",) if arguments.quick else ("small", "base")
    for size in sizes:
        for precision in ("float32", "int8"):
            settings = three if size == "small" else ((1, 1), (1, 2))
            peers.append(System(f"CTranslate2 {size}", "ctranslate2", models / size, precision, settings))
    peers.append(System("bergamot", "bergamot", models / "bergamot", "int8"))
    there = [system for system in peers if system.model.exists()]
    for system in peers:
        if system not in there:
            print(f"{system.label}: not there; benchmarks/peers/make.sh makes it", file=sys.stderr)
    return ours + there


def measure_speed(systems: list[System], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Sentences a second of all systems in all cases, in rounds until the time is spent, at least three."""
    servers = [Server(system, arguments.peers, *setting) for system in systems for setting in system.settings]
    try:
        for server in servers:
            server.wait()
        times: dict[tuple[Server, int, int], list[float]] = {}
        start = time.perf_counter()
        rounds = 0
        while rounds < 3 or (time.perf_counter() - start) * (rounds + 1) / rounds < 60 * arguments.minutes:
            for case in CASES:
                for server in servers:
                    times.setdefault((server, *case), []).append(server.seconds(*case, arguments.seconds))
            rounds += 1
    finally:
        for server in servers:
            server.close()
    return [
        {
            "system": server.system.label,
            "cores": server.label,
            "sentences": sentences,
            "beam": beam,
            "sentences_per_second": 1 / statistics.median(each),
            "slowest": 1 / max(each),
            "fastest": 1 / min(each),
            "seconds": each,
        }
        for (server, sentences, beam), each in times.items()
    ]


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours over every peer in each case: on one core, and each side at its better."""
    found = []
    for sentences, beam in CASES:
        here = [row for row in rows if (row["sentences"], row["beam"]) == (sentences, beam)]
        for cores in ("1", "better"):
            best: dict[str, dict[str, Any]] = {}
            for row in here:
                rival = best.get(row["system"])
                if (cores == "better" or row["cores"] == "1") and (
                    rival is None or row["sentences_per_second"] > rival["sentences_per_second"]
                ):
                    best[row["system"]] = row
            for name, ours in best.items():
                for peer, theirs in best.items():
                    if name.startswith("nmt ") and not peer.startswith("nmt "):
                        times = spread(theirs["seconds"], ours["seconds"])
                        found.append(
                            {"ours": name, "peer": peer, "cores": cores, "sentences": sentences, "beam": beam, **times}
                        )
    return found


def metered(command: list[str], source: Path, variables: dict[str, str], target: Path = Path(os.devnull)) -> Any:
    """Wall and CPU seconds, and the peak of memory in MB, of a command from its start to its end."""
    meter = [sys.executable, "-I", "-S", "-c", METER, str(source), str(target), *command]
    result = json.loads(subprocess.run(meter, check=True, capture_output=True, text=True, env=variables).stdout)
    if result["status"]:
        raise SystemExit(f"{' '.join(command)}: failed")
    return result


def translate_command(system: System, *more: str) -> list[str]:
    """Our own command."""
    return [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        str(system.model),
        "--precision",
        system.precision,
        *system.more(),
        *more,
    ]


def measure_starts(systems: list[System], arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """What it takes to translate one sentence, from nothing."""
    line = folder / "line"
    line.write_text("A man in a red shirt is standing on the street and looks at the sea.\n")
    runs: dict[str, list[Any]] = {}
    for _ in range(3 if arguments.quick else 5):
        for system in systems:
            command = [*system.command(arguments.peers, 1, 1), "--once"]
            if not system.environment:
                command = translate_command(system, "--threads", "1")
            runs.setdefault(system.label, []).append(metered(command, line, system.variables()))
    return [
        {
            "system": system.label,
            "cpu_seconds": statistics.median(run["cpu"] for run in runs[system.label]),
            "peak_mb": statistics.median(run["mb"] for run in runs[system.label]),
            "model_mb": system.bytes() / 1e6,
        }
        for system in systems
    ]


def exported(system: System, folder: Path) -> System:
    """The same model in a file of its own, in int8."""
    path = folder / "model.nmt"
    export = [sys.executable, "-m", "nmt", "export", str(system.model), "--precision", "int8", "--out", str(path)]
    subprocess.run(export, check=True, capture_output=True, env=system.variables())
    return System("nmt file", "", path, "int8")


def lines_of(path: Path) -> list[str]:
    """Lines of a file, which may be compressed by gzip."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return text.decode().splitlines()


def measure_files(systems: list[System], arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """`nmt translate` on some lines and on many, with one worker and with two."""
    lines = lines_of(arguments.text)
    rows = []
    some: Measured = (1000 if arguments.quick else 2000, 3, [("1",), ("2",)], systems)
    smallest = [system for system in systems if system.precision == "int8"]
    many: Measured = (100_000, 1, [("2", "--beam-size", "1")], smallest)
    for count, repeats, settings, measured in [some] if arguments.quick else [some, many]:
        source = folder / "lines"
        source.write_text("".join(f"{lines[number % len(lines)]}\n" for number in range(count)))
        for system in measured:
            runs: dict[tuple[str, ...], list[Any]] = {}
            for _ in range(repeats):
                for setting in settings:
                    command = translate_command(system, "--threads", *setting)
                    runs.setdefault(setting, []).append(metered(command, source, system.variables()))
            walls = {setting: [run["wall"] for run in each] for setting, each in runs.items()}
            for setting, each in runs.items():
                row: dict[str, Any] = {
                    "system": system.label,
                    "lines": count,
                    "threads": " ".join(setting),
                    "seconds": statistics.median(walls[setting]),
                    "cpu_seconds": statistics.median(run["cpu"] for run in each),
                    "peak_mb": max(run["mb"] for run in each),
                }
                rows.append(row | spread(walls[("1",)], walls[setting], "over_one") if len(setting) == 1 else row)
    return rows


def measure_quality(systems: list[System], arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """BLEU of each of ours, greedy and with a beam of 5."""
    source, reference = arguments.test
    plain, found = folder / "source", folder / "found"
    plain.write_text("".join(f"{line}\n" for line in lines_of(source)))
    rows = []
    for system in systems:
        for beam in ("1", "5"):
            command = translate_command(system, "--beam-size", beam)
            metered(command, plain, system.variables(), found)
            bleu = sacrebleu.corpus_bleu(found.read_text().splitlines(), [lines_of(reference)])
            rows.append({"system": system.label, "beam": int(beam), "bleu": bleu.score})
    return rows


def print_speed(rows: list[dict[str, Any]]) -> None:
    """Sentences a second: a row for each system and number of cores."""
    titles = [f"{sentences} x beam {beam}" for sentences, beam in CASES]
    print(f"{'sentences a second (slowest-fastest)':<40}" + "".join(f"{title:>22}" for title in titles))
    for system, cores in dict.fromkeys((row["system"], row["cores"]) for row in rows):
        texts = [
            f"{row['sentences_per_second']:.0f} ({row['slowest']:.0f}-{row['fastest']:.0f})"
            for row in rows
            if (row["system"], row["cores"]) == (system, cores)
        ]
        print(f"{system + ', ' + cores:<40}" + "".join(f"{text:>22}" for text in texts))


def print_ratios(rows: list[dict[str, Any]]) -> None:
    """Ours over the peers."""
    titles = [f"{sentences} x beam {beam}" for sentences, beam in CASES]
    print(f"\n{'ours over (least-largest)':<76}" + "".join(f"{title:>22}" for title in titles))
    for ours, peer, cores in dict.fromkeys((row["ours"], row["peer"], row["cores"]) for row in rows):
        name = f"{ours} / {peer}, " + ("one core" if cores == "1" else "each at its better")
        texts = [spread_text(row) for row in rows if (row["ours"], row["peer"], row["cores"]) == (ours, peer, cores)]
        print(f"{name:<76}" + "".join(f"{text.strip():>22}" for text in texts))


def print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    """A table of whatever the rows hold."""
    print(f"\n{title}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names, *([_cell(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(names))]
    for row in table:
        print("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path, help="our model folder")
    options.add_argument("--peers", type=Path, default=Path("build/peers"), help="what peers/make.sh made")
    options.add_argument("--precisions", nargs="+", default=["float32", "int8"], help="of ours")
    options.add_argument("--shortlist", type=int, default=50, help="of ours, if the folder has one; 0: none")
    options.add_argument("--text", type=Path, help="lines for `nmt translate`, plain or .gz")
    options.add_argument("--test", type=Path, nargs=2, metavar=("SOURCE", "REFERENCE"), help="for BLEU")
    options.add_argument("--minutes", type=float, help="of the rounds; at least three are done")
    options.add_argument("--seconds", type=float, default=0.3, help="least time of one measurement")
    options.add_argument("--json", type=Path, help="also write the figures here")
    options.add_argument("--quick", action="store_true", help="about three minutes: fewer peers, rounds and lines")
    arguments = options.parse_args()
    if arguments.minutes is None:
        arguments.minutes = 1.5 if arguments.quick else 7.0
    if arguments.quick:
        arguments.seconds = min(arguments.seconds, 0.15)
    return arguments


def main() -> None:
    """Measure, print, write."""
    arguments = parse()
    systems = systems_of(arguments)
    ours = [system for system in systems if not system.environment]
    speed = measure_speed(systems, arguments)
    print_speed(speed)
    over = ratios(speed)
    print_ratios(over)
    result: dict[str, Any] = {"ratios": over}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, key, wanted, measure, of in (
            ("one sentence from a cold start", "starts", True, measure_starts, [*systems, exported(ours[0], folder)]),
            ("nmt translate, whole files", "files", arguments.text, measure_files, ours),
            ("BLEU", "quality", arguments.test, measure_quality, ours),
        ):
            if wanted:
                result[key] = measure(of, arguments, folder)
                print_rows(title, result[key])
    write_json(arguments.json, speed, cores=os.cpu_count(), **result)


if __name__ == "__main__":
    main()
