"""Training steps beside others: an earlier version of ours, and OpenNMT-py with a network of the same shape.

    python benchmarks/training_beside.py CONFIG [--before FOLDER] [--peers build/peers] [--repeats 7] [--json FILE]

All do the same steps: batches of 64 sentences of CONFIG's data, of like length, forward, backward, clipping and update,
by turns. FOLDER is another checkout with a `.venv` of its own, in which it is installed. `benchmarks/peers/make.sh`
makes build/peers; OpenNMT-py has no step in bfloat16 on a CPU, and is measured in float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from measuring import parser, spread, spread_text, write_json
from peers.training_rounds import Integers

from nmt.config_file import load_config
from nmt.data.batching import pad
from nmt.data.preparation.prepare import PreparedData, prepare

HERE = Path(__file__).parent / "peers"
SENTENCES, WARMUP = 64, 3


class Trainer:
    """A process that trains, a round at a time."""

    def __init__(self, python: str, script: str, *options: str, imports: str | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMP_"))}
        if imports:
            environment |= {"PYTHONPATH": imports, "OMP_WAIT_POLICY": "passive"}  # as `nmt` sets it
        self._command = [python, str(HERE / script), *options]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def steps(self, count: int) -> dict[str, float]:
        """What they took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(count, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._command}: ended")
        found: dict[str, float] = json.loads(answer)
        return found


def write_batches(data: PreparedData, count: int, path: Path) -> None:
    """Write batches of sentences of like length, from all lengths that there are."""
    order = np.argsort(data.train.lengths("source"), kind="stable")
    starts = np.linspace(0, len(order) - SENTENCES, count).astype(int)
    arrays: dict[str, Integers] = {}
    for number, start in enumerate(np.random.default_rng(1).permutation(starts)):
        chosen = order[start : start + SENTENCES][::-1]
        source, target = zip(*(data.train.pair(index) for index in chosen), strict=True)
        arrays[f"source_{number}"] = pad(source, eos=True)
        arrays[f"source_lengths_{number}"] = np.array([len(ids) + 1 for ids in source])
        arrays[f"target_{number}"] = pad(target, bos=True, eos=True)
        arrays[f"target_lengths_{number}"] = np.array([len(ids) + 1 for ids in target])
    np.savez(path, **arrays)  # type: ignore[arg-type]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, repeats=7)
    options.add_argument("config", type=Path, help="TOML file")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    options.add_argument("--before", type=Path, help="another checkout of ours")
    options.add_argument("--peers", type=Path, help="environments of others")
    options.add_argument("--steps", type=int, default=20, help="of a round")
    asked = options.parse_args()
    config = load_config(asked.config, asked.set)
    prepare(config)
    with TemporaryDirectory() as folder:
        batches = Path(folder, "batches.npz")
        write_batches(PreparedData.open(config), asked.steps, batches)
        trainers = started(asked, str(batches))
        for trainer in trainers.values():
            trainer.steps(WARMUP)
        rounds = [{name: each.steps(asked.steps) for name, each in trainers.items()} for _ in range(asked.repeats)]
    rows = [row_of(name, rounds) for name in trainers]
    for row in rows:
        print(
            f"{row['trainer']:<18}{1e3 * row['seconds'] / asked.steps:7.0f} ms a step, {row['cpu_seconds']:6.2f} CPU s"
            f" a round, {row['peak_mib']:6.0f} MiB; as long as ours in float32: {spread_text(row)}, in CPU time"
            f" {spread_text(row, 'cpu_ratio')}"
        )
    write_json(asked.json, rows, threads=asked.threads, steps=asked.steps, rounds=asked.repeats)


def started(asked: Any, batches: str) -> dict[str, Trainer]:
    """The trainers by name."""
    here = str(Path(__file__).parents[1])
    pythons = {"ours": (sys.executable, here)}
    if asked.before:
        pythons["before"] = (str(asked.before / ".venv/bin/python"), str(asked.before))
    found = {
        f"{name} {precision}": Trainer(
            python,
            "train_with_nmt.py",
            *(batches, "--threads", str(asked.threads), "--config", str(asked.config)),
            *(word for setting in (*asked.set, f"training.precision={precision}") for word in ("--set", setting)),
            imports=imports,
        )
        for precision in ("float32", "bfloat16")
        for name, (python, imports) in pythons.items()
    }
    if asked.peers:
        python = str(asked.peers / "opennmt/bin/python")
        found["opennmt float32"] = Trainer(python, "train_with_opennmt.py", batches, "--threads", str(asked.threads))
    return found


def row_of(name: str, rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """One trainer's figures, and how many times as long as ours in float32 it took."""
    own = [each[name] for each in rounds]
    ours = [each["ours float32"] for each in rounds]
    median = {key: float(np.median([each[key] for each in own])) for key in own[0]}
    ratios = {
        key: ([each[field] for each in own], [each[field] for each in ours])
        for key, field in (("ratio", "seconds"), ("cpu_ratio", "cpu_seconds"))
    }
    return {"trainer": name, **median, **{k: v for key, pair in ratios.items() for k, v in spread(*pair, key).items()}}


if __name__ == "__main__":
    main()
