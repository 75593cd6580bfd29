"""Kills random processes of a training at random moments; the model must be that of a training without.

    python tests/parallel_kills.py [--processes 3] [--kills 20] [--seed N]

`torchrun --max-restarts` starts what is left anew, and the last checkpoint goes on. Prints each kill, and what was
compared. The suite has few such kills, at chosen steps (tests/integration/test_processes.py); this takes minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "integration"))

from synthetic import make_pairs, write_corpus

from nmt.commands.verify_resume import compare
from nmt.training.checkpoint import Checkpoints

CONFIG = """
folder = '{folder}/model'
data = {{ train = ['{source}', '{target}'], valid = ['{source}', '{target}'], vocabulary_size = 90 }}
model = {{ embedding_size = 16, hidden_size = 16, dropout = 0.2 }}
[training]
batch_tokens = 150
epochs = 1000000
max_steps = {steps}
validate_every = 100
checkpoint_every = 10
patience = 1000000
keep_checkpoints = 1000
ema_decay = 0.9
"""


def start(config: Path, folder: Path, processes: int) -> subprocess.Popen[bytes]:
    """Start a training that is started anew as often as need be."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["--max-restarts", "1000", "--monitor-interval", "0.1"]
    command += ["-m", "nmt", "train", str(config), "--set", f"folder={folder}"]
    with (folder.parent / f"{folder.name}.txt").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def workers(launcher: int) -> Iterator[int]:
    """The processes that train: children of `torchrun`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if int(fields[1]) == launcher and fields[0] != "Z" and b"train" in words:
                yield int(entry.name)


def main() -> None:
    """Train twice, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    base = Path(tempfile.mkdtemp(prefix="parallel_kills."))
    source, target = write_corpus(base / "text", make_pairs(60, seed=2))
    config = base / "config.toml"
    config.write_text(CONFIG.format(folder=base, source=source, target=target, steps=arguments.steps))

    straight, killed = base / "straight", base / "killed"
    if start(config, straight, arguments.processes).wait():
        raise SystemExit((base / "straight.txt").read_text())

    launcher = start(config, killed, arguments.processes)
    for number in range(1, arguments.kills + 1):
        before = (Checkpoints(killed).steps() or [0])[-1]
        # At any moment: of a start, which takes seconds, or of a step some time after it.
        goal, latest = (before, 4.0) if number % 4 == 0 else (before + chance.randint(1, 20), 1.0)
        while launcher.poll() is None and (Checkpoints(killed).steps() or [0])[-1] < goal:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, latest))
        running: list[int] = []
        while launcher.poll() is None and len(running) < arguments.processes:
            running = sorted(workers(launcher.pid))
        if launcher.poll() is not None:
            raise SystemExit(f"training ended before kill {number}; --steps must be more")
        rank = chance.randrange(len(running))
        os.kill(running[rank], signal.SIGKILL)
        print(f"kill {number}: process {rank}, last checkpoint {(Checkpoints(killed).steps() or [0])[-1]}", flush=True)
    if launcher.wait():
        raise SystemExit((base / "killed.txt").read_text())
    compared, differences = compare(straight, killed)
    print(f"{len(compared)} things compared, the last checkpoint is of step {Checkpoints(killed).steps()[-1]}")
    if differences:
        raise SystemExit("\n".join(differences[:20]))
    print("bit-equal")


if __name__ == "__main__":
    main()
