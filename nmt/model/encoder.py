"""The encoder: a bidirectional recurrent stack over sources of any lengths."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.model.recurrent import LayerNoise, recurrent, run
from rnn_engine import dropout


@dataclass(frozen=True)
class EncoderOutput:
    """Encoded sources; C = 2H, or 2H + E with the embeddings."""

    states: Tensor
    """[S, B, C], zero on padding."""
    lengths: Tensor
    """[B] int64: steps of each source."""
    summary: Tensor
    """[B, C], the mean state of each source."""


class Encoder(nn.Module):
    """Bidirectional recurrent layers with dropout between them and on their output.

    Args:
        cell: A key of `nmt.model.recurrent.CELLS`.
        input_size: Width of the embeddings, E.
        hidden_size: Width per direction, H.
        layers: Number of layers.
        noise: What the layers draw in training; its dropout is also on their output.
        memory: What the layers keep for their backward pass, as in `model.memory`.
        gives_embeddings: Whether what it has read stands behind its states.

    Source: Kuang et al. 2018 (source-side bridging: the embedding behind the state).
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        layers: int,
        noise: LayerNoise,
        memory: str | int = "store",
        *,
        gives_embeddings: bool = False,
    ) -> None:
        super().__init__()
        self.layers = recurrent(cell, input_size, hidden_size, layers, noise=noise, bidirectional=True, memory=memory)
        self.noise = noise
        self.gives_embeddings = gives_embeddings
        self.output_size = 2 * hidden_size + (input_size if gives_embeddings else 0)

    def forward(self, embedded: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode a batch; padding costs nothing.

        Args:
            embedded: [S, B, E].
            lengths: [B] int64, each in 1..S.

        Returns:
            The encoded sources.
        """
        lengths = lengths.cpu()
        states = run(self.layers, embedded, lengths=lengths)[0]  # [S, B, C]
        states = dropout(states, self.noise.dropout, per_sentence=self.noise.per_sentence, training=self.training)
        lengths = lengths.to(states.device, non_blocking=True)
        if self.gives_embeddings:
            padding = torch.arange(len(embedded), device=lengths.device)[:, None] >= lengths  # [S, B]
            read = embedded.to(states.dtype).masked_fill(padding[..., None], 0.0)
            states = torch.cat([states, read], dim=-1)
        return EncoderOutput(states, lengths, states.sum(dim=0) / lengths[:, None])  # padding is zero and adds nothing
