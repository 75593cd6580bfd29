"""scores.jsonl as training writes it, and the curves drawn from it."""

import json

import pytest

from nmt.model_folder.scores import History
from nmt.training.curves import draw_curves

TEST = '{"kind": "test", "test": "small", "bleu": 30.0}\n'


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path)
    for step in (5, 10):
        history.add(step, 1, 1.23456, {"loss": 1 / step, "bleu": 2.0})
    with history.path.open("a") as file:
        file.write(TEST)
    history.add(15, 2, 3.0, {"loss": 0.05})
    return history


def test_rows(history):
    first = json.loads(history.path.read_text().splitlines()[0])
    assert first.pop("time").endswith("+00:00")
    assert first == {"kind": "validation", "step": 5, "epoch": 1, "seconds": 1.235, "loss": 0.2, "bleu": 2.0}
    assert [row["step"] for row in history.rows()] == [5, 10, 15]


@pytest.mark.parametrize(("step", "left"), [(15, [5, 10, 15]), (12, [5, 10]), (5, [5]), (-1, [])])
def test_a_repeated_run_forgets_what_came_later(history, step, left):
    history.forget_after(step)
    assert [row["step"] for row in history.rows()] == left
    assert TEST in history.path.read_text()


@pytest.mark.parametrize("torn", ['{"kind": "validation", "st', "\udcff", "{}"])
def test_a_torn_line_goes(history, torn):
    before = history.path.read_text()
    with history.path.open("a", errors="surrogateescape") as file:
        file.write(torn)
    history.forget_after(99)
    assert history.path.read_text() == before
    history.add(20, 2, 4.0, {"loss": 0.04})
    assert [row["step"] for row in history.rows()] == [5, 10, 15, 20]


def test_a_last_line_without_its_end_is_kept_if_it_is_whole(history):
    history.path.write_text(history.path.read_text().rstrip("\n"))
    history.forget_after(99)
    history.add(20, 2, 4.0, {"loss": 0.04})
    assert [row["step"] for row in history.rows()] == [5, 10, 15, 20]


def test_lines_of_others_stay_as_they_are(history):
    strange = '[1]\n"text"\n\n{"kind": "validation", "step": "many"}\nno json\n'
    history.path.write_text(strange + history.path.read_text())
    history.forget_after(5)
    assert history.path.read_text().startswith(strange)
    assert [row["step"] for row in history.rows()] == [5]


def test_no_file_is_no_history(tmp_path):
    history = History(tmp_path)
    history.forget_after(0)
    assert history.rows() == []
    assert not history.path.exists()


def test_curves(history, tmp_path):
    for rows in (history.rows(), history.rows()[:1], []):
        draw_curves(rows, tmp_path / "curves.png")
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path):
    history = History(tmp_path)
    history.path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        history.add(5, 1, 1.0, {"loss": 1.0})
    assert caught.value.filename == str(history.path)
