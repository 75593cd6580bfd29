"""The loss of a batch."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nmt.config import Precision
from nmt.data.batching import Batch
from nmt.data.subwords import PAD
from nmt.model.readout import output_loss
from nmt.model.seq2seq import Seq2Seq

LOWER: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Types of mixed precision by the name in `training.precision`."""


def mixed(device: torch.device, precision: Precision) -> torch.autocast:
    """Make the context in which a network computes in a precision.

    Args:
        device: Where the network is.
        precision: As `training.precision`.
    """
    return torch.autocast(device.type, LOWER.get(precision), enabled=precision in LOWER)


def batch_loss(
    model: Seq2Seq, batch: Batch, smoothing: float, precision: Precision = "float32"
) -> tuple[Tensor, Tensor, int]:
    """Run a batch through a network.

    Args:
        model: The network.
        batch: The pairs.
        smoothing: See `output_loss`.
        precision: Unless "float32", the network runs under torch.autocast with it.

    Returns:
        The smoothed loss and the negative log-likelihood, both summed over the target tokens, in nats, and the number
        of target tokens.
    """
    device = model.device
    source = torch.from_numpy(batch.source).to(device)  # [S, B]
    target = torch.from_numpy(batch.target_output).to(device)  # [T, B]
    with mixed(device, precision):
        encoded = model.encode(source, torch.from_numpy(batch.source_lengths))
        hidden = model.decode(encoded, torch.from_numpy(batch.target_input).to(device))  # [T, B, E]
        weight, bias = model.output_layer
        loss, nll, _ = output_loss(hidden, weight, bias, target, smoothing, padding=PAD)
    return loss, nll, batch.target_tokens
