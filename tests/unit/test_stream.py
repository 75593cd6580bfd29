"""Work in threads whose results come in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nmt.data.ahead import ReadAhead
from nmt.decoding.stream import Abandoned, Ask, in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    turn = threading.Condition()
    ended: list[int] = []

    def late(item: int, ask: Ask) -> int:
        """Of neighbours, the first ends after the second, where there is a thread for that."""
        with turn:
            if workers > 1 and item % 2 == 0:
                assert turn.wait_for(lambda: item + 1 in ended, timeout=30)
            ended.append(item)
            turn.notify_all()
        return -item

    assert list(in_order(late, range(20), workers)) == [-item for item in range(20)]
    assert (ended != sorted(ended)) == (workers > 1)
    assert list(in_order(late, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_few_items_are_taken_ahead(workers: int) -> None:
    taken, most = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    for used, _ in enumerate(in_order(lambda item, ask: item, items(), workers)):
        most = max(most, taken - used)
    assert most <= workers + 2


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_takes_the_place_of_its_result(workers: int) -> None:
    def fails_at(item: int, ask: Ask) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    def items() -> Iterator[int]:
        yield from range(5)
        raise OSError("gone")

    results = in_order(fails_at, range(10), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    results = in_order(lambda item, ask: item, items(), workers)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_results_do_not_wait_for_items_that_do_not_come() -> None:
    come = threading.Event()

    def items() -> Iterator[str]:
        yield "a"
        assert come.wait(30)
        yield "b"

    results = in_order(lambda item, ask: item.upper(), items(), 2)
    assert next(results) == "A"
    come.set()
    assert list(results) == ["B"]


def test_who_gives_up_waits_for_the_work_under_way() -> None:
    begun, ends = threading.Event(), []

    def work(item: int, ask: Ask) -> int:
        if item == 0:
            return item
        begun.set()
        try:
            while True:
                ask()
        except Abandoned:
            ends.append(item)
            raise

    results = in_order(work, range(10), 2)
    assert next(results) == 0
    assert begun.wait(30)
    results.close()  # type: ignore[attr-defined]
    assert ends
    assert set(ends) <= {1, 2}


def test_who_reads_ahead_stops_when_nobody_wants_more() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    chunks = ReadAhead(items(), lambda item: 1, 10, 1000).chunks()
    assert next(chunks) == list(range(10))
    chunks.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "nmt reads ahead":
            thread.join(30)
    assert len(taken) < 40
