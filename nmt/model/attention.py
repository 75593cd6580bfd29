"""Luong attention over the encoder's states, for any number of queries at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnn_engine import attention, linear


@dataclass(frozen=True)
class AttentionMemory:
    """What attention looks at: one column per sentence, however many hypotheses look at it."""

    keys: Tensor
    """[S, B, A]."""
    values: Tensor
    """[S, B, C]."""
    lengths: Tensor
    """[B] int64: steps of each source."""

    def select(self, sentences: Tensor) -> AttentionMemory:
        """Keep the sentences with these indices, [B'] int64, in this order."""
        return AttentionMemory(self.keys[:, sentences], self.values[:, sentences], self.lengths[sentences])


@dataclass(frozen=True)
class AttentionShape:
    """What kind of attention a decoder has."""

    kind: str = "dot"
    """dot, general or additive."""
    heads: int = 1
    """Parts of the state that look for themselves."""
    context: str = "readout"
    """readout: the last layer asks; upper: the first, and those above read what it is given."""
    input_feeding: bool = False
    """Whether the first layer reads the attentional vector of the step before, with the context "readout"."""


class Attention(nn.Module):
    """Scores every query against every encoder state and averages the states by the scores.

    `dot`: q . (W_k s) / sqrt(A); `general`: the bilinear form (W_q q) . (W_k s) / sqrt(A); `additive`:
    v . tanh(W_q q + W_k s). With n heads, each has A / n of the products' values and C / n of the states', and a factor
    of its own size.

    Args:
        kind: "dot", "general" or "additive".
        query_size: Width of the queries, H. It is also the attention size A.
        value_size: Width of the encoder's states, C.
        heads: Number of heads, a divisor of A and C.
        dropout: Probability, in training, of leaving a state out of an average.

    Source: Luong et al. 2015, section 3.1; Bahdanau et al. 2015, appendix A.1.2 (additive); the scaling and the heads
    are from Vaswani et al. 2017, sections 3.2.1 and 3.2.2.
    """

    def __init__(self, kind: str, query_size: int, value_size: int, heads: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.kind, self.heads = kind, heads
        self.key_projection = nn.Linear(value_size, query_size, bias=False)
        self.query_projection = nn.Identity() if kind == "dot" else nn.Linear(query_size, query_size, bias=False)
        self.vector = nn.Parameter(torch.empty(query_size)) if kind == "additive" else None
        self.dropout = dropout
        nn.init.xavier_uniform_(self.key_projection.weight)
        if isinstance(self.query_projection, nn.Linear):
            nn.init.xavier_uniform_(self.query_projection.weight)
        if self.vector is not None:
            nn.init.normal_(self.vector, std=1.0 / math.sqrt(query_size // heads))

    def memory(self, states: Tensor, lengths: Tensor) -> AttentionMemory:
        """Prepare a batch of sources; done once per source.

        Args:
            states: Encoder states, [S, B, C].
            lengths: [B] int64, steps of each source.

        Returns:
            The memory that `look` takes.
        """
        return AttentionMemory(linear(states, self.key_projection.weight), states, lengths)

    def look(self, queries: Tensor, memory: AttentionMemory, *, weights: bool) -> tuple[Tensor, Tensor]:
        """Look at the sources.

        Args:
            queries: [Q, B, H]; Q is the target length in training, the number of hypotheses in a search.
            memory: The B sources.
            weights: Whether they are wanted.

        Returns:
            Context vectors [Q, B, C], and the weights [Q, B, S] before dropout, of the heads' mean: rows sum to 1 and
            are 0 on padding. If they are not wanted, the contexts come twice.
        """
        dropout = self.dropout if self.training else 0.0
        if isinstance(self.query_projection, nn.Linear):
            queries = linear(queries, self.query_projection.weight)
        how: dict[str, Any] = {"heads": self.heads, "dropout": dropout, "return_weights": weights}
        if self.vector is not None:
            how |= {"form": "additive", "vector": self.vector}
        found: Any = attention(queries, memory.keys, memory.values, memory.lengths, **how)
        return found if weights else (found, found)
