"""What `linear` and `dropout` have in common: whose mask a row gets, seeds, and how rows are handed to the engine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnn_engine.nn.autograd import plain
from rnn_engine.nn.devices import CPU, Device


def check_probability(name: str, value: float) -> None:
    """Raises ValueError for what is no probability."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}: expected a probability, 0 to 1, got {value}")


def drawn_seed() -> Tensor:
    """The key of a call's masks, int64 []: of torch's generator, so that torch.manual_seed makes them repeatable."""
    return torch.randint(2**62, (), device=CPU)


def sentences_of(x: Tensor) -> tuple[int, int]:
    """Steps and sentences of [..., F]: the last leading dimension counts sentences, those before it steps."""
    lead = x.shape[:-1]
    return (math.prod(lead[:-1]), lead[-1]) if lead else (1, 1)


def rows_apart(device: Device, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, int]:
    """[..., F] as the engine reads it: its values from first to last, and how many from one row to the next.

    Rows are read where they lie if all have the same distance; else they are copied.
    """
    if x.dtype == dtype and not x.is_contiguous() and not x.is_neg() and x.numel() and x.stride(-1) == 1:
        row = _distance(x)
        if row is not None and row >= x.shape[-1]:
            rows = x.numel() // x.shape[-1]
            return x.detach().as_strided(((rows - 1) * row + x.shape[-1],), (1,)), row
    values = plain(device, x, dtype)
    assert values is not None
    return values, x.shape[-1]


def _distance(x: Tensor) -> int | None:
    """Values from one row to the next; None: not always the same."""
    distance = expected = None
    for size, stride in zip(reversed(x.shape[:-1]), reversed(x.stride()[:-1]), strict=True):
        if size == 1:
            continue
        if distance is None:
            distance = expected = stride
        elif stride != expected:
            return None
        assert expected is not None
        expected *= size
    return x.shape[-1] if distance is None else distance


__all__ = ["check_probability", "drawn_seed", "rows_apart", "sentences_of"]
