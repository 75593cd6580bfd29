"""Between the forms that a batch may have in torch and the one that the engine takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnn_engine.nn.devices import Device
from rnn_engine.ragged import Indices, Ragged

Input = Tensor | PackedSequence


class Batch(NamedTuple):
    """A batch as the engine takes it.

    Attributes:
        x: [T, B, I] where all sequences are equally long, else rows [N, I], time-major as in a PackedSequence.
        steps: T.
        size: B.
        sizes: [T] sequences still running at each step; None: all B.
        batched: Whether the input, and so the states, have a batch dimension.
        batch_first: Whether the caller's dense output is [B, T, ...], and the engine's not.
        order: [B] the caller's index of each of the engine's sequences; None: the same order.
        original: [B] the inverse of `order`.
        ids: `order` once more, wherever it can be read with least waiting.
        shaped: Gives the engine's output the form of the input; None: it has that form.
    """

    x: Tensor
    steps: int
    size: int
    sizes: tuple[int, ...] | None = None
    batched: bool = True
    batch_first: bool = False
    order: Tensor | None = None
    original: Tensor | None = None
    ids: Tensor | Indices | None = None
    shaped: Callable[[Tensor], Any] | None = None

    def callers(self, rows: Tensor | None) -> Any:
        """What the engine returns for every step, in the form of the input."""
        return rows if rows is None or self.shaped is None else self.shaped(rows)


def batch_of(device: Device, given: Input, lengths: Any, batch_first: bool) -> Batch:
    """A batch in the engine's form.

    Args:
        device: Where it is.
        given: [T, B, I] ([B, T, I] with `batch_first`), [T, I] unbatched, or packed.
        lengths: [B] steps of each sequence of a dense batch, or None.
        batch_first: As for the layer; nothing to a packed batch.

    Raises:
        ValueError: The batch is empty, or the lengths are not what is expected.
    """
    if isinstance(given, PackedSequence):
        return _packed_batch(given, lengths)
    if given.dim() == 2:
        if lengths is not None:
            raise ValueError(f"lengths: expected a batched input [T, B, I], got {list(given.shape)}")
        _check_not_empty(given, len(given), 1)
        return Batch(given, len(given), 1, batched=False)
    steps, size, _ = given.shape
    if batch_first:
        steps, size = size, steps
    _check_not_empty(given, steps, size)
    if lengths is not None:
        if isinstance(lengths, Tensor):
            if lengths.device.type != "cpu":
                raise ValueError(f"lengths: expected a tensor on the CPU, got {lengths.device}")
            lengths = lengths.detach()
        return _ragged_batch(device, given, Ragged.of(lengths, steps, size, batch_first))
    if batch_first:
        return Batch(given.transpose(0, 1), steps, size, batch_first=True)
    return Batch(given, steps, size)


def _packed_batch(given: PackedSequence, lengths: Any) -> Batch:
    if lengths is not None:
        raise ValueError("lengths: expected none with a PackedSequence, which has its own")
    x, batch_sizes, order, original = given
    sizes = tuple(batch_sizes.tolist())
    _check_not_empty(x, len(sizes), sizes[0] if sizes else 0)

    def shaped(rows: Tensor) -> PackedSequence:
        return PackedSequence(rows, batch_sizes, order, original)

    return Batch(x, len(sizes), sizes[0], _ragged_sizes(sizes), True, False, order, original, order, shaped)


def _ragged_batch(device: Device, given: Tensor, ragged: Ragged) -> Batch:
    places = given.shape[0] * given.shape[1]

    def shaped(rows: Tensor) -> Tensor:
        dense: Tensor = _Spread.apply(rows, device, ragged, given.shape[:2])  # type: ignore[no-untyped-call]
        return dense

    x: Tensor = _Gather.apply(given.reshape(places, -1), device, ragged)  # type: ignore[no-untyped-call]
    order, original = map(device.indices, (ragged.order, ragged.original))
    sizes = tuple(ragged.batch_sizes)
    return Batch(x, len(sizes), sizes[0], _ragged_sizes(sizes), True, False, order, original, ragged.order, shaped)


def _ragged_sizes(sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """None where all sequences are equally long: sizes never grow."""
    return None if sizes[0] == sizes[-1] else sizes


class _Gather(torch.autograd.Function):
    """Rows from their places in a dense batch.

    No place is named twice, so backward need not add.
    """

    @staticmethod
    def forward(ctx: Any, dense: Tensor, device: Device, ragged: Ragged) -> Tensor:
        ctx.given = device, ragged, (len(dense),)
        return device.gather(dense, ragged)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Spread.apply(gradient, *ctx.given), None, None  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """The inverse: rows to their places, zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, device: Device, ragged: Ragged, places: tuple[int, ...]) -> Tensor:
        ctx.given = device, ragged
        return device.spread(rows, ragged, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        width = gradient.shape[-1]
        return _Gather.apply(gradient.reshape(-1, width), *ctx.given), None, None, None  # type: ignore[no-untyped-call]


def _check_not_empty(given: Tensor, steps: int, size: int) -> None:
    if steps == 0 or size == 0:
        raise ValueError(
            f"input: expected at least one step and one sequence, got T = {steps}, B = {size} ({list(given.shape)})"
        )


__all__ = ["Batch", "Input", "batch_of"]
