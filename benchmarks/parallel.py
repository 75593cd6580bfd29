"""What a step of several processes takes: over links of a given speed, and on the cores of this machine.

    python benchmarks/parallel.py [--processes 2 4 8] [--megabits 1000 100] [--json FILE]     (root, Linux)
    python benchmarks/parallel.py --config CONFIG [--json FILE]

The first puts each process into a network namespace of its own, whose link `tc` makes as slow as asked for.
Computing is slept, not done, so that two cores can stand for many machines: parameters of the size of the Multi30k
network's, whose gradients come one after the other in the second half of `--compute` seconds, as in a backward pass.
All processes share the cores of this machine, which many machines would not: what an exchange takes over a link that
nobody slows is measured first, and added to what the wire takes, but for what the wire makes up for meanwhile. What a
step takes is held against `nmt.training.exchange_time` with that, and with the wire alone. The second trains a network
for some steps: one process of one thread, one of two, two of one.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from measuring import write_json
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from nmt.config_file import load_config
from nmt.data.batching import Share
from nmt.data.preparation.prepare import PreparedData
from nmt.experiment import training_batches
from nmt.model.device import use_threads
from nmt.training.exchange_time import Link, sent_bytes, step_seconds
from nmt.training.gradients import ExchangedGradients, make_buckets
from nmt.training.processes import JoinedProcesses, joined
from nmt.training.trainer import Trainer, build_model

BRIDGE, NETWORK = "nmtbench", "10.213.77"
BURST = 0.01  # seconds of its rate that a link may send at once: timers of a busy machine are late
CONGESTION_CONTROL = "cubic"  # what Linux has, where nobody has chosen another
SHAPES = [(6000, 256), (6000,)]  # tied table and output bias
SHAPES += [(1280, 256), (1280, 320), (1280,), (1280,)] * 2 + [(1280, 640), (1280, 320), (1280,), (1280,)]  # encoder
SHAPES += [(1280, 256), (1280, 320), (1280,), (1280,), (1280, 320), (1280, 320), (1280,), (1280,)]  # decoder
SHAPES += [(320, 640), (320, 640), (320,), (320, 960), (320,), (256, 320), (256,)]  # attention, bridge, readout


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--megabits", type=int, nargs="+", default=[1000, 100])
    parser.add_argument("--compute", type=float, default=0.556, help="seconds of a step: Multi30k, two threads")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="with --config: how often each is run")
    parser.add_argument("--config", type=Path, help="train this, and use no namespaces")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=("links", "training"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker == "links":
        answer(arguments.compute, arguments.precision, arguments.steps)
    elif arguments.worker == "training":
        train(arguments.config, arguments.set, arguments.steps)
    else:
        rows = trainings(arguments) if arguments.config else links(arguments)
        write_json(arguments.json, rows)


def links(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure every number of processes over every link."""
    rows = []
    for size in arguments.processes:
        with namespaces(size) as names:
            options = ["--worker", "links", "--steps", arguments.steps, "--compute", arguments.compute]
            options += ["--precision", arguments.precision]
            workers = [
                start(options, rank, size, f"{NETWORK}.1", ["ip", "netns", "exec", name], GLOO_SOCKET_IFNAME="eth0")
                for rank, name in enumerate(names)
            ]
            own = statistics.median(slowest(asked(workers, "exchanges"), "exchanges"))
            for megabits in arguments.megabits:
                shape(names, megabits)
                found = asked(workers, "steps")
                row = {"processes": size, "megabits": megabits, "precision": arguments.precision}
                rows.append(row | summary(found, size, megabits, arguments.compute, arguments.precision, own))
                print(rows[-1], flush=True)
            for worker in workers:  # no more lines: they end, all of them together
                assert worker.stdin is not None
                worker.stdin.close()
            for worker in workers:
                worker.wait()
    return rows


