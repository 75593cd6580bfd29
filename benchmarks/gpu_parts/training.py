"""Tokens a second of training: the Multi30k recipe's network, and 4+4 layers of 1024 with a vocabulary of 32,000.

The first is an LSTM without input feeding, as the recipe had it until 2026-11-30. The networks are made of
the toolkit's parts; a step is forward, backward, clipping and Adam, as `nmt train` does it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpu_parts.meter import Meter, attempt, products_in
from gpu_parts.products import cublas_found, without_cublas
from nmt.data.dataset import read_sentences
from nmt.model.attention import AttentionShape
from nmt.model.decoder import Decoder, DecoderDropout
from nmt.model.embedding import Embedding
from nmt.model.encoder import Encoder
from nmt.model.readout import output_loss
from nmt.model.recurrent import LayerNoise

_SHORT_IDS = 65_536  # the largest vocabulary whose ids take two bytes, as those of the recipes do

BOS, EOS, PAD = 2, 3, 0


@dataclass(frozen=True)
class Network:
    """Sizes of a network, and the padded tokens of its batches."""

    name: str
    vocabulary: int
    embedding: int
    hidden: int
    encoder_layers: int
    decoder_layers: int
    batch_tokens: int


NETWORKS = (
    Network("multi30k", 6000, 256, 320, 1, 2, 3000),
    Network("4+4 x 1024", 32000, 1024, 1024, 4, 4, 8000),
)
TINY = (Network("tiny", 40, 8, 12, 1, 2, 60),)


class Model(nn.Module):
    """Encoder, decoder and a tied output layer."""

    def __init__(self, sizes: Network, memory: str) -> None:
        super().__init__()
        self.embedding = Embedding(sizes.vocabulary, sizes.embedding, 0.3)
        self.encoder = Encoder("lstm", sizes.embedding, sizes.hidden, sizes.encoder_layers, LayerNoise(0.3), memory)
        self.decoder = Decoder(
            "lstm", sizes.embedding, sizes.hidden, sizes.decoder_layers, 2 * sizes.hidden, AttentionShape("general"),
            DecoderDropout(LayerNoise(0.3), 0.3), memory,
        )  # fmt: skip
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))

    def loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], lower: torch.dtype | None) -> Tensor:
        """The smoothed loss, summed over the target's tokens."""
        source, lengths, given, wanted = batch
        with torch.autocast(source.device.type, lower, enabled=lower is not None):
            encoded = self.encoder(self.embedding(source), lengths)
            hidden = self.decoder(self.embedding(given), self.decoder.start(encoded))
            weight = self.embedding.weight
            return output_loss(hidden.to(weight.dtype), weight, self.bias, wanted, 0.1, padding=PAD)[0]


def training(meter: Meter, ids: Path | None) -> list[dict[str, Any]]:
    """A row for each network, precision and policy; where there is a cuBLAS, measured without it, too."""
    rows: list[dict[str, Any]] = []
    lengths, origin = _lengths(ids)
    for sizes in TINY if meter.dry else NETWORKS:
        for precision in ("bfloat16", "tf32", "float32"):
            for memory in ("store", "recompute"):
                if meter.left() < 0:
                    return rows
                row: dict[str, Any] = {**vars(sizes), "precision": precision, "memory": memory, "lengths": origin}
                measure = partial(_speed, meter, sizes, precision, memory, lengths)
                attempt(row, "speed", measure)
                if cublas_found():
                    attempt(row, "speed without cuBLAS", partial(without_cublas, measure))
                rows.append(row)
    return rows


def _lengths(ids: Path | None) -> tuple[np.ndarray, str]:
    """[pairs, 2] lengths of source and target without eos: of prepared data, or drawn."""
    if ids is not None:
        sides = [np.diff(read_sentences(ids, f"train.{side}", _SHORT_IDS).offsets) for side in ("source", "target")]
        return np.stack(sides, 1), str(ids.name)
    rng = np.random.default_rng(0)
    source = rng.gamma(6.0, 2.5, 20_000).round().clip(2, 60)
    return np.stack([source, (source * rng.uniform(0.8, 1.25, source.size)).round().clip(2, 70)], 1), "drawn, mean 15"


def _batches(
    sizes: Network, lengths: np.ndarray, count: int, device: torch.device
) -> list[tuple[tuple[Tensor, Tensor, Tensor, Tensor], int, int]]:
    """Batches of pairs of like length with random ids; with the number of source and of target tokens, eos included."""
    rng = np.random.default_rng(1)
    order = np.lexsort((lengths[:, 0], lengths.max(1)))
    found = []
    for start in rng.integers(0, max(1, len(order) - 1), count):
        longest = 0
        chosen: list[int] = []
        for index in order[start:]:
            longest = max(longest, int(lengths[index].max()) + 1)
            if chosen and longest * (len(chosen) + 1) > sizes.batch_tokens:
                break
            chosen.append(index)
        pairs = lengths[chosen][np.argsort(-lengths[chosen][:, 0], kind="stable")].astype(np.int64) + 1
        arrays = []
        for side in pairs.T:
            array = rng.integers(4, sizes.vocabulary, (side.max(), len(side)))
            array[np.arange(side.max())[:, None] >= side] = PAD
            arrays.append(array)
        source, target = (torch.from_numpy(array) for array in arrays)
        given = torch.cat([torch.full((1, target.shape[1]), BOS), target[:-1]])
        tensors = source.to(device), torch.from_numpy(pairs[:, 0].copy()), given.to(device), target.to(device)
        found.append((tensors, int(pairs[:, 0].sum()), int(pairs[:, 1].sum())))
    return found


def _speed(meter: Meter, sizes: Network, precision: str, memory: str, lengths: np.ndarray) -> dict[str, Any]:
    """Target tokens, and source and target tokens, a second; over steps by the wall clock."""
    torch.manual_seed(0)
    model = Model(sizes, memory).to(meter.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    lower = torch.bfloat16 if precision == "bfloat16" else None
    warmup, steps = (1, 2) if meter.dry else (5, 30)
    batches = _batches(sizes, lengths, warmup + steps, meter.device)
    started, last = 0.0, 0.0
    with products_in(precision):
        for step, (batch, _, target_tokens) in enumerate(batches):
            if step == warmup:
                meter.wait()
                started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(batch, lower) / target_tokens
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            last = loss.item()
        seconds = time.perf_counter() - started
    source, target = sum(row[1] for row in batches[warmup:]), sum(row[2] for row in batches[warmup:])
    return {
        "target_tokens_per_second": target / seconds,
        "tokens_per_second": (source + target) / seconds,
        "milliseconds_per_step": 1e3 * seconds / steps,
        "last_loss": last,
        "peak_bytes": None if meter.dry else torch.cuda.max_memory_allocated(meter.device),
    }
