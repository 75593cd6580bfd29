"""Subword embeddings, scaled so that one table serves the input and the output layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_engine.nn.devices import device_of
from rnn_engine.nn.dropout import dropout


class Embedding(nn.Module):
    """A table of subword vectors with dropout.

    The table is drawn with a variance of 1/E, which suits it as an output layer; as an input it is multiplied by
    sqrt(E), which gives the recurrent layers values of unit variance.

    Args:
        vocabulary_size: V, number of rows.
        size: E, width of a vector.
        dropout: Probability of dropping a value of the result.
        word_dropout: Probability, in training, that a token's whole vector is zero. The others keep their length: the
            network is to know the gap, not to make up for it.
        per_sentence: Whether values are dropped at all steps of a sentence alike.

    Source: Press & Wolf 2017 (tied tables); Vaswani et al. 2017, section 3.4 (the factor); Gal & Ghahramani 2016
    (word dropout, there of every occurrence of a word at once).
    """

    def __init__(
        self, vocabulary_size: int, size: int, dropout: float, word_dropout: float = 0.0, *, per_sentence: bool = False
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, size)
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.per_sentence = per_sentence
        self.scale = math.sqrt(size)
        nn.init.normal_(self.table.weight, std=1.0 / self.scale)

    @property
    def weight(self) -> Tensor:
        """The table, [V, E]."""
        return self.table.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Look tokens up.

        Args:
            tokens: Ids, int64, [T, B].

        Returns:
            Vectors, [T, B, E].
        """
        return dropout(
            self._rows(tokens),
            self.dropout,
            scale=self.scale,
            row_dropout=self.word_dropout,
            per_sentence=self.per_sentence,
            training=self.training,
        )

    def _rows(self, tokens: Tensor) -> Tensor:
        """[T, B, E], of any tokens."""
        if tokens.device.type != "cpu" or not torch.is_grad_enabled():
            return self.table(tokens)  # type: ignore[no-any-return]
        return _Lookup.apply(self.table.weight, tokens)  # type: ignore[no-any-return,no-untyped-call]


class _Lookup(torch.autograd.Function):
    """What torch does, bit for bit; but the gradient lies in the engine's memory, in pages that are there already."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, tokens: Tensor) -> Tensor:
        ctx.save_for_backward(tokens, table)
        return functional.embedding(tokens, table)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        tokens, table = ctx.saved_tensors
        rows = device_of(table).zeros(table.shape, table.dtype)
        return rows.index_add_(0, tokens.flatten(), gradient.flatten(0, -2)), None
