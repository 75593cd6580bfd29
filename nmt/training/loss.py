"""The loss of a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nmt.config import Precision
from nmt.data.batching import Batch
from nmt.data.subwords import PAD
from nmt.model.readout import output_loss
from nmt.model.seq2seq import Seq2Seq
from nmt.training.precision import mixed
from nmt.training.sampled_softmax import Candidates


def batch_loss(
    model: Seq2Seq,
    batch: Batch,
    smoothing: float,
    precision: Precision = "float32",
    rdrop: float = 0.0,
    sampled: int = 0,
) -> tuple[Tensor, Tensor, int]:
    """Run a batch through a network.

    Args:
        model: The network.
        batch: The pairs.
        smoothing: See `output_loss`.
        precision: As for `mixed`.
        rdrop: Unless 0, every pair is run twice, next to each other, and the loss is the mean of both plus a quarter of
            this times the divergence of their predictions, there and back.
        sampled: Unless 0, the batch is scored against its own subwords and this many others; the negative
            log-likelihood is then an estimate, and smoothing is spread over what is scored.

    Returns:
        The smoothed loss and the negative log-likelihood, both summed over the target tokens, in nats, and the number
        of target tokens.

    Source: Liang et al. 2021, equation 4 (rdrop), halved.
    """
    device, passes = model.device, 2 if rdrop else 1
    source, target_input, target_output, source_lengths = (
        torch.from_numpy(np.repeat(array, passes, axis=-1) if rdrop else array)  # the longest source stays first
        for array in (batch.source, batch.target_input, batch.target_output, batch.source_lengths)
    )
    target = target_output.to(device)  # [T, passes B]
    with mixed(device, precision):
        encoded = model.encode(source.to(device), source_lengths)
        hidden = model.decode(encoded, target_input.to(device))  # [T, passes B, E]
        weight, bias = model.output_layer
        if sampled:
            candidates = Candidates.draw(batch.target_output, len(bias), sampled)
            weight, bias, target = candidates.narrow(weight, bias, target)
        loss, nll, _ = output_loss(hidden, weight, bias, target, smoothing, padding=PAD, divergence=rdrop / 2)
    return loss / passes, nll / passes, batch.target_tokens
