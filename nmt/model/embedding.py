"""Subword embeddings, scaled so that one table serves the input and the output layer."""

from __future__ import annotations

import math

from torch import Tensor, nn

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
            self.table(tokens),
            self.dropout,
            scale=self.scale,
            row_dropout=self.word_dropout,
            per_sentence=self.per_sentence,
            training=self.training,
        )
