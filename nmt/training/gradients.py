"""The gradient of a step: the sum over its batches, wherever they ran, in an order that depends on neither.

A sum in floating point depends on its order. Here it is that of a tournament: batches 0 and 1, 2 and 3, and so on, then
these sums in pairs, until there is one. A process that runs 2^k batches of a step, one after the other from a multiple
of 2^k on, makes a sum that stands in the tournament as it is; so N processes with one batch each, N / 2 with two, or
one with N, come to the same bits (docs/decisions/0019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal

import torch
from torch import Tensor, nn

from nmt.training.processes import JoinedProcesses, Processes

GradientPrecision = Literal["float32", "bfloat16"]
Weights = Future[list[tuple[float, ...]]]
"""By rank, in front, the target tokens of each process's share of a step; without any, it adds nothing to the sum."""

BUCKET_VALUES = 1 << 20
"""Values of a bucket: enough that time goes into bytes and not into waiting, few enough that the first leave early."""
_ALIGNED = 16  # values from one parameter's place to the next: a cache line


class TournamentSum:
    """Adds up tensors as they come, in the order of a tournament; what is missing adds nothing."""

    def __init__(self) -> None:
        self._sums: list[Tensor | None] = []
        self._count = 0

    def add(self, value: Tensor | None) -> None:
        """Take the next one in; it may be changed from now on."""
        count = self._count
        while count & 1:
            value = _plus(self._sums.pop(), value)
            count >>= 1
        self._sums.append(value)
        self._count += 1

    def take(self) -> Tensor | None:
        """Return the sum, and begin anew."""
        total = None
        while self._sums:
            total = _plus(self._sums.pop(), total)
        self._count = 0
        return total


