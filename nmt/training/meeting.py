"""How processes that start anew tell each other from those of an earlier attempt.

`torchrun` keeps one store for all attempts, and what an earlier one left there, such as addresses of processes that are
gone, looks like the present one's. So every process leaves a fresh name; the first one lists those that it finds, the
others confirm a list that has their own, and with a list that all confirm they begin. Nobody confirms a list for a
process that is gone.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Protocol

_PAUSE = 0.01  # seconds


class Store(Protocol):
    """What is used of torch.distributed's stores."""

    def set(self, key: str, value: str) -> None:
        """Write."""

    def check(self, keys: list[str]) -> bool:
        """Whether keys are there."""

    def get(self, key: str) -> bytes:
        """Read what is there."""


def meet(store: Store, rank: int, size: int) -> str:
    """Wait for the other processes of this attempt.

    Args:
        store: Which all of them reach; may hold what earlier attempts wrote by this function.
        rank: Number of this process, from 0.
        size: How many there are.

    Returns:
        A name of the attempt, the same in all of them, that no other attempt has.
    """
    own = secrets.token_hex(16)
    store.set(f"here/{rank}", own)
    while True:
        if rank == 0:
            store.set("list", " ".join(_read(store, f"here/{other}") or "-" for other in range(size)))
        listed = _read(store, "list")
        attempt = hashlib.sha256(listed.encode()).hexdigest()
        if listed.split()[rank : rank + 1] == [own]:
            store.set(f"confirmed/{rank}", attempt)
            if rank == 0 and all(_read(store, f"confirmed/{other}") == attempt for other in range(size)):
                store.set("begin", attempt)
            if _read(store, "begin") == attempt:
                return attempt
        time.sleep(_PAUSE)


def _read(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""
