"""What padding costs: batches of sequences of different lengths, forward+backward, float32.

    python benchmarks/ragged.py [--text FILE] [--batches 4] [--threads 2] [--repeats 5] [--json FILE]

Lengths are those of the lines of FILE (words, and one for the end; gzip or plain), else drawn from a log-normal
distribution like that of Multi30k's English captions. `random` batches take lengths as they come; `sorted` ones take
neighbours out of sorted lengths, as a training loop with buckets does. For each batch, interleaved in one run:

    lengths   rnn_engine.LSTM on the dense batch with `lengths`
    packed    the same layer on a PackedSequence of the same batch
    equal     the same layer on as many tokens in sequences of equal length: no padding anywhere
    torch     torch.nn.LSTM on the PackedSequence

Figures are microseconds a token, medians over the repeats summed over the batches. `padding costs` is lengths / equal
- 1, `against torch` torch / packed. Equal batches have round(tokens / B) steps.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Work, interleaved, parser, write_json
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnn_engine

NAMES = ("lengths", "packed", "equal", "torch")


def corpus_lengths(text: Path | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Steps of many sequences."""
    if text is None:
        return np.clip(np.exp(rng.normal(2.54, 0.28, 29000)).round(), 2, 60).astype(np.int64)
    with gzip.open(text, "rt") if text.suffix == ".gz" else text.open() as lines:
        return np.array([len(line.split()) + 1 for line in lines], dtype=np.int64)


def batches_of(lengths: NDArray[np.int64], size: int, count: int, rng: np.random.Generator) -> dict[str, list[Any]]:
    """For each way of making batches, some of them."""
    shuffled, in_order = rng.permutation(lengths), np.sort(lengths)
    starts = np.linspace(0, len(lengths) - size, count + 2)[1:-1].astype(int)
    return {
        "random": [shuffled[i * size : (i + 1) * size] for i in range(count)],
        "sorted": [rng.permutation(in_order[start : start + size]) for start in starts],
    }


def works(lengths: NDArray[np.int64], ours: nn.Module, theirs: nn.Module, hidden: int) -> list[Work]:
    """One forward and backward pass for each of NAMES."""
    steps, batch = int(lengths.max()), len(lengths)
    x = torch.randn(steps, batch, hidden)
    packed = pack_padded_sequence(x, torch.from_numpy(lengths), enforce_sorted=False)
    packed.data.requires_grad_()
    equal = torch.randn(round(lengths.sum() / batch), batch, hidden, requires_grad=True)
    x.requires_grad_()
    gradients = {tensor.shape: torch.randn_like(tensor) for tensor in (x, packed.data, equal)}

    def backward(layer: nn.Module, output: Any, leaf: torch.Tensor) -> None:
        output.backward(gradients[output.shape])
        leaf.grad = None
        layer.zero_grad(set_to_none=True)

    return [
        lambda: backward(ours, ours(x, lengths=lengths)[0], x),
        lambda: backward(ours, ours(packed)[0].data, packed.data),
        lambda: backward(ours, ours(equal)[0], equal),
        lambda: backward(theirs, theirs(packed)[0].data, packed.data),
    ]


def measure(batches: list[Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Microseconds a token by name, and the two ratios."""
    ours, theirs = (cls(arguments.hidden, arguments.hidden, arguments.layers) for cls in (rnn_engine.LSTM, nn.LSTM))
    totals = dict.fromkeys(NAMES, 0.0)
    tokens = dict.fromkeys(NAMES, 0)
    for lengths in batches:
        times = interleaved(works(lengths, ours, theirs, arguments.hidden), arguments.repeats)
        for name, taken in zip(NAMES, times, strict=True):
            totals[name] += statistics.median(taken)
            equal = round(lengths.sum() / len(lengths)) * len(lengths)
            tokens[name] += int(equal if name == "equal" else lengths.sum())
    row: dict[str, Any] = {name: totals[name] / tokens[name] * 1e6 for name in NAMES}
    row["tokens"] = tokens["lengths"]
    row["padding"] = 1 - row["tokens"] / sum(int(lengths.max()) * len(lengths) for lengths in batches)
    row["padding_costs"] = row["lengths"] / row["equal"] - 1
    row["against_torch"] = row["torch"] / row["packed"]
    return row


def main() -> None:
    """Measures both kinds of batches and prints the table."""
    options = parser(__doc__)
    options.add_argument("--text", type=Path, help="take the lengths of this file's lines")
    options.add_argument("--batches", type=int, default=4)
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--hidden", type=int, default=512)
    options.add_argument("--layers", type=int, default=2)
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    kinds = batches_of(corpus_lengths(arguments.text, rng), arguments.batch_size, arguments.batches, rng)

    print(
        f"{'batches':>8} {'padding':>8} " + " ".join(f"{name:>8}" for name in NAMES) + "  padding costs  against torch"
    )
    rows = []
    for kind, batches in kinds.items():
        row = {"batches": kind} | measure(batches, arguments)
        rows.append(row)
        print(
            f"{kind:>8} {row['padding']:8.0%} "
            + " ".join(f"{row[name]:8.1f}" for name in NAMES)
            + f" {row['padding_costs']:14.1%} {row['against_torch']:14.2f}",
            flush=True,
        )
    source = arguments.text.name if arguments.text else "log-normal"
    write_json(arguments.json, rows, threads=arguments.threads, lengths=source)


if __name__ == "__main__":
    main()
