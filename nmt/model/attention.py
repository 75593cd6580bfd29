"""Luong attention over the encoder's states, for any number of queries at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class AttentionMemory:
    """What attention looks at: one column per sentence, however many hypotheses look at it."""

    keys: Tensor
    """[S, B, A]."""
    values: Tensor
    """[S, B, C]."""
    lengths: Tensor
    """[B] int64 on the CPU: steps of each source."""

    def select(self, sentences: Tensor) -> AttentionMemory:
        """Keep the sentences with these indices, [B'] int64, in this order."""
        return AttentionMemory(self.keys[:, sentences], self.values[:, sentences], self.lengths[sentences.cpu()])


class Attention(nn.Module):
    """Scores every query against every encoder state and averages the states by the scores.

    `dot`: q . (W_k s) / sqrt(A); `general`: the bilinear form (W_q q) . (W_k s) / sqrt(A).

    Args:
        kind: "dot" or "general".
        query_size: Width of the queries, H. It is also the attention size A.
        value_size: Width of the encoder's states, C.
        dropout: Probability, in training, of leaving a state out of an average.

    Source: Luong et al. 2015, section 3.1; the scaling is from Vaswani et al. 2017, section 3.2.1.
    """

    def __init__(self, kind: str, query_size: int, value_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.key_projection = nn.Linear(value_size, query_size, bias=False)
        self.query_projection = nn.Linear(query_size, query_size, bias=False) if kind == "general" else nn.Identity()
        self.scale = 1.0 / math.sqrt(query_size)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.key_projection.weight)
        if isinstance(self.query_projection, nn.Linear):
            nn.init.xavier_uniform_(self.query_projection.weight)

    def memory(self, states: Tensor, lengths: Tensor) -> AttentionMemory:
        """Prepare a batch of sources; done once per source.

        Args:
            states: Encoder states, [S, B, C].
            lengths: [B] int64 on the CPU, steps of each source.

        Returns:
            The memory that `forward` takes.
        """
        keys = self.key_projection(states) * self.scale  # [S, B, A]
        return AttentionMemory(keys, states, lengths)

    def forward(self, queries: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        """Look at the sources.

        Args:
            queries: [Q, B, H]; Q is the target length in training, the number of hypotheses in a search.
            memory: The B sources.

        Returns:
            Context vectors [Q, B, C], and the weights [Q, B, S] before dropout: rows sum to 1 and are 0 on padding.
        """
        keys, values = memory.keys.permute(1, 2, 0), memory.values.transpose(0, 1)  # [B, A, S], [B, S, C]
        scores = torch.bmm(self.query_projection(queries).transpose(0, 1), keys)  # [B, Q, S]
        beyond = torch.arange(len(memory.keys)) >= memory.lengths[:, None]  # [B, S]
        weights = torch.softmax(scores.masked_fill(beyond.to(scores.device)[:, None], -math.inf), dim=-1)
        context = torch.bmm(self.dropout(weights), values)  # [B, Q, C]
        return context.transpose(0, 1), weights.transpose(0, 1)
