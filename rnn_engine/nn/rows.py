"""Between the forms that a batch may have in torch and the rows that the engine takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnn_engine.nn.devices import device_of
from rnn_engine.ragged import Indices, Ragged

Input = Tensor | PackedSequence


@dataclass(frozen=True)
class Rows:
    """A batch as the engine takes it.

    Attributes:
        data: [N, I].
        batch_sizes: [T] sequences still running at each step.
        order: [B] the caller's index of each of the engine's sequences; None: the same order.
        original: [B] the inverse of `order`.
        ids: `order` once more, wherever it can be read with least waiting.
        batch: B as the states have it; None if they have no batch dimension.
        shaped: Gives rows [N, width] the form of the input.
    """

    data: Tensor
    batch_sizes: list[int]
    order: Tensor | None
    original: Tensor | None
    ids: Tensor | Indices | None
    batch: int | None
    shaped: Callable[[Tensor], Any]


def rows_of(given: Input, lengths: Any, batch_first: bool) -> Rows:
    """The rows of a batch.

    Args:
        given: [T, B, I] ([B, T, I] with `batch_first`), [T, I] unbatched, or packed.
        lengths: [B] steps of each sequence of a dense batch, or None.
        batch_first: As for the layer; nothing to a packed batch.

    Raises:
        ValueError: The batch is empty, or the lengths are not what is expected.
    """
    if isinstance(given, PackedSequence):
        if lengths is not None:
            raise ValueError("lengths: expected none with a PackedSequence, which has its own")
        data, batch_sizes, order, original = given
        sizes: list[int] = batch_sizes.tolist()
        _check_not_empty(data, len(sizes), sizes[0] if sizes else 0)
        return Rows(
            data,
            sizes,
            order,
            original,
            order,
            sizes[0],
            lambda rows: PackedSequence(rows, batch_sizes, order, original),
        )
    if given.dim() == 2:
        if lengths is not None:
            raise ValueError(f"lengths: expected a batched input [T, B, I], got {list(given.shape)}")
        _check_not_empty(given, len(given), 1)
        return Rows(given, [1] * len(given), None, None, None, None, lambda rows: rows)
    batch, steps = given.shape[:2] if batch_first else (given.shape[1], given.shape[0])
    _check_not_empty(given, steps, batch)
    if lengths is not None:
        if isinstance(lengths, Tensor):
            if lengths.device.type != "cpu":
                raise ValueError(f"lengths: expected a tensor on the CPU, got {lengths.device}")
            lengths = lengths.detach()
        return _ragged_rows(given, Ragged.of(lengths, steps, batch, batch_first))

    def shaped(rows: Tensor) -> Tensor:
        y = rows.view(steps, batch, -1)
        return y.transpose(0, 1) if batch_first else y

    data = (given.transpose(0, 1) if batch_first else given).reshape(steps * batch, -1)
    return Rows(data, [batch] * steps, None, None, None, batch, shaped)


def _ragged_rows(given: Tensor, ragged: Ragged) -> Rows:
    def shaped(rows: Tensor) -> Tensor:
        dense: Tensor = _Spread.apply(rows, ragged, given.shape[0] * given.shape[1])  # type: ignore[no-untyped-call]
        return dense.view(*given.shape[:2], -1)

    data: Tensor = _Gather.apply(given.reshape(-1, given.shape[2]), ragged)  # type: ignore[no-untyped-call]
    order, original = map(device_of(given).indices, (ragged.order, ragged.original))
    return Rows(data, ragged.batch_sizes, order, original, ragged.order, len(order), shaped)


class _Gather(torch.autograd.Function):
    """Rows from their places in a dense batch.

    No place is named twice, so backward need not add.
    """

    @staticmethod
    def forward(ctx: Any, dense: Tensor, ragged: Ragged) -> Tensor:
        ctx.ragged, ctx.size = ragged, len(dense)
        return device_of(dense).gather(dense, ragged)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(gradient, ctx.ragged, ctx.size), None  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """The inverse: rows to their places, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ragged: Ragged, size: int) -> Tensor:
        ctx.ragged = ragged
        return device_of(rows).spread(rows, ragged, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Gather.apply(gradient, ctx.ragged), None, None  # type: ignore[no-untyped-call]


def _check_not_empty(given: Tensor, steps: int, batch: int) -> None:
    if steps == 0 or batch == 0:
        raise ValueError(
            f"input: expected at least one step and one sequence, got T = {steps}, B = {batch} ({list(given.shape)})"
        )


__all__ = ["Input", "Rows", "rows_of"]
