"""How a library computes in somebody else's program: with settings of its own, and leaving those that it found."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import torch

from rnn_engine.memory import across_forks

_IMPORTED_IN: Final = os.getpid()
_ALONE: Final = threading.RLock()
across_forks(_ALONE)


@contextmanager
def as_guest(threads: int | None = None) -> Iterator[None]:
    """Let torch compute as this package expects it to, whatever the host program chose, and put that back in the end.

    That is in float32 by default, on the CPU where no other device is named, without autocast, with float32 products
    that are not rounded further. Nothing is touched that is as it should be already.

    A process that was forked from one that had imported torch computes on one thread: those of the pool that torch
    shares with its parent are not there, and it would wait for them for ever.

    The settings are the process's: one thread at a time is such a guest, others wait for it.

    Args:
        threads: CPU threads; None for as many as the program chose.
    """
    if os.getpid() != _IMPORTED_IN:
        threads = 1
    with _ALONE, ExitStack() as stack:
        if threads is not None and threads != (before := torch.get_num_threads()):
            torch.set_num_threads(threads)
            stack.callback(torch.set_num_threads, before)
        if (dtype := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if (precision := torch.get_float32_matmul_precision()) != "highest":
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
