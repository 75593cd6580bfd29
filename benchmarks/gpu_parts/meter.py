"""Time and memory on the device, and how much time is left."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

Work = Callable[[], Any]


@dataclass(frozen=True)
class Meter:
    """Measures on a CUDA device; in a dry run on the CPU, once, where numbers mean nothing.

    Attributes:
        device: Where tensors are made.
        dry: Whether this is a rehearsal without a card.
        deadline: Time, as `time.monotonic` counts, after which sections leave out what is left.
    """

    device: torch.device
    dry: bool
    deadline: float

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def wait(self) -> None:
        """Until the device has done all work."""
        if not self.dry:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Work, repeats: int = 15, warmup: int = 3) -> dict[str, float]:
        """Median, least and most time of a call, by events around it."""
        if self.dry:
            started = time.perf_counter()
            work()
            times = [1e3 * (time.perf_counter() - started)]
        else:
            for _ in range(warmup):
                work()
            self.wait()
            pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
            for first, last in pairs:
                first.record()
                work()
                last.record()
            self.wait()
            times = [first.elapsed_time(last) for first, last in pairs]
        return {"median": statistics.median(times), "least": min(times), "most": max(times)}

    def graphed(self, work: Work) -> Work:
        """The same work as a CUDA graph, replayed; its results are not looked at."""
        if self.dry:
            return work
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay

    def held(self, work: Work) -> int | None:
        """Bytes that are still taken after a call, beside what it returned; None in a dry run."""
        if self.dry:
            return None
        work()
        self.wait()
        before = torch.cuda.memory_allocated(self.device)
        result = work()
        self.wait()
        return torch.cuda.memory_allocated(self.device) - before - sum(t.nbytes for t in _tensors(result))


def _tensors(result: Any) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for each in result for tensor in _tensors(each)] if isinstance(result, (tuple, list)) else []


@contextmanager
def products_in(kind: str) -> Iterator[torch.dtype]:
    """The type of values that a name stands for; inside, products of float32 round to TF32 if that is the name."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind == "tf32"
    try:
        yield torch.float32 if kind == "tf32" else getattr(torch, kind)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def judge(row: dict[str, Any], measure: Work) -> dict[str, Any]:
    """Puts an error's ratio into a row, and whether it is right: at most 2."""
    attempt(row, "ratio", measure)
    return row | {"right": row["ratio"] is not None and row["ratio"] <= 2.0}


def attempt(row: dict[str, Any], name: str, measure: Work) -> None:
    """Puts what `measure` returns into a row, or the error: one that fails must not cost the others."""
    try:
        row[name] = measure()
    except Exception as error:
        row[name] = None
        row.setdefault("errors", {})[name] = (
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
