"""What training tells."""

import io
import math
from contextlib import suppress
from pathlib import Path

import pytest

from nmt.training import progress
from nmt.training.progress import Pace, Reporter, StepReport, perplexity
from nmt.values import duration

REPORT = StepReport(7, 1, 12, math.log(4) * 10, math.log(2) * 10, 10, 2e-3, 0.25, 60.0, "ppl 5.00")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03"), (math.inf, "-:--")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_perplexity():
    assert perplexity(0.0) == 1.0
    assert perplexity(1e4) == math.inf


def test_plain_lines_where_there_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    stream = io.StringIO()
    with Reporter(tmp_path / "training.log", stream) as reporter:
        reporter.note("starting [bold]")
        reporter.step(REPORT)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "starting [bold]"
    assert lines[1].startswith("epoch 1/12  step 7  loss 0.693  ppl 2.00  smoothed loss 1.386  lr 2.00e-03  ")
    assert lines[1].endswith("target tokens/s  3:00 left  best ppl 5.00")
    assert len((tmp_path / "training.log").read_text().splitlines()) == 2


def test_a_full_disk_is_told_by_the_name_of_the_file():
    with (
        pytest.raises(OSError, match="No space left") as caught,
        Reporter(Path("/dev/full"), io.StringIO()) as reporter,
    ):
        reporter.note("starting")
    assert caught.value.filename == "/dev/full"


def test_pace_leaves_pauses_out(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    pace = Pace()
    for pause, seconds, tokens in ((0.0, 2.0, 100), (50.0, 3.0, 400)):
        now += pause
        pace.go_on()
        now += seconds
        pace.add(tokens)
    assert pace.take() == 100.0
    assert pace.take() == 0.0


@pytest.mark.parametrize("on_terminal", [False, True])
def test_training_goes_on_where_nobody_can_watch_it(tmp_path, on_terminal):
    """A full disk under standard error; with and without a terminal's live line."""
    with suppress(OSError), Path("/dev/full").open("w") as full:
        full.isatty = lambda: on_terminal
        with Reporter(tmp_path / "log", full) as reporter:
            for _ in range(3):
                reporter.note("still here")
                reporter._shown_at = reporter._since = -1e9
                reporter.step(REPORT)
    assert (tmp_path / "log").read_text().count("still here") == 3
