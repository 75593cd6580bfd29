"""What a command tells while it works."""

from __future__ import annotations

import os
import sys

import pytest

from nmt.commands import progress as module
from nmt.commands.progress import counted, describe, progress


class Clock:
    """Time as it is told to be."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("nmt translate") as show:
        for lines in range(0, 400, 4):  # of a file of 800 lines, 4 of them in a second
            show(lines, lines / 800)
            clock.now += 1
    said = capsys.readouterr()
    assert said.out == ""
    told = said.err.splitlines()
    assert len(told) == 9
    assert told[0] == "nmt translate: 40 lines, 4 lines/s, 5 %, 3:10 left"
    assert told[-1] == "nmt translate: 360 lines, 4 lines/s, 45 %, 1:50 left"


@pytest.mark.parametrize(
    ("lines", "share", "seconds", "expected"),
    [
        (0, None, 0.0, "0 lines, 0 lines/s"),
        (0, 0.0, 5.0, "0 lines, 0 lines/s"),
        (12_000, None, 60.0, "12,000 lines, 200 lines/s"),
        (1_200, 0.4, 20.0, "1,200 lines, 60 lines/s, 40 %, 0:30 left"),
        (7, 1.0, 7200.0, "7 lines, 0 lines/s, 100 %, 0:00 left"),
    ],
)
def test_what_is_told(lines: int, share: float | None, seconds: float, expected: str) -> None:
    assert describe(lines, share, seconds) == expected


def test_what_is_not_to_be_shown_is_not(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("nmt translate", shown=False) as show:
        clock.now += 100
        show(5, None)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with progress("nmt translate") as show:
            show(1_000, 0.5)
        terminal.flush()
        os.set_blocking(ours, False)
        assert b"1,000 lines, " in b"".join(
            iter(lambda: screen.read(65_536), None)
        )  # a terminal gives a part at a time


def test_sentences_are_counted_as_lines_of_a_known_number() -> None:
    seen: list[tuple[int, float | None]] = []
    add = counted(lambda lines, share: seen.append((lines, share)), 10)
    for sentences in (4, 4, 4):
        add(sentences)
    assert seen == [(4, 0.4), (8, 0.8), (10, 1.0)]
