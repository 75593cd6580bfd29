"""The engine on a CUDA device: whether it is right, and how fast, beside cuDNN and torch operations. One run, one JSON.

    bash benchmarks/gpu.sh [--ids FOLDER] [--minutes 9] [--json FILE]     builds what is needed first
    python benchmarks/gpu.py --dry-run                                     a rehearsal without a card

Sections, in this order: every cell, policy and type, and products by cuBLAS, against float64; compute-sanitizer over
a small case; latencies of launches and of hand-overs between blocks; tokens a second of training, with cuBLAS and
without; MI-LSTM and layer-norm LSTM beside torch operations; LSTM beside cuDNN, eager and as CUDA graphs, padded and
packed, with the bytes kept. What does not fit into the time is left out. `--ids` is a folder of prepared data (`nmt
prepare` writes it), for real lengths of sentences.

A dry run needs the emulated library, tests/run.sh builds it: RNN_ENGINE_CUDA_LIBRARY=build/native/tests/cpp/emulator/
librnn_engine_cuda_emulated.so. Sizes are then tiny, the peers run on the CPU, and times mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tests" / "engine")]

import torch  # noqa: E402
from gpu_parts.correctness import correctness, small_case  # noqa: E402
from gpu_parts.layers import cudnn_matrix, other_cells  # noqa: E402
from gpu_parts.meter import Meter  # noqa: E402
from gpu_parts.products import products  # noqa: E402
from gpu_parts.tables import show  # noqa: E402
from gpu_parts.tools import latencies, sanitizer  # noqa: E402
from gpu_parts.training import training  # noqa: E402

from rnn_engine import native  # noqa: E402
from rnn_engine.nn import devices  # noqa: E402


def main() -> None:
    """Run all sections, write the JSON, print the table."""
    arguments = parse()
    started = time.monotonic()
    meter = make_meter(arguments, started)
    torch.manual_seed(0)
    if arguments.small_case:
        small_case(meter.device)
        meter.wait()
        return
    found: dict[str, Any] = {"machine": machine(meter)}
    sections: dict[str, Callable[[], Any]] = {
        "correctness": lambda: correctness(meter) + products(meter),
        "sanitizer": lambda: sanitizer(meter),
        "latency": lambda: latencies(meter),
        "training": lambda: training(meter, arguments.ids),
        "other_cells": lambda: list(other_cells(meter)),
        "lstm": lambda: list(cudnn_matrix(meter)),  # last: it fills the time that there is
    }
    for name, section in sections.items():
        if arguments.only and name not in arguments.only:
            continue
        before = time.monotonic()
        try:
            found[name] = section()
        except Exception as error:  # the other sections are still worth the card's time
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        found.setdefault("seconds", {})[name] = round(time.monotonic() - before, 1)
        print(f"{name}: {found['seconds'][name]} s", flush=True)
        write(found, arguments.json)  # what is done is kept, whatever happens
    show(found)
    if any(not row["right"] for row in found.get("correctness", []) if isinstance(row, dict)):
        raise SystemExit("some results are not right: see `correctness`")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="The engine on a CUDA device.")
    parser.add_argument("--ids", type=Path, help="folder of prepared data, for the lengths of training sentences")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for all of it (default 9)")
    parser.add_argument("--json", type=Path, help="where to write; benchmarks/results/gpu-CHIP-DATE.json if not given")
    parser.add_argument("--only", nargs="*", default=[], help="sections to run; all if none")
    parser.add_argument("--dry-run", action="store_true", help="a rehearsal with the emulated library")
    parser.add_argument("--small-case", action="store_true", help="the sanitizer's case alone")
    return parser.parse_args()


def make_meter(arguments: argparse.Namespace, started: float) -> Meter:
    """The device; in a dry run the CPU, whose tensors then go to the emulated library."""
    if arguments.dry_run:
        cpu = torch.device("cpu")
        devices._FACES["cpu"] = lambda index: devices.Cuda(0, cpu)
        torch.backends.cudnn.allow_tf32 = False
        return Meter(cpu, True, started + 60 * arguments.minutes)
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device: torch finds none; --dry-run rehearses without one")
    native.cuda_context(0)  # a library that is missing is told before anything is measured
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return Meter(torch.device("cuda", 0), False, started + 60 * arguments.minutes)


def machine(meter: Meter) -> dict[str, Any]:
    """What the numbers were measured on."""
    found = {
        "date": date.today().isoformat(),
        "dry_run": meter.dry,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "isa": native.cuda_context(0).isa,
        "library": str(native.cuda_library()),
        "products": native.cuda_context(0).products,
    }
    if not meter.dry:
        card = torch.cuda.get_device_properties(0)
        found |= {
            "chip": card.name,
            "memory": card.total_memory,
            "multiprocessors": card.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def write(found: dict[str, Any], path: Path | None) -> None:
    """Write the JSON; a dry run only where it is told to."""
    if path is None:
        if found["machine"]["dry_run"]:
            return
        chip = "-".join(found["machine"]["chip"].split()).lower()
        path = _HERE / "results" / f"gpu-{chip}-{found['machine']['date']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
