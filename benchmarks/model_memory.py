"""Memory of whole training steps, beside the same network in torch's operations.

    python benchmarks/model_memory.py [--shape LAYERS,H,V,S,B] [--precisions float32 bfloat16]
        [--memory store recompute] [--steps 2] [--threads 2] [--json FILE]

A bidirectional encoder and a decoder of LAYERS layers each, all H wide, as the embeddings, which the output layer
shares; V subwords, B pairs of S source and S target steps. Theirs: torch.nn.LSTM, bmm + softmax + bmm, F.linear and
F.cross_entropy, with the same dropouts, optimiser and clipping; in bfloat16 under torch.autocast. Every row is a fresh
process: the most resident memory that it has in some steps, and how far that is above what parameters, gradients and
moments take. Linux only.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from measuring import in_fresh_process, numbers, parser, status_bytes, write_json
from torch import Tensor, nn
from torch.nn import functional
from torch_layers import ResidualLSTM

from nmt.config import Config
from nmt.data.batching import Batch
from nmt.model.seq2seq import Seq2Seq
from nmt.training.footprint import Footprint
from nmt.training.loss import batch_loss
from nmt.training.optimizer import GradientClipper, make_optimizer
from nmt.training.precision import mixed

DROPOUT, SMOOTHING = 0.3, 0.1


class TorchModel(nn.Module):
    """The network of `nmt`, in operations of torch.

    Args:
        layers: Of encoder and decoder each.
        size: E and H.
        vocabulary: V, of both languages together.
    """

    def __init__(self, layers: int, size: int, vocabulary: int) -> None:
        super().__init__()
        how = {"dropout": DROPOUT, "bidirectional": False}
        self.table = nn.Embedding(vocabulary, size)
        self.encoder = nn.LSTM(size, size, layers, dropout=DROPOUT, bidirectional=True)
        self.decoder = ResidualLSTM(size, size, layers, residual=True, **how)  # type: ignore[arg-type]
        self.bridge = nn.Linear(2 * size, 2 * layers * size)
        self.keys = nn.Linear(2 * size, size, bias=False)
        self.attentional = nn.Linear(3 * size, size)
        self.readout = nn.Linear(size, size)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.shape = layers, size

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The loss of target [T + 1, B], of sources [S, B]."""
        layers, size = self.shape
        states, _ = self.encoder(self._embedded(source))
        states = functional.dropout(states, DROPOUT)  # [S, B, 2H]
        first = torch.tanh(self.bridge(states.mean(0))).view(-1, 2, layers, size).permute(1, 2, 0, 3).contiguous()
        output, _ = self.decoder(self._embedded(target[:-1]), (first[0], first[1]))  # [T, B, H]
        queries, keys = output.transpose(0, 1), self.keys(states).permute(1, 2, 0)  # [B, T, H], [B, H, S]
        weights = (torch.bmm(queries, keys) * size**-0.5).softmax(-1)
        context = torch.bmm(weights.to(states.dtype), states.transpose(0, 1)).transpose(0, 1)
        vectors = torch.tanh(self.attentional(torch.cat([context, output], -1)))
        hidden = self.readout(functional.dropout(vectors, DROPOUT))
        logits = functional.linear(hidden, self.table.weight, self.bias).float()
        expected = target[1:].flatten()
        return functional.cross_entropy(logits.flatten(0, 1), expected, label_smoothing=SMOOTHING, reduction="sum")

    def _embedded(self, tokens: Tensor) -> Tensor:
        return functional.dropout(self.table(tokens) * self.table.embedding_dim**0.5, DROPOUT)


def batch_of(vocabulary: int, steps: int, pairs: int) -> Batch:
    """Random ids, all sentences equally long."""
    random = np.random.default_rng(1)
    ids = [random.integers(4, vocabulary, (steps + extra, pairs), dtype=np.int64) for extra in (0, 1)]
    lengths = np.full(pairs, steps)
    tokens = steps * pairs
    return Batch(ids[0], lengths, ids[1][:-1].copy(), ids[1][1:].copy(), lengths, tokens, tokens, np.arange(pairs))


