"""Dropout whose masks are never stored: of values, one for a sentence, or of whole rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.devices import NAMES, device_of, either
from rnn_engine.nn.masks import check_probability, drawn_seed, rows_apart, sentences_of
from rnn_engine.nn.observed import check_backward, observed
from rnn_engine.nn.operators import Operator


def dropout(
    x: Tensor,
    p: float,
    *,
    scale: float = 1.0,
    row_dropout: float = 0.0,
    per_sentence: bool = False,
    training: bool = True,
) -> Tensor:
    """X * scale * mask / (1 - p), in one pass over x.

    Nothing is kept for backward, which makes the masks again from their counters and is the same pass over the
    gradient. Masks are drawn by torch's generator.

    Args:
        x: [..., F], float32, float64 or bfloat16, on CUDA also float16. Rows of equal distance are read where they lie;
            others are copied first.
        p: Probability that a value is zero.
        scale: What all values are multiplied by, as embeddings are by the root of their width.
        row_dropout: Probability that a whole row is zero, whatever it holds (word dropout); the others are not scaled
            for it.
        per_sentence: One mask of values for all steps of a sentence. The last leading dimension counts sentences: of
            [T, B, F] the mask is [B, F].
        training: If not, no value is dropped, and only the scale is left.

    Returns:
        The same shape and type; x itself if there is nothing to do.

    Raises:
        ValueError: A dtype, device or value is not what is expected.

    Source: Srivastava et al. 2014; Gal & Ghahramani 2016 (one mask a sentence); Iyyer et al. 2015 (word dropout).
    """
    check_probability("p", p)
    check_probability("row_dropout", row_dropout)
    if x.dim() < 1:
        raise ValueError(f"x: expected [..., F], got {list(x.shape)}")
    if not training:
        p = row_dropout = 0.0
    drawn = p > 0 or row_dropout > 0
    if not drawn and scale == 1:
        return x
    if observed(x):
        tensors = [x, drawn_seed()] if drawn else [x]
        result: Tensor = _DROPOUT(tensors, [p, scale, row_dropout], str(int(per_sentence)))[0]
        return result
    dtypes = device_of(x).dtypes
    if x.dtype not in dtypes:
        raise ValueError(f"x: expected {either(dtypes)} on {x.device}, got {x.dtype}")
    masks = _Masks(p, scale, row_dropout, per_sentence, int(drawn_seed().item()) if drawn else 0)
    if torch.is_grad_enabled() and x.requires_grad:
        y: Tensor = _Dropout.apply(masks, x)  # type: ignore[no-untyped-call]
        return y
    return _run(masks, x)


@dataclass(frozen=True)
class _Masks:
    """What a call multiplies by."""

    p: float
    scale: float
    row_dropout: float
    per_sentence: bool
    seed: int = 0


def _run(masks: _Masks, x: Tensor) -> Tensor:
    device = device_of(x)
    steps, batch = sentences_of(x)
    problem = native.DropoutProblem(
        dtype=native.DTYPES[NAMES[x.dtype]],
        steps=steps,
        batch=batch,
        features=x.shape[-1],
        scale=masks.scale,
        dropout=masks.p,
        row_dropout=masks.row_dropout,
        per_sentence=masks.per_sentence,
    )
    y = device.new(x.shape, x.dtype)
    context = device.context(torch.get_num_threads())
    context.dropout(problem, rows_apart(device, x, x.dtype), y, masks.seed, device.stream())
    return y


class _Dropout(torch.autograd.Function):
    """One node of the graph, which keeps nothing; its gradient is another of them."""

    @staticmethod
    def forward(ctx: Any, masks: _Masks, x: Tensor) -> Tensor:
        ctx.masks = masks
        return _run(masks, x)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[None, Tensor]:
        check_backward(*upstream)
        gradient: Tensor = _Dropout.apply(ctx.masks, upstream[0])  # type: ignore[no-untyped-call]
        return None, gradient


def _given(tensors: list[Tensor], numbers: list[float], call: str) -> _Masks:
    p, scale, row_dropout = numbers
    seed = int(tensors[1].item()) if len(tensors) > 1 else 0
    return _Masks(p, scale, row_dropout, call == "1", seed)


def _run_operator(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    return [_run(_given(tensors, numbers, call), tensors[0])]


def _shapes(tensors: list[Tensor], numbers: list[float], call: str) -> list[Tensor]:
    return [tensors[0].new_empty(tensors[0].shape)]


def _gradients(
    upstream: list[Tensor], needed: list[bool], last: Tensor, tensors: list[Tensor], numbers: list[float], call: str
) -> list[Tensor | None]:
    return [_run(_given(tensors, numbers, call), upstream[0]), *([None] * (len(tensors) - 1))]


_DROPOUT = Operator("dropout", _run_operator, _shapes, _gradients)

__all__ = ["dropout"]