def asked(workers: Sequence[subprocess.Popen[str]], what: str) -> list[dict[str, Any]]:
    """Let all workers measure exchanges alone, or steps as well."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(f"{what}\n")
        worker.stdin.flush()
    return [json.loads(read(worker)) for worker in workers]


def slowest(found: Sequence[dict[str, Any]], what: str) -> list[float]:
    """Of each step the time of the process that it took longest."""
    return [max(times) for times in zip(*(each[what] for each in found), strict=True)]


def summary(
    found: Sequence[dict[str, Any]], size: int, megabits: int, compute: float, precision: str, own: float
) -> dict[str, Any]:
    """Hold what was measured against what is predicted; `own` is what an exchange takes without the wire."""
    buckets = [bucket.values.nbytes for bucket in make_buckets(parameters(), size, getattr(torch, precision))]
    wire = Link(1e6 * megabits)
    alone = step_seconds(0.0, buckets, size, wire)
    shown = alone - hidden_seconds(buckets, size, alone, own)
    both = Link(wire.bits_per_second * alone / (own + shown), wire.latency)
    predicted = step_seconds(compute, buckets, size, both)
    steps, exchange = slowest(found, "steps"), slowest(found, "exchanges")
    measured = statistics.median(steps)
    return {
        "sent_bytes": round(statistics.fmean(each["sent_bytes"] for each in found)),
        "sent_bytes_predicted": round(sent_bytes(buckets, size)),
        "segments_sent_again": round(statistics.fmean(each["segments_sent_again"] for each in found), 1),
        "exchange_seconds": statistics.median(exchange),
        "exchange_seconds_unshaped": own,
        "exchange_seconds_predicted": step_seconds(0.0, buckets, size, both),
        "exchange_seconds_of_the_wire": alone,
        "step_seconds": measured,
        "step_seconds_min": min(steps),
        "step_seconds_max": max(steps),
        "step_seconds_predicted": predicted,
        "step_seconds_of_the_wire": step_seconds(compute, buckets, size, wire),
        "efficiency": compute / measured,
        "efficiency_predicted": compute / predicted,
    }


def hidden_seconds(buckets: Sequence[int], size: int, wire: float, own: float) -> float:
    """What a link makes up for of an exchange's time on the wire: while the cores are busy with a message, it saves the
    right to send up to a burst at once."""
    messages = 2 * (size - 1) * len(buckets)
    return messages * min(BURST, wire / messages, own / messages)


class Slowly(torch.autograd.Function):
    """Hands a number on; in the backward pass it takes its time and gives a parameter its gradient."""

    @staticmethod
    def forward(ctx: Any, number: Tensor, parameter: Tensor, seconds: float) -> Tensor:
        """See the class."""
        ctx.gradient, ctx.seconds = torch.ones_like(parameter), seconds
        return number.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """See the class."""
        time.sleep(ctx.seconds)  # type: ignore[attr-defined]
        return gradient, ctx.gradient, None  # type: ignore[attr-defined]


def parameters() -> list[nn.Parameter]:
    """Parameters of the size of the Multi30k network's."""
    return [nn.Parameter(torch.zeros(each)) for each in SHAPES]


def answer(compute: float, precision: Any, steps: int) -> None:
    """For each line that comes, take steps that compute nothing, and tell how long they took."""
    network = parameters()
    total = sum(each.numel() for each in network)
    with joined(cuda=False) as processes:
        assert isinstance(processes, JoinedProcesses)
        gradients = ExchangedGradients(network, processes, precision)

        def step(seconds: float) -> float:
            processes.gather(0.0).result()  # all begin together
            start = time.perf_counter()
            shares = processes.gather(1.0)
            number = torch.zeros((), requires_grad=True)
            for each in network:  # the first one's gradient comes last
                number = Slowly.apply(number, each, 0.5 * seconds * each.numel() / total)
            time.sleep(0.5 * seconds)
            gradients.next_is_last(shares)
            number.backward()
            gradients.finish(shares)
            processes.gather(0.0, 0.0).result()
            processes.gather(0.0, 0.0).result()
            for each in network:
                each.grad = None
            return time.perf_counter() - start

        for what in sys.stdin:
            step(0.0)
            before, before_again = transmitted(), sent_again()
            exchanges = [step(0.0) for _ in range(steps)]
            sent, again = (transmitted() - before) / steps, (sent_again() - before_again) / steps
            computed = [step(compute) for _ in range(steps)] if what.strip() == "steps" else []
            found = {"exchanges": exchanges, "steps": computed, "sent_bytes": sent, "segments_sent_again": again}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


def transmitted() -> int:
    """Bytes that have left this namespace."""
    return int(Path("/sys/class/net/eth0/statistics/tx_bytes").read_text())