def steps_of(arguments: argparse.Namespace, config: Config) -> tuple[nn.Module, Callable[[Batch], Tensor], int]:
    """A model, what makes a batch's loss, and what `nmt` predicts for a batch (0 for torch)."""
    layers, size, vocabulary, steps, pairs = arguments.shape
    precision = config.training.precision
    if arguments.row == "torch":
        theirs = TorchModel(layers, size, vocabulary)

        def loss(batch: Batch) -> Tensor:
            with mixed(torch.device("cpu"), precision):
                total: Tensor = theirs(
                    torch.from_numpy(batch.source),
                    torch.from_numpy(np.concatenate([batch.target_input[:1], batch.target_output])),
                )
            return total

        return theirs, loss, 0
    ours = Seq2Seq.from_config(config, vocabulary, vocabulary)
    need = Footprint(ours, config.model, precision).need([steps] * pairs, [steps] * pairs).total
    return ours, lambda batch: batch_loss(ours, batch, SMOOTHING, precision)[0], need


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One row, in this process."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layers, size, vocabulary, steps, pairs = arguments.shape
    shape = {"embedding_size": size, "hidden_size": size, "encoder_layers": layers, "decoder_layers": layers}
    memory = "store" if arguments.row == "torch" else arguments.row
    config = Config.model_validate(
        {
            "folder": "nowhere",
            "data": {"train": ["a", "b"], "valid": ["a", "b"], "source_language": "en", "target_language": "de"},
            "model": {**shape, "dropout": DROPOUT, "memory": memory},
            "training": {"precision": arguments.precisions[0]},
        }
    )
    model, loss, need = steps_of(arguments, config)
    optimizer, clipper = make_optimizer(model, config.training), GradientClipper(model, 1.0)
    before = status_bytes("VmRSS")
    batch = batch_of(vocabulary, steps, pairs)
    parameters = sum(parameter.nbytes for parameter in model.parameters())
    times = []
    for _ in range(arguments.steps):
        started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(batch) / batch.target_tokens)
        clipper.clip(forgive=False)
        optimizer.step()
        times.append(time.perf_counter() - started)
    peak = status_bytes("VmHWM")
    return {
        "row": arguments.row,
        "precision": arguments.precisions[0],
        "parameters": parameters,
        "peak": peak,
        "beyond": peak - before - 3 * parameters,
        "predicted": need,
        "seconds": min(times),
    }


def main() -> None:
    """Measure all rows."""
    options = parser(__doc__)
    options.add_argument("--shape", type=numbers, default=(4, 1024, 32000, 32, 128), metavar="LAYERS,H,V,S,B")
    options.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    options.add_argument("--memory", nargs="+", default=["store", "recompute"], help="ours, as model.memory")
    options.add_argument("--steps", type=int, default=2)
    options.add_argument("--row", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.row:
        print(json.dumps(measure(arguments)))
        return
    given = ["--shape", ",".join(map(str, arguments.shape)), "--steps", arguments.steps, "--threads", arguments.threads]
    print(f"{'':>20} {'peak, MiB':>10} {'beyond, MiB':>12} {'predicted':>10} {'s a step':>9}", flush=True)
    rows = []
    for precision, name in product(arguments.precisions, ("torch", *arguments.memory)):
        row = in_fresh_process(__file__, *given, "--precisions", precision, "--row", name)
        figures = f"{row['peak'] / 2**20:10,.0f} {row['beyond'] / 2**20:12,.0f} {row['predicted'] / 2**20:10,.0f}"
        print(f"{name + ', ' + precision:>20} {figures} {row['seconds']:9.1f}", flush=True)
        rows.append(row)
    write_json(arguments.json, rows, threads=arguments.threads, shape=arguments.shape)


if __name__ == "__main__":
    main()
