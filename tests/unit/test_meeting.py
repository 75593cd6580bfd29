"""Processes that start anew, in a store that remembers others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nmt.training.meeting import meet


class Kept:
    """A store that writes down what is written."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.written: list[tuple[str, bytes]] = []

    def set(self, key: str, value: str) -> None:
        self.content[key] = value.encode()
        self.written.append((key, value.encode()))

    def check(self, keys: list[str]) -> bool:
        return all(key in self.content for key in keys)

    def get(self, key: str) -> bytes:
        return self.content[key]


def attempt(store: Kept, size: int, late: int | None = None) -> list[str]:
    """Let processes meet; one that is late lets the others find first what is left of the attempt before."""

    def work(rank: int) -> str:
        if rank == late:
            threading.Event().wait(0.03)
        return meet(store, rank, size)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_attempt_has_a_name_of_its_own(size):
    store = Kept({})
    names = [attempt(store, size), attempt(store, size, late=0), attempt(store, size, late=size - 1)]
    assert [len(set(each)) for each in names] == [1, 1, 1]
    assert len({name for each in names for name in each}) == 3


def test_whatever_processes_left_that_were_killed():
    first = Kept({})
    before = attempt(first, 2)
    for written in range(len(first.written) + 1):
        after = attempt(Kept(dict(first.written[:written])), 2, late=written % 2)
        assert len(set(after)) == 1
        assert after != before
