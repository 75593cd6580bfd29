"""The processes of one training, and what they tell each other.

Started by `torchrun`, every process runs the same program: it has the same network, runs its share of each step's
batches, and does the same with the sum of all gradients. The first one alone reads and writes the model folder, and
validates. All that they exchange goes through one thread of each, in the order in which it was asked for, which is the
same in all of them: so an exchange may run while the backward pass goes on, and none can be taken for another.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from queue import SimpleQueue
from typing import TypeVar

import torch
from torch import Tensor

from nmt.training import TrainingError
from nmt.training.meeting import meet

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long to wait for another process: it may be validating. One that ended is noticed at once."""


class Processes:
    """The only process of a training: what the others would say is what it says itself."""

    rank = 0
    """Number of this process, from 0."""
    size = 1
    """How many there are."""
    on_this_machine = 1
    """How many of them share this machine's memory."""

    @property
    def first(self) -> bool:
        """Whether this is the process that reads and writes the model folder."""
        return self.rank == 0

    def submit(self, exchange: Callable[[], T]) -> Future[T]:
        """Run an exchange after those submitted before."""
        future: Future[T] = Future()
        future.set_result(exchange())
        return future

    def gather(self, *values: float) -> Future[list[tuple[float, ...]]]:
        """Tell the others some numbers, as many as they tell; the result is everybody's, by rank."""
        return self.submit(lambda: [values])

    def from_first(self, make: Callable[[], str]) -> str:
        """Let the first process make a text, and all have it."""
        return make()

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""

    def collect(self, tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """Let the first process have copies of each other one's tensors, by rank; all take what comes, to the end."""
        yield from ()

    def hand_out(self, make: Callable[[int], Sequence[Tensor]], into: Sequence[Tensor]) -> None:
        """Let the first process make the tensors of each other one, by its rank, which has them in `into`."""

    def all_to_all(self, into: Tensor, tensor: Tensor) -> None:
        """Send row r of [size, n] to process r, and have in row r of another what process r sent; while submitted."""
        into.copy_(tensor)

    def all_gather(self, into: Tensor, tensor: Tensor) -> None:
        """Have in row r of [size, n] what process r has as [n]; while submitted."""
        into[0].copy_(tensor)

    def check_same(self, tensors: Sequence[Tensor]) -> None:
        """Make sure that all processes hold the same bits.

        Args:
            tensors: Of float32.

        Raises:
            TrainingError: They do not.
        """


class JoinedProcesses(Processes):
    """Several processes, by torch.distributed: gloo between CPUs, NCCL between CUDA devices.

    Args:
        rank: Number of this one.
        size: How many there are.
        on_this_machine: How many of them run on this machine.
        cuda: Whether gradients are on CUDA devices.

    Raises:
        TrainingError: They do not find each other.
    """

    def __init__(self, rank: int, size: int, on_this_machine: int, *, cuda: bool) -> None:
        from torch import distributed  # noqa: PLC0415  (slow to import, and rarely wanted)

        self.rank, self.size, self.on_this_machine = rank, size, on_this_machine
        self._distributed = distributed
        before = _signal_at_once(signal.SIGTERM)
        try:
            store, *_ = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
            store = distributed.PrefixStore(meet(store, rank, size), store)  # type: ignore[attr-defined]
            backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
            distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"WORLD_SIZE is {size}: this is one of {size} processes, but they do not find each other "
                f"({str(error).splitlines()[0]}); start them with `torchrun`"
            ) from None
        finally:
            before()
        self._stream = torch.cuda.Stream() if cuda else None  # type: ignore[no-untyped-call]
        self._work: SimpleQueue[tuple[Callable[[], object], Future[object]]] = SimpleQueue()
        # A daemon: a process that ends with an error does not wait for what others will never send.
        threading.Thread(target=self._run, name="nmt exchanges", daemon=True).start()

    def _run(self) -> None:
        with torch.cuda.stream(self._stream):  # None changes nothing
            while True:
                exchange, future = self._work.get()
                try:
                    future.set_result(exchange())
                except RuntimeError as error:
                    lost = TrainingError(
                        f"process {self.rank} of {self.size} lost the others: the message of the one that ended first "
                        f"says why ({str(error).splitlines()[0]})"
                    )
                    future.set_exception(lost)
                except BaseException as error:  # raised where the result is wanted
                    future.set_exception(error)

    def submit(self, exchange: Callable[[], T]) -> Future[T]:
        """See `Processes`, as for the rest. On CUDA it begins when the work queued so far is done."""
        future: Future[T] = Future()
        if self._stream is None:
            self._work.put((exchange, future))  # type: ignore[arg-type]
            return future
        stream, ready = self._stream, torch.cuda.current_stream().record_event()

        def after() -> T:
            stream.wait_event(ready)
            return exchange()

        self._work.put((after, future))  # type: ignore[arg-type]
        return future

    def wait(self, futures: Sequence[Future[None]]) -> None:
        """Let what is queued from now on see what exchanges wrote."""
        for future in futures:
            future.result()
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)

    def gather(self, *values: float) -> Future[list[tuple[float, ...]]]:
        """By way of the CPU, wherever the gradients are."""

        def exchange() -> list[tuple[float, ...]]:
            everyone = torch.empty(self.size, len(values), dtype=torch.float64)
            self.all_gather(everyone, torch.tensor(values, dtype=torch.float64))
            return [tuple(row) for row in everyone.tolist()]

        return self.submit(exchange)

    def from_first(self, make: Callable[[], str]) -> str:
        """Its length goes first."""
        content = make().encode() if self.first else b""
        [(length,), *_] = self.gather(len(content)).result()
        buffer = torch.zeros(int(length) + 1, dtype=torch.uint8)  # never empty
        if self.first:
            buffer[: len(content)] = torch.frombuffer(bytearray(content + b"\0"), dtype=torch.uint8)[:-1]
        self.submit(lambda: self._distributed.broadcast(buffer, 0)).result()
        return bytes(buffer[:-1].tolist()).decode()

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """One after the other."""

        def exchange() -> None:
            for tensor in tensors:
                self._distributed.broadcast(tensor.detach(), 0)

        self.wait([self.submit(exchange)])

    def collect(self, tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """One process after the other, so that only one's tensors need room."""
        for rank in range(1, self.size):
            if self.first:
                copies = [torch.empty_like(each) for each in tensors]
                self._receive(copies, rank)
                yield copies
            elif rank == self.rank:
                self._send(tensors, 0)

    def hand_out(self, make: Callable[[int], Sequence[Tensor]], into: Sequence[Tensor]) -> None:
        """As `collect`."""
        for rank in range(1, self.size):
            if self.first:
                self._send(make(rank), rank)
            elif rank == self.rank:
                self._receive(into, 0)

    def _send(self, tensors: Sequence[Tensor], other: int) -> None:
        def exchange() -> None:
            for tensor in tensors:
                self._distributed.send(tensor.detach().contiguous(), other)

        self.wait([self.submit(exchange)])

    def _receive(self, tensors: Sequence[Tensor], other: int) -> None:
        def exchange() -> None:
            for tensor in tensors:
                self._distributed.recv(tensor.detach(), other)

        self.wait([self.submit(exchange)])

    def all_to_all(self, into: Tensor, tensor: Tensor) -> None:
        """Rows go straight from one process to the other."""
        if tensor.is_cuda:
            self._distributed.all_to_all_single(_as_bytes(into), _as_bytes(tensor))
        else:
            self._swap(_as_bytes(into), [*_as_bytes(tensor)])

    def all_gather(self, into: Tensor, tensor: Tensor) -> None:
        """As `all_to_all`, with the same row for all."""
        if tensor.is_cuda:
            self._distributed.all_gather([*_as_bytes(into)], _as_bytes(tensor))
        else:
            self._swap(_as_bytes(into), [_as_bytes(tensor)] * self.size)

    def _swap(self, into: Tensor, rows: Sequence[Tensor]) -> None:
        """Send a row to each process, and receive one from each.

        gloo's collectives hardly send while they receive: over a slow link they took 1.7 times as long as this. In a
        round each process sends to one other and receives from one, so that no link is wanted by two at a time.
        """
        into[self.rank].copy_(rows[self.rank])
        for distance in range(1, self.size):
            after, before = (self.rank + distance) % self.size, (self.rank - distance) % self.size
            for work in (self._distributed.irecv(into[before], before), self._distributed.isend(rows[after], after)):
                assert work is not None  # this process is one of them
                work.wait()

    def check_same(self, tensors: Sequence[Tensor]) -> None:
        """By the sum of the bits as whole numbers."""
        bits = sum(int(each.detach().view(torch.int32).sum(dtype=torch.int64)) for each in tensors)
        everyone = [row[0] for row in self.gather(bits % 2**52).result()]  # what float64 holds
        for rank, other in enumerate(everyone):
            if other != everyone[0]:
                raise TrainingError(
                    f"process {rank} has other parameters than process 0 after the same steps: expected processors "
                    "of one kind, with the same number of threads and the same versions of all packages"
                )


def _signal_at_once(number: int) -> Callable[[], object]:
    """Let a signal end this process even while it waits in native code; returns what undoes that."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = signal.signal(number, signal.SIG_DFL)
    return lambda: signal.signal(number, before)


def _as_bytes(tensor: Tensor) -> Tensor:
    """What is sent is bytes, whatever types a backend knows."""
    return tensor.view(torch.uint8)


def local_rank() -> int | None:
    """Number of this process among those of its machine, as `torchrun` says; None where there is only one process."""
    return int(os.environ.get("LOCAL_RANK", "0")) if _size() > 1 else None


def _size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(*, cuda: bool) -> Iterator[Processes]:
    """Find the other processes, as the environment that `torchrun` makes tells.

    Args:
        cuda: Whether the network is on CUDA devices.

    Raises:
        TrainingError: There are some, and they do not find each other.
    """
    size = _size()
    if size == 1:
        yield Processes()
        return
    rank, here = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    processes = JoinedProcesses(rank, size, here, cuda=cuda)
    yield processes
    processes.gather(0.0).result()  # none leaves while another still talks
    torch.distributed.destroy_process_group()
