"""Sampled softmax: a batch is scored against its own subwords and some others, not against the whole vocabulary.

The output layer is a third of a step's products or more, and nearly all of what it scores is never the answer. The
others are drawn anew for each batch, each as likely as the next, and count for all that were not drawn: the sum over
the vocabulary that the softmax divides by is that of all subwords in the mean.

Source: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.subwords import PAD


@dataclass(frozen=True)
class Candidates:
    """The subwords that a batch is scored against."""

    ids: Tensor
    """[C] int64, ascending, PAD the first."""
    log_weights: Tensor
    """[C] float32: the logarithm of how many subwords each stands for."""

    @classmethod
    def draw(cls, targets: NDArray[np.integer], vocabulary_size: int, others: int) -> Candidates:
        """Draw the others by torch's generator of the CPU.

        Args:
            targets: Ids of a batch.
            vocabulary_size: V.
            others: How many to draw at most.
        """
        weights = torch.zeros(vocabulary_size)
        chosen = torch.zeros(vocabulary_size, dtype=torch.bool)
        chosen[PAD] = True
        chosen[torch.from_numpy(targets.reshape(-1).astype(np.int64))] = True
        rest = (~chosen).nonzero().squeeze(1)
        drawn = rest[torch.randperm(len(rest))[:others]]
        chosen[drawn] = True
        if len(drawn):
            weights[drawn] = math.log(len(rest) / len(drawn))
        return cls(chosen.nonzero().squeeze(1), weights[chosen])

    def narrow(self, weight: Tensor, bias: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Leave what matters of an output layer.

        Args:
            weight: [V, E].
            bias: [V].
            targets: Ids in the vocabulary, all of them candidates.

        Returns:
            The layer for the candidates, [C, E] and [C], and the targets by their places among them; PAD stays PAD.
        """
        ids, log_weights = self.ids.to(weight.device), self.log_weights.to(bias)
        places = torch.searchsorted(ids, targets)
        return weight.index_select(0, ids), bias.index_select(0, ids) + log_weights, places
