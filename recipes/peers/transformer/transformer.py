"""A plain Transformer of torch.nn, with the face of `nmt.model.seq2seq.Seq2Seq` that its loss and a search use.

Source: Vaswani et al. 2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nmt.data.batching import longest_first, pad
from nmt.data.subwords import PAD
from nmt.decoding.beam_search import beam_search
from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.network import BATCH_TOKENS, Ids, Progress

LONGEST = 1024


@dataclass(frozen=True)
class Encoded:
    """Sources that were read."""

    memory: Tensor
    """[S, B, E]"""
    padding: Tensor
    """[B, S] bool: where a source has ended."""


@dataclass(frozen=True)
class State:
    """Where a search stands."""

    encoded: Encoded
    tokens: Tensor
    """[t, N] what was written so far, bos first."""


class Transformer(nn.Module):
    """Layers that are normalised before each part, sinusoids for places, one table for the embeddings and the output.

    Args:
        vocabulary_sizes: Subwords of source and target; None for the source if both have one vocabulary, and one table.
        size: Width, E.
        layers: Of the encoder, and as many of the decoder.
        heads: Of each attention.
        inner: Width of the feed-forward parts.
        dropout: Everywhere.
    """

    places: Tensor

    def __init__(
        self, vocabulary_sizes: tuple[int | None, int], size: int, layers: int, heads: int, inner: int, dropout: float
    ) -> None:
        super().__init__()
        self.size = size
        source, target = vocabulary_sizes
        self.embedding = nn.Embedding(target, size, padding_idx=PAD)
        self.source_embedding = self.embedding if source is None else nn.Embedding(source, size, padding_idx=PAD)
        for table in (self.embedding, self.source_embedding):
            nn.init.normal_(table.weight, std=size**-0.5)
        layer = nn.TransformerEncoderLayer(size, heads, inner, dropout, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(size), enable_nested_tensor=False)
        other = nn.TransformerDecoderLayer(size, heads, inner, dropout, norm_first=True)
        self.decoder = nn.TransformerDecoder(other, layers, nn.LayerNorm(size))
        for part in (self.encoder, self.decoder):
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        self.dropout = nn.Dropout(dropout)
        self.output_bias = nn.Parameter(torch.zeros(target))
        angles = torch.arange(LONGEST)[:, None] * torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
        self.register_buffer("places", torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.output_bias.device

    @property
    def output_layer(self) -> tuple[Tensor, Tensor]:
        """Weight [V, E] and bias [V] of the layer that scores the vocabulary."""
        return self.embedding.weight, self.output_bias

    def _embed(self, ids: Tensor, table: nn.Embedding) -> Tensor:
        """Look up ids [T, B] and add their places; returns [T, B, E]."""
        embedded = table(ids) * math.sqrt(self.size) + self.places[: len(ids), None]
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def encode(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Read sources [S, B] of `lengths` [B], eos included."""
        padding = torch.arange(len(source))[None] >= lengths[:, None]  # [B, S]
        return Encoded(self.encoder(self._embed(source, self.source_embedding), src_key_padding_mask=padding), padding)

    def decode(self, encoded: Encoded, target_input: Tensor) -> Tensor:
        """Run known targets [T, B]; what is behind a target's end reaches nothing before it. Returns [T, B, E]."""
        mask = nn.Transformer.generate_square_subsequent_mask(len(target_input))
        hidden: Tensor = self.decoder(
            self._embed(target_input, self.embedding),
            encoded.memory,
            tgt_mask=mask,
            tgt_is_causal=True,
            memory_key_padding_mask=encoded.padding,
        )
        return hidden

    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Score what may follow (see `beam_search`): all over again from the first word, plain if not fast."""
        state = State(state.encoded, torch.cat([state.tokens, tokens[None]]))
        hidden = self.decode(state.encoded, state.tokens)[-1]
        return functional.linear(hidden, *self.output_layer).log_softmax(dim=-1), state

    def reorder(self, state: State, index: Tensor) -> State:
        """Go on with chosen hypotheses (see `beam_search`)."""
        chosen = index.flatten()
        encoded = Encoded(state.encoded.memory[:, chosen], state.encoded.padding[chosen])
        return State(encoded, state.tokens[:, chosen])


class TransformerNetwork:
    """What translates in `nmt.decoding` (see `nmt.decoding.network.Network`); it gives no attention and no scores.

    Args:
        model: The network.
    """

    precision = "float32"
    place = "cpu"

    def __init__(self, model: Transformer) -> None:
        self.model = model

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""
        return len(self.model.source_embedding.weight), len(self.model.embedding.weight)

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def with_threads(self, threads: int) -> TransformerNetwork:
        """Return the same: how many threads torch uses is a matter of the process."""
        return self

    def log_probabilities(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
        """Not to be had."""
        raise NotImplementedError

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterable[tuple[int, NDArray[np.float32]]]:
        """Not to be had."""
        raise NotImplementedError

    @torch.inference_mode()
    def search(
        self,
        sources: Sequence[Ids],
        max_lengths: Sequence[int],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search translations."""
        assert prefixes is None, "translations that begin with given words are not compared"
        self.model.eval()
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for batch in longest_first([len(ids) + 1 for ids in sources], BATCH_TOKENS, batch_size):
            chosen = [sources[index] for index in batch]
            lengths = torch.tensor([len(ids) + 1 for ids in chosen])
            encoded = self.model.encode(torch.from_numpy(pad(chosen, eos=True)), lengths)
            start = State(encoded, torch.empty(0, len(batch), dtype=torch.int64))
            limits = [max_lengths[index] for index in batch]
            for index, each in zip(
                batch, beam_search(self.model.step, self.model.reorder, start, limits, options), strict=True
            ):
                found[index] = each
            if progress is not None:
                progress(len(batch))
        return found
