"""Work in a thread, a step ahead of its results."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nmt.data.ahead import ReadAhead
from nmt.decoding.stream import Abandoned, Ask, a_step_ahead


def test_results_come_in_order_from_another_thread() -> None:
    def work(item: int, ask: Ask) -> tuple[int, int]:
        return item, threading.get_ident()

    found = list(a_step_ahead(work, range(20)))
    assert [item for item, _ in found] == list(range(20))
    assert {thread for _, thread in found} != {threading.get_ident()}
    assert len({thread for _, thread in found}) == 1
    assert list(a_step_ahead(work, [])) == []


def test_the_next_item_is_worked_on_while_a_result_is_used() -> None:
    begun = [threading.Event() for _ in range(4)]

    def work(item: int, ask: Ask) -> int:
        begun[item].set()
        return item

    results = a_step_ahead(work, range(4))
    assert next(results) == 0
    assert begun[1].wait(30)
    assert not begun[2].is_set()  # which waits until the result of 1 is taken
    assert list(results) == [1, 2, 3]


def test_an_error_takes_the_place_of_its_result() -> None:
    def fails_at_three(item: int, ask: Ask) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    def items() -> Iterator[int]:
        yield from range(5)
        raise OSError("gone")

    results = a_step_ahead(fails_at_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    results = a_step_ahead(lambda item, ask: item, items())
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_results_do_not_wait_for_items_that_do_not_come() -> None:
    come = threading.Event()

    def items() -> Iterator[str]:
        yield "a"
        assert come.wait(30)
        yield "b"

    upper = a_step_ahead(lambda item, ask: item.upper(), items())
    results = a_step_ahead(lambda item, ask: item * 2, upper)
    assert next(results) == "AA"
    come.set()
    assert list(results) == ["BB"]


def test_who_gives_up_waits_for_the_work_under_way() -> None:
    begun, ended = threading.Event(), []

    def work(item: int, ask: Ask) -> int:
        if item == 0:
            return item
        begun.set()
        try:
            while True:
                ask()
        except Abandoned:
            ended.append(item)
            raise

    results = a_step_ahead(work, range(10))
    assert next(results) == 0
    assert begun.wait(30)
    results.close()  # type: ignore[attr-defined]
    assert ended == [1]


def test_who_reads_ahead_stops_when_nobody_wants_more() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    chunks = ReadAhead(items(), lambda item: 1, 10, 1000, patient=True).chunks()
    assert next(chunks) == list(range(10))
    chunks.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "nmt reads ahead":
            thread.join(30)
    assert len(taken) < 40
