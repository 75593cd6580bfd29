"""What a service of many directions would take, on paper: cores, hosts, memory, core-hours, and what limits first.

    python benchmarks/scale_model.py [--directions N] [--per-day N] [--peak P] [--zipf S] [--load L]
        [--host-cores C] [--host-memory GIB] [--core-hour PRICE] [--results FILE] [--json]

Measured are sentences a second on one core (`rows` of the results of benchmarks/translation.py: int8, 16 subwords in
and out; 64 at once for bulk, one at a time for a service whose lines come alone) and what a process and a model take
(docs/serve.md, "Sizing"). All else is a parameter. Of the directions, the n-th is asked for 1 / n^S times as often as
the first (Zipf's law), and every host serves all of them.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results" / "translation-2026-11-28.json"
PROCESS_MIB = 65
"""A service that has answered (docs/serve.md)."""
MODEL_MIB, MODEL_MOST_MIB = 3, 25
"""Each open model beside its file, at first and when it is used much."""
FILE_MIB = 7.9
"""The largest of the int8 files measured there."""
OPEN_SECONDS = 0.1
"""The first request for a direction, of docs/serve.md."""
SUBWORD_BYTES = 6
"""Of text, a subword, about; both ways."""
SUBWORDS = 16


class Speed(NamedTuple):
    """Sentences a second of a core."""

    name: str
    system: str
    sentences: int
    beam: int


SPEEDS = (
    Speed("bulk, greedy", "nmt int8", 64, 1),
    Speed("bulk, beam 5", "nmt int8", 64, 5),
    Speed("bulk, beam 5, shortlist", "nmt int8 + shortlist 50", 64, 5),
    Speed("one by one, greedy", "nmt int8", 1, 1),
    Speed("one by one, beam 5", "nmt int8", 1, 5),
)


def speed_of(results: dict[str, Any], speed: Speed) -> float:
    """Look a measured speed up."""
    for row in results["rows"]:
        if (row["system"], row["cores"], row["sentences"], row["beam"]) == (speed.system, "1", *speed[2:]):
            return float(row["sentences_per_second"])
    raise SystemExit(f"no row for {speed}")


def shares(directions: int, exponent: float) -> list[float]:
    """Part of all sentences that each direction has, by Zipf's law."""
    weights = [1 / rank**exponent for rank in range(1, directions + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def need(rate: float, chosen: argparse.Namespace) -> dict[str, float]:
    """What a speed of a core means for the whole."""
    mean = chosen.per_day / 86_400
    cores = mean * chosen.peak / (rate * chosen.load)
    hours = 1e6 / rate / 3600
    return {
        "per_core": rate,
        "cores_mean": mean / rate,
        "cores": cores,
        "hosts": math.ceil(cores / chosen.host_cores),
        "core_hours_per_million": hours,
        "paid_core_hours_per_million": cores * 24 / chosen.per_day * 1e6,
        "price_per_million": cores * 24 / chosen.per_day * 1e6 * chosen.core_hour,
    }


def memory(hosts: int, chosen: argparse.Namespace) -> dict[str, float]:
    """What models take of a host, and how much of it is asked for."""
    part = shares(chosen.directions, chosen.zipf)
    per_host = chosen.per_day * chosen.peak / 86_400 / hosts
    warm = sum(1 for share in part if per_host * share * 60 >= 1)
    return {
        "all_open_gib": (PROCESS_MIB + chosen.directions * (FILE_MIB + MODEL_MIB)) / 1024,
        "all_used_gib": (PROCESS_MIB + chosen.directions * (FILE_MIB + MODEL_MOST_MIB)) / 1024,
        "fit_in_memory": (chosen.host_memory * 1024 - PROCESS_MIB) / (FILE_MIB + MODEL_MOST_MIB),
        "first_direction_share": part[0],
        "first_hundred_share": math.fsum(part[:100]),
        "directions_below_a_core": sum(
            1 for share in part if share * chosen.per_day * chosen.peak / 86_400 < chosen.core_speed
        ),
        "asked_within_a_minute": warm,
        "opening_share": chosen.directions * OPEN_SECONDS / (chosen.host_cores * 86_400),
    }


def main() -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directions", type=int, default=2_000)
    parser.add_argument("--per-day", type=float, default=4.5e9, help="sentences")
    parser.add_argument("--peak", type=float, default=2.0, help="of the busiest second over the mean")
    parser.add_argument("--load", type=float, default=0.7, help="of a core, at the peak; more makes queues")
    parser.add_argument("--zipf", type=float, default=1.0, help="exponent of the directions' popularity")
    parser.add_argument("--host-cores", type=int, default=64)
    parser.add_argument("--host-memory", type=float, default=256, help="GiB")
    parser.add_argument("--core-hour", type=float, default=0.02, help="price, in any currency")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    results = json.loads(chosen.results.read_text())
    found: dict[str, Any] = {each.name: need(speed_of(results, each), chosen) for each in SPEEDS}
    chosen.core_speed = found["one by one, beam 5"]["per_core"]
    hosts = found["one by one, beam 5"]["hosts"]
    network = chosen.per_day * chosen.peak / 86_400 / hosts * 2 * SUBWORDS * SUBWORD_BYTES
    of_host = memory(hosts, chosen) | {"text_megabytes_per_second": network / 1e6}
    if chosen.json:
        print(json.dumps({"speeds": found, "host": of_host}, indent=1))
        return
    print("| how | sentences/s a core | cores, mean | cores | hosts | core-hours a million | paid | price a million |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in found.items():
        figures = [f"{row[key]:,.0f}" for key in ("per_core", "cores_mean", "cores", "hosts")]
        figures += [f"{row['core_hours_per_million']:.2f}", f"{row['paid_core_hours_per_million']:.2f}"]
        print(f"| {name} | {' | '.join(figures)} | {row['price_per_million']:.3f} |")
    for name, value in of_host.items():
        print(f"{name}: {value:,.6g}")


if __name__ == "__main__":
    main()
