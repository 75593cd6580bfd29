"""Whoever waits in the queue gets a turn, once, and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.server.fair_queue import FairQueue, FullError, Share, Work

Queue = FairQueue[str, int]
works = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 40).map("x".__mul__), max_size=30), st.booleans()),
    max_size=12,
)


def drained(queue: Queue, lines: int, characters: int) -> list[list[Share[str, int]]]:
    batches = []
    while batch := queue.take(lines, characters):
        batches.append(batch)
    return batches


@given(works, st.integers(1, 12), st.integers(1, 60))
def test_every_line_is_taken_once_and_in_order(
    given_works: list[tuple[str, list[str], bool]], lines: int, characters: int
) -> None:
    queue = Queue(10**6)
    all_works = [Work[str, int](key, texts) for key, texts, _ in given_works]
    for work in all_works:
        queue.put(work)
    for work, (_, _, cancelled) in zip(all_works, given_works, strict=True):
        if cancelled:
            queue.cancel(work)
    wanted = [work for work in all_works if not work.cancelled]
    assert queue.waiting == sum(len(work.lines) for work in wanted)
    taken: dict[Work[str, int], list[int]] = {work: [] for work in all_works}
    for batch in drained(queue, lines, characters):
        assert len({share.work.key for share in batch}) == 1
        assert len({id(share.work) for share in batch}) == len(batch)
        sizes = [len(line) for share in batch for line in share.lines]
        assert len(sizes) <= lines
        assert sum(sizes) <= characters or len(sizes) == 1
        for share in batch:
            taken[share.work] += range(share.start, share.stop)
    for work in all_works:
        assert taken[work] == ([] if work.cancelled else list(range(len(work.lines))))
    assert (queue.waiting, queue._keys) == (0, {})


@given(st.integers(1, 200), st.lists(st.integers(1, 4), min_size=1, max_size=8), st.booleans())
def test_a_sentence_does_not_wait_for_a_book(book: int, small: list[int], same_key: bool) -> None:
    queue = Queue(10**6)
    queue.put(Work("a", ["x"] * 10_000))
    for _ in range(book):
        queue.take(64, 10**6)
    others = [Work[str, int]("a" if same_key else "b", ["y"] * lines) for lines in small]
    for work in others:
        queue.put(work)
    for _ in range(2 if same_key else 3):
        queue.take(64, 10**6)
    assert all(not work.waiting for work in others)


def test_what_has_no_room_is_refused_and_changes_nothing() -> None:
    queue = Queue(3)
    queue.put(Work("a", ["x"] * 5))  # nobody else waits
    refused = Work[str, int]("a", ["x"])
    with pytest.raises(FullError):
        queue.put(refused)
    queue.cancel(refused)  # it was never there
    assert queue.waiting == 5
    queue.take(3, 100)
    queue.put(Work("b", ["y"]))
    assert queue.waiting == 3
    with pytest.raises(FullError):
        queue.put(Work("b", ["y"]))


def test_work_that_was_begun_can_be_cancelled() -> None:
    queue = Queue(100)
    work, other = Work[str, int]("a", ["x"] * 10), Work[str, int]("a", ["y"])
    queue.put(work)
    queue.take(4, 100)
    queue.put(other)
    queue.cancel(work)
    queue.cancel(work)
    assert queue.waiting == 1
    assert [share.work for share in queue.take(64, 100)] == [other]
    assert queue.take(64, 100) == []