def _plus(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one.add_(other)


class Gradients:
    """Adds up the gradients of the batches of a step of this process.

    Args:
        parameters: What they are of.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self._sums = [TournamentSum() for _ in self.parameters]

    def next_is_last(self, weights: Weights) -> None:
        """Say that the next backward pass is the last one of the step in this process.

        Args:
            weights: Those of the step.
        """

    @torch.no_grad()
    def add(self) -> None:
        """Take in what a batch, not the last one, has left in the parameters' gradients."""
        for parameter, total in zip(self.parameters, self._sums, strict=True):
            total.add(parameter.grad)
            parameter.grad = None

    @torch.no_grad()
    def finish(self, weights: Weights) -> None:
        """Take in the last batch, and put the sum into the parameters' gradients; `weights` as for `next_is_last`."""
        for parameter, total in zip(self.parameters, self._sums, strict=True):
            total.add(parameter.grad)
            parameter.grad = total.take()


class ExchangedGradients(Gradients):
    """Adds them up over the processes as well, bucket by bucket, while the backward pass still makes others.

    Each process adds up one slice of a bucket, in the order of the ranks, and sends the sum to all: as many bytes as a
    ring takes, but an order of sums that does not depend on where a slice lies.

    Args:
        parameters: What they are of.
        processes: Those that train.
        precision: What gradients are sent in; they are added up in float32.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], processes: JoinedProcesses, precision: GradientPrecision
    ) -> None:
        super().__init__(parameters)
        self._processes = processes
        self._buckets = make_buckets(self.parameters, processes.size, getattr(torch, precision))
        self._bucket_of = {id(each): bucket for bucket in self._buckets for each in bucket.places}
        self._under_way: list[Future[None]] = []
        self._weights: Weights | None = None
        for parameter, total in zip(self.parameters, self._sums, strict=True):
            parameter.register_post_accumulate_grad_hook(self._hook(total))  # type: ignore[no-untyped-call]

    @property
    def exchanged_bytes(self) -> int:
        """What a process sends in a step, and receives."""
        size = self._processes.size
        return sum(2 * (size - 1) * bucket.values[0].nbytes for bucket in self._buckets)

    def next_is_last(self, weights: Weights) -> None:
        """See `Gradients`, as for the other one."""
        self._weights = weights
        for bucket in self._buckets:
            bucket.missing = set(map(id, bucket.places))

    def finish(self, weights: Weights) -> None:
        """Wait until the sums of all processes are there."""
        if self._weights is None:
            self.next_is_last(weights)  # there was none
        for parameter, total in zip(self.parameters, self._sums, strict=True):
            if id(parameter) in self._bucket_of[id(parameter)].missing:  # no batch of this process reached it
                self._put(parameter, total)
        self._processes.wait(self._under_way)
        self._under_way, self._weights = [], None
        for bucket in self._buckets:
            bucket.give_back()

    def _hook(self, total: TournamentSum) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            if self._weights is not None:
                self._put(parameter, total)

        return hook

    @torch.no_grad()
    def _put(self, parameter: Tensor, total: TournamentSum) -> None:
        """Put a gradient that this process is done with into its bucket; send buckets that are full, in their order."""
        total.add(parameter.grad)
        gradient = total.take()
        bucket = self._bucket_of[id(parameter)]
        if gradient is None:
            bucket.places[parameter].zero_()
        else:
            bucket.places[parameter].copy_(gradient)
        bucket.missing.discard(id(parameter))
        while len(self._under_way) < len(self._buckets) and not self._buckets[len(self._under_way)].missing:
            self._under_way.append(self._processes.submit(self._exchange(self._buckets[len(self._under_way)])))

    def _exchange(self, bucket: Bucket) -> Callable[[], None]:
        weights = self._weights
        assert weights is not None

        @torch.no_grad()
        def exchange() -> None:
            self._processes.all_to_all(bucket.received, bucket.values)
            total = TournamentSum()
            for row, (weight, *_) in zip(bucket.received, weights.result(), strict=True):
                total.add(row.float() if weight else None)
            found = total.take()
            if found is None:
                bucket.summed.zero_()
            else:
                bucket.summed.copy_(found)
            self._processes.all_gather(bucket.values, bucket.summed)

        return exchange


class Bucket:
    """Gradients of some parameters that travel together.

    Args:
        parameters: The parameters.
        slices: How many processes there are, each of which adds up one slice.
        dtype: What is sent.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], slices: int, dtype: torch.dtype) -> None:
        sizes = [-(-each.numel() // _ALIGNED) * _ALIGNED for each in parameters]
        width = -(-sum(sizes) // (slices * _ALIGNED)) * _ALIGNED
        device = parameters[0].device
        self.values = torch.zeros(slices, width, dtype=dtype, device=device)
        """What this process sends, [slices, n], and in the end the sum."""
        self.received = torch.empty_like(self.values)
        """The slice of this process from all of them."""
        self.summed = torch.empty(width, dtype=dtype, device=device)
        """Their sum."""
        flat, start = self.values.flatten(), 0
        self.places: dict[Tensor, Tensor] = {}
        """Where in `values` each parameter's gradient lies, of its shape."""
        for parameter, size in zip(parameters, sizes, strict=True):
            self.places[parameter] = flat[start : start + parameter.numel()].view(parameter.shape)
            start += size
        self.missing: set[int] = set()
        """Of the step under way, the parameters (by `id`) whose gradients are not there yet."""

    def give_back(self) -> None:
        """Let the parameters' gradients be the sums."""
        for parameter, place in self.places.items():
            parameter.grad = place.float()


def make_buckets(
    parameters: Sequence[nn.Parameter], slices: int, dtype: torch.dtype, most: int = BUCKET_VALUES
) -> list[Bucket]:
    """Divide parameters into buckets, the last ones first: the backward pass comes to them first.

    Args:
        parameters: Those of a network.
        slices: See `Bucket`.
        dtype: See `Bucket`.
        most: Values of a bucket, unless one parameter alone has more.
    """
    groups: list[list[nn.Parameter]] = []
    room = 0
    for parameter in reversed(parameters):
        if not groups or parameter.numel() > room:
            groups.append([])
            room = most
        groups[-1].append(parameter)
        room -= parameter.numel()
    return [Bucket(group, slices, dtype) for group in groups]


def gradients_of(parameters: Sequence[nn.Parameter], processes: Processes, precision: GradientPrecision) -> Gradients:
    """Make what adds up the gradients of a step.

    Args:
        parameters: What they are of.
        processes: Those that train.
        precision: What gradients are sent in.
    """
    if isinstance(processes, JoinedProcesses):
        return ExchangedGradients(parameters, processes, precision)
    return Gradients(parameters)
