"""The encoder: a bidirectional recurrent stack over packed sources."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.model.recurrent import recurrent, run


@dataclass(frozen=True)
class EncoderOutput:
    """Encoded sources; C = 2H."""

    states: Tensor
    """[B, S, C], zero on padding."""
    padding: Tensor
    """[B, S] bool, true where the source has ended."""
    summary: Tensor
    """[B, C], the mean state of each source."""


class Encoder(nn.Module):
    """Bidirectional recurrent layers with dropout between them and on their output.

    Args:
        cell: A key of `nmt.model.recurrent.CELLS`.
        input_size: Width of the embeddings, E.
        hidden_size: Width per direction, H.
        layers: Number of layers.
        dropout: Probability of dropping a value.
        memory: What the layers keep for their backward pass, as in `model.memory`.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, layers: int, dropout: float, memory: str | int = "store"
    ) -> None:
        super().__init__()
        self.layers = recurrent(
            cell, input_size, hidden_size, layers, dropout=dropout, bidirectional=True, memory=memory
        )
        self.dropout = nn.Dropout(dropout)
        self.output_size = 2 * hidden_size

    def forward(self, embedded: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode a batch; padding is packed away and costs nothing.

        Args:
            embedded: [S, B, E].
            lengths: [B] int64, descending, each in 1..S.

        Returns:
            The encoded sources.
        """
        packed = pack_padded_sequence(embedded, lengths.cpu())
        states, _ = pad_packed_sequence(run(self.layers, packed)[0], total_length=len(embedded))  # [S, B, C]
        states = self.dropout(states).transpose(0, 1).contiguous()  # [B, S, C]
        lengths = lengths.to(states.device, non_blocking=True)
        padding = torch.arange(states.shape[1], device=states.device) >= lengths[:, None]  # [B, S]
        summary = states.sum(dim=1) / lengths[:, None]  # [B, C]; padding is zero and adds nothing
        return EncoderOutput(states, padding, summary)
