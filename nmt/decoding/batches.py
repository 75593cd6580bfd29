"""Which sentences go through the network together."""

from __future__ import annotations

from collections.abc import Sequence


def make_batches(lengths: Sequence[int], batch_size: int, batch_tokens: int) -> list[list[int]]:
    """Divide sentences into batches of like length.

    Args:
        lengths: Of each sentence, in tokens.
        batch_size: Sentences of a batch at most.
        batch_tokens: Padded size of a batch at most: its sentences times the longest of them. A sentence longer than
            that gets a batch of its own.

    Returns:
        Numbers of the sentences, each in one batch, the longest ones first: what is too large for the memory fails at
        the start. Those of equal length stay in order.
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if room == 0:
            batches.append([])
            room = min(batch_size, max(1, batch_tokens // max(1, lengths[index])))
        batches[-1].append(index)
        room -= 1
    return batches
