"""Workers do what waits, whatever fails."""

from __future__ import annotations

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


def upper(key: str, lines: Sequence[str]) -> list[str]:
    if any("bad" in line for line in lines):
        raise ValueError("bad line")
    return [key + line.upper() for line in lines]


def test_results_come_to_their_requests() -> None:
    ended, told = Ended(), list[BatchTold]()
    batcher = Batcher(upper, ended, workers=3, capacity=10_000, told=told.append)
    works = [Lines(f"{number % 2}", [f"{number} {line}" for line in range(number)]) for number in range(1, 60)]
    for work in works:
        batcher.submit(work)
    assert {id(work) for work in ended.wait(len(works))} == set(map(id, works))
    batcher.stop()
    assert all(work.results == upper(work.key, work.lines) for work in works)
    assert sum(batch.lines for batch in told) == sum(len(work.lines) for work in works)
    with pytest.raises(StoppedError):
        batcher.submit(works[0])


def test_a_line_that_fails_spoils_no_other_request() -> None:
    gate, ended = threading.Event(), Ended()

    def held(key: str, lines: Sequence[str]) -> list[str]:
        assert gate.wait(10)
        return upper(key, lines)

    batcher = Batcher(held, ended, workers=1, capacity=1000)
    works = [Lines("", [text]) for text in ("first", "a", "bad", "b")] + [Lines("", ["c", "bad", "d"] * 40)]
    for work in works:
        batcher.submit(work)
    gate.set()
    assert len(ended.wait(5)) == 5
    batcher.stop()
    assert [work.results for work in works[:2] + works[3:4]] == [["FIRST"], ["A"], ["B"]]
    assert [str(work.error) for work in (works[2], works[4])] == ["bad line"] * 2
    assert len(ended.works) == 5  # each is told once, and the rest of what failed is not done


def test_stopping_does_what_waits_and_nobody_is_told_of_what_was_cancelled() -> None:
    gate, ended, done = threading.Event(), Ended(), list[str]()

    def held(key: str, lines: Sequence[str]) -> list[str]:
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
    batcher = Batcher(lambda key, lines: [], ended, workers=1, capacity=10)
    batcher.submit(Lines("", ["a"]))
    assert isinstance(ended.wait(1)[0].error, RuntimeError)
    batcher.stop()
