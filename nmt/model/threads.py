"""How many CPU threads the network uses."""

from __future__ import annotations

import os

import torch


def use_threads(threads: int | None) -> int:
    """Set the number of CPU threads of torch and, with it, of the engine.

    Args:
        threads: The number; None takes what the environment variable OMP_NUM_THREADS says, or, without it, every core
            that the process may run on.

    Returns:
        The number set.
    """
    if threads is None:
        wanted = os.environ.get("OMP_NUM_THREADS", "")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = int(wanted) if wanted.isdecimal() and int(wanted) > 0 else cores
    torch.set_num_threads(threads)
    return threads
