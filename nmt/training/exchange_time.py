"""How long a step of several processes takes: the model behind `nmt plan --processes` and docs/scale.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

OVERLAPPED = 0.4
"""Share of a batch's computing from the first gradient on: what may be sent is sent during it."""
_HEADERS = 1514 / 1448
"""What a link carries for a byte: headers of Ethernet, IP and TCP in frames of 1,500 bytes."""
_CALLS = 2
"""Calls for a bucket: slices to those that add them up, and the sums to all."""
_NUMBERS = 3
"""Calls a step that tell a few numbers."""


@dataclass(frozen=True)
class Link:
    """What lies between processes."""

    bits_per_second: float
    """Of each process's connection, in either direction."""
    latency: float = 1e-4
    """Seconds until what was sent arrives, the work at both ends included."""


def sent_bytes(buckets: Sequence[int], processes: int) -> float:
    """Tell the bytes that a process sends in a step, and receives; a ring takes as many.

    Args:
        buckets: Bytes of each bucket.
        processes: How many there are.
    """
    return 2 * (processes - 1) / processes * sum(buckets)


def exchange_seconds(size: int, processes: int, link: Link) -> float:
    """Tell how long the exchange of a bucket of so many bytes takes."""
    sent = 8 * _HEADERS * sent_bytes([size], processes)
    return sent / link.bits_per_second + _CALLS * (processes - 1) * link.latency


def round_seconds(compute: float, buckets: Sequence[int], processes: int, link: Link, every: int) -> float:
    """Tell how long a step takes in the mean where one in `every` is followed by an outer step, which nothing hides.

    Args:
        compute: Seconds of a process's share of a step, of the slowest one.
        buckets: Bytes of each bucket.
        processes: How many there are.
        link: What lies between them.
        every: Steps of a round.
    """
    return compute + sum(exchange_seconds(size, processes, link) for size in buckets) / every


def step_seconds(compute: float, buckets: Sequence[int], processes: int, link: Link, accumulate: int = 1) -> float:
    """Tell how long a step takes.

    Args:
        compute: Seconds of a process's share of it, of the slowest one.
        buckets: Bytes of each bucket, in the order in which they are sent; the last one is full only at the end.
        processes: How many there are.
        link: What lies between them.
        accumulate: Batches of a process's share; gradients are sent during the last one.
    """
    if processes == 1:
        return compute
    *_, last = each = [exchange_seconds(size, processes, link) for size in buckets]
    numbers = _NUMBERS * (processes - 1) * link.latency
    return compute + numbers + max(last, sum(each) - OVERLAPPED * compute / accumulate)


def tree_seconds(compute: float, buckets: Sequence[int], processes: int, link: Link, accumulate: int = 1) -> float:
    """Tell the same of a binary tree, which sends all bytes up and down again at each of its levels."""
    levels = math.ceil(math.log2(processes)) if processes > 1 else 0
    total = 2 * levels * (_HEADERS * 8 * sum(buckets) / link.bits_per_second + link.latency)
    return compute + max(0.0, total - OVERLAPPED * compute / accumulate)


def imbalance(sizes: Sequence[float], processes: int) -> float:
    """Tell how much longer the largest of some batches takes than the mean of them: all wait for it.

    Args:
        sizes: What each batch of an epoch takes, in any unit.
        processes: How many run at a time.

    Returns:
        At least 1.
    """
    order = Random(0).sample(list(sizes), len(sizes))
    groups = [order[start : start + processes] for start in range(0, len(order) - processes + 1, processes)]
    return fmean(max(group) for group in groups) / fmean(sizes) if groups else 1.0