def sent_again() -> int:
    """TCP segments that this namespace has sent more than once."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Tcp:")
    return int(values[names.index("RetransSegs")])


@contextmanager
def namespaces(size: int) -> Iterator[list[str]]:
    """Make network namespaces that a bridge connects; removed in the end."""
    names = [f"{BRIDGE}{rank}" for rank in range(size)]
    remove(names)  # what a run left that was killed
    try:
        call(f"ip link add {BRIDGE} type bridge")
        call(f"ip link set {BRIDGE} up")
        for rank, name in enumerate(names):
            call(f"ip netns add {name}")
            call(f"ip link add {BRIDGE}v{rank} type veth peer name eth0 netns {name}")
            call(f"ip link set {BRIDGE}v{rank} master {BRIDGE} up")
            for command in (f"addr add {NETWORK}.{rank + 1}/24 dev eth0", "link set eth0 up", "link set lo up"):
                call(f"ip -n {name} {command}")
            call(f"ip -n {name} route replace {NETWORK}.0/24 dev eth0 congctl {CONGESTION_CONTROL}")
        yield names
    finally:
        remove(names)


def remove(names: Sequence[str]) -> None:
    """Remove the namespaces of these names, and what connects them, where they are."""
    links = [f"link delete {BRIDGE}v{rank}" for rank in range(len(names))]
    for command in (*links, *(f"netns delete {name}" for name in names), f"link delete {BRIDGE}"):
        subprocess.run(["ip", *command.split()], check=False, stderr=subprocess.DEVNULL)


def shape(names: Sequence[str], megabits: int) -> None:
    """Let nothing leave or enter a namespace faster."""
    burst = round(megabits * 1e6 / 8 * BURST)
    for rank, name in enumerate(names):
        for where in (f"tc -n {name} qdisc replace dev eth0", f"tc qdisc replace dev {BRIDGE}v{rank}"):
            call(f"{where} root tbf rate {megabits}mbit burst {burst} limit {3 * burst}")  # twice that waits


def call(command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command.split(), check=True)


def trainings(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure trainings, in turns, so that other load falls on all alike."""
    cases = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread": (2, 1)}
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, (size, threads) in cases.items():
            options = ["--worker", "training", "--config", arguments.config, "--steps", arguments.steps]
            options += [part for each in arguments.set for part in ("--set", each)]
            options += ["--set", f"training.threads={threads}"]
            workers = [start(options, rank, size, "127.0.0.1", []) for rank in range(size)]
            rates = [json.loads(read(worker))["target_tokens_per_second"] for worker in workers]
            for worker in workers:
                worker.communicate()
            found[name].append(min(rates))
    rows = []
    base = statistics.median(found["1 process, 1 thread"])
    for name, values in found.items():
        rate = statistics.median(values)
        spread = {"min": min(values), "max": max(values), "over_one_thread": rate / base}
        rows.append({"case": name, "target_tokens_per_second": rate, **spread})
        print(rows[-1])
    return rows


def train(path: Path, overrides: Sequence[str], steps: int) -> None:
    """Train some steps, and tell how fast all processes together were."""
    config = load_config(path, overrides)
    use_threads(config.training.threads)
    data = PreparedData.open(config)
    with joined(cuda=False) as processes:
        model = build_model(config, data.source_subwords.size, data.target_subwords.size)
        batches = training_batches(config, data)
        trainer = Trainer(config, model, batches, [], None, {}, None, processes)
        source = batches.batches(0, 0, Share(processes.rank, 1, processes.size))
        tokens, seconds = 0, 0.0
        for number in range(2 + steps):
            start = time.perf_counter()
            report = trainer.step(next(source))
            if number >= 2:
                tokens, seconds = tokens + report.tokens, seconds + time.perf_counter() - start
    sys.stdout.write(json.dumps({"target_tokens_per_second": tokens / seconds}) + "\n")


def start(
    options: Sequence[object], rank: int, size: int, master: str, before: Sequence[str], **environment: str
) -> subprocess.Popen[str]:
    """Start a process of a training, by this file."""
    global _port  # noqa: PLW0603
    if rank == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            _port = free.getsockname()[1]
    told = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": size, "MASTER_ADDR": master, "MASTER_PORT": _port}
    told |= {"OMP_NUM_THREADS": 1, "OMP_WAIT_POLICY": "passive"}
    command = [*before, sys.executable, __file__, *map(str, options)]
    environment = {**os.environ, **environment, **{name: str(value) for name, value in told.items()}}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


_port = 0


def read(worker: subprocess.Popen[str]) -> str:
    """Wait for a line."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a worker ended with {worker.wait()}")
    return line


if __name__ == "__main__":
    main()
