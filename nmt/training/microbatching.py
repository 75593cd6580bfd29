"""Micro-batches: a batch that the memory cannot hold is run in pieces, as few as will do, with the same gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nmt.config import TrainingConfig
from nmt.data.batching import Batch, Integers
from nmt.training.device_memory import DeviceMemory
from nmt.training.footprint import Footprint
from nmt.values import parse_bytes, shown_bytes

_SHARE = 0.6
"""Part of the memory available at the start that a batch may take, with `training.batch_memory = "auto"`."""


def memory_limit(
    settings: TrainingConfig, memory: DeviceMemory, before: int | None = None, sharing: int = 1
) -> int | None:
    """Tell the bytes that a batch may need.

    Args:
        settings: Its `batch_memory`.
        memory: Of the device that batches run on.
        before: What training that now goes on had found, so that going on repeats what not stopping would have done;
            not taken where the memory is smaller now.
        sharing: How many processes of this training run batches in that memory.

    Returns:
        The bytes; None if the system does not tell what is available.
    """
    chosen = parse_bytes(settings.batch_memory)
    if chosen is not None:
        return chosen
    available = memory.available()
    available = None if available is None else available // sharing
    if before is not None and (available is None or before <= available):
        return before
    return None if available is None else int(_SHARE * available)


class MicroBatching:
    """Cuts batches that need more than a limit. The same batch and limit always give the same pieces.

    Args:
        footprint: Predicts what a batch needs.
        limit: Bytes; None: every batch is run as it is.
        warn: Is told, once, of each pair that must be left out.
    """

    def __init__(self, footprint: Footprint, limit: int | None, warn: Callable[[str], None]) -> None:
        self._footprint, self._limit, self._warn = footprint, limit, warn
        self._left_out: set[int] = set()

    def pieces(self, batch: Batch) -> list[Batch]:
        """Cut a batch.

        Args:
            batch: The batch.

        Returns:
            The batch itself if it fits; else pieces of it that do, without the pairs that alone need too much.
        """
        if self._limit is None:
            return [batch]
        steps = len(batch.source), len(batch.target_input)
        if self._footprint.bound(*steps, len(batch.indices)) <= self._limit:
            return [batch]
        return list(self._cut(batch, self._limit))

    def _cut(self, batch: Batch, limit: int) -> Iterator[Batch]:
        pairs = len(batch.indices)
        need = self._footprint.need(batch.source_lengths.tolist(), batch.target_lengths.tolist()).total
        if need <= limit:
            yield batch
        elif pairs > 1:
            columns = np.arange(pairs)
            for part in (columns[: pairs // 2], columns[pairs // 2 :]):
                yield from self._cut(take(batch, part), limit)
        elif (pair := int(batch.indices[0])) not in self._left_out:
            self._left_out.add(pair)
            self._warn(
                f"left out: training pair {pair} has {batch.source_tokens:,} source and {batch.target_tokens:,} target "
                f"subwords and would need about {shown_bytes(need)} of memory; the limit is {shown_bytes(limit)} "
                "(training.batch_memory; a smaller data.max_length leaves such pairs out, or splits them)"
            )


def take(batch: Batch, columns: Integers) -> Batch:
    """Make a batch of some of the pairs of another, without the padding that the others needed.

    Args:
        batch: The other.
        columns: Places of the pairs, ascending.
    """
    source_lengths, target_lengths = batch.source_lengths[columns], batch.target_lengths[columns]
    source_steps, target_steps = source_lengths.max(), target_lengths.max()
    return Batch(
        source=np.ascontiguousarray(batch.source[:source_steps, columns]),
        source_lengths=source_lengths,
        target_input=np.ascontiguousarray(batch.target_input[:target_steps, columns]),
        target_output=np.ascontiguousarray(batch.target_output[:target_steps, columns]),
        target_lengths=target_lengths,
        source_tokens=int(source_lengths.sum()),
        target_tokens=int(target_lengths.sum()),
        indices=batch.indices[columns],
    )
