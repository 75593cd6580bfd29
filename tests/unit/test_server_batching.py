"""Workers do what waits, whatever fails."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

import pytest

from nmt.server.batching import Batcher, BatchTold, StoppedError
from nmt.server.fair_queue import Work

Lines = Work[str, str]


class Ended:
    """Collects works that have ended, and waits for them."""

    def __init__(self) -> None:
        self.works: list[Lines] = []
        self._changed = threading.Condition()

    def __call__(self, works: Sequence[Lines]) -> None:
        with self._changed:
            self.works += works
            self._changed.notify_all()

    def wait(self, count: int) -> list[Lines]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.works) >= count, timeout=10)
        return self.works


def upper(key: str, lines: Sequence[str], threads: int = 1) -> list[str]:
    if any("bad" in line for line in lines):
        raise ValueError("bad line")
    return [key + line.upper() for line in lines]


def test_results_come_to_their_requests() -> None:
    ended, told = Ended(), list[BatchTold]()
    batcher = Batcher(upper, ended, workers=3, capacity=10_000, told=told.append)
    works = [Lines(f"{number % 2}", [f"{number} {line}" for line in range(number)]) for number in range(1, 60)]
    for work in works:
        batcher.submit(work)
    batcher.wake()
    assert {id(work) for work in ended.wait(len(works))} == set(map(id, works))
    batcher.stop()
    assert all(work.results == upper(work.key, work.lines) for work in works)
    assert sum(batch.lines for batch in told) == sum(len(work.lines) for work in works)
    with pytest.raises(StoppedError):
        batcher.submit(works[0])


def test_a_line_that_fails_spoils_no_other_request() -> None:
    gate, ended = threading.Event(), Ended()

    def held(key: str, lines: Sequence[str], threads: int) -> list[str]:
        assert gate.wait(10)
        return upper(key, lines)

    batcher = Batcher(held, ended, workers=1, capacity=1000)
    works = [Lines("", [text]) for text in ("first", "a", "bad", "b")] + [Lines("", ["c", "bad", "d"] * 40)]
    for work in works:
        batcher.submit(work)
        batcher.wake()
    gate.set()
    assert len(ended.wait(5)) == 5
    batcher.stop()
    assert [work.results for work in works[:2] + works[3:4]] == [["FIRST"], ["A"], ["B"]]
    assert [str(work.error) for work in (works[2], works[4])] == ["bad line"] * 2
    assert len(ended.works) == 5  # each is told once, and the rest of what failed is not done


def test_stopping_does_what_waits_and_nobody_is_told_of_what_was_cancelled() -> None:
    gate, ended, done = threading.Event(), Ended(), list[str]()

    def held(key: str, lines: Sequence[str], threads: int) -> list[str]:
        assert gate.wait(10)
        done.extend(lines)
        return list(lines)

    batcher = Batcher(held, ended, workers=1, capacity=100)
    works = [Lines("", [text]) for text in "abc"]
    for work in works:
        batcher.submit(work)
    batcher.cancel(works[1])
    stopping = threading.Thread(target=batcher.stop)
    stopping.start()
    gate.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert ended.works == [works[0], works[2]]
    assert "b" not in done


def test_too_few_results_are_an_error() -> None:
    ended = Ended()
    batcher = Batcher(lambda key, lines, threads: [], ended, workers=1, capacity=10)
    batcher.submit(Lines("", ["a"]))
    batcher.wake()
    assert isinstance(ended.wait(1)[0].error, RuntimeError)
    batcher.stop()


def test_lines_go_to_workers_that_are_free_and_a_lone_one_has_all_threads() -> None:
    began, ended = queue.Queue[tuple[list[str], int, threading.Event]](), Ended()

    def held(key: str, lines: Sequence[str], threads: int) -> list[str]:
        began.put((list(lines), threads, gate := threading.Event()))
        assert gate.wait(10)
        return list(lines)

    batcher = Batcher(held, ended, workers=2, capacity=100)

    def submit(texts: str) -> None:
        for text in texts:
            batcher.submit(Lines("", [text]))
        batcher.wake()

    def all_free() -> None:
        while batcher.free < 2:
            threading.Event().wait(0.001)

    all_free()
    submit("a")
    lines, threads, first = began.get(timeout=10)
    assert (lines, threads) == (["a"], 2)
    submit("b")  # the other thread is at work
    lines, threads, second = began.get(timeout=10)
    assert (lines, threads) == (["b"], 1)
    first.set()
    second.set()
    ended.wait(2)
    all_free()
    submit("cdef")
    (one, _, first), (other, _, second) = (began.get(timeout=10) for _ in range(2))
    assert sorted([one, other]) == [["c", "d"], ["e", "f"]]
    submit("ghijk")  # half of them would wait for nothing
    first.set()
    lines, threads, third = began.get(timeout=10)
    assert (lines, threads) == (list("ghijk"), 1)
    second.set()
    third.set()
    batcher.stop()
    assert len(ended.works) == 11
