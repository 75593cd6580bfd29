"""What is random in a step, as a function of what it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_randomness(device: torch.device, *key: int) -> Iterator[None]:
    """Let torch's generators, and with them the engine's masks, begin anew for as long as the context lasts.

    Args:
        device: The network's; its generator, too, is then put back.
        key: What they depend on alone.
    """
    seed = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int.from_bytes(seed, "little"))
        yield
