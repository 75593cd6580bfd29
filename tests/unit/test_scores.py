"""scores.jsonl as training writes it, and the curves drawn from it."""

import json

import pytest

from nmt.model_folder.scores import ScoresFile
from nmt.training.curves import draw_curves

TEST = '{"kind": "test", "test": "small", "bleu": 30.0}\n'


@pytest.fixture
def scores(tmp_path):
    scores = ScoresFile(tmp_path)
    for step in (5, 10):
        scores.add("validation", {"step": step, "epoch": 1, "seconds": 1.235, "loss": 1 / step, "bleu": 2.0})
    with scores.path.open("a") as file:
        file.write(TEST)
    scores.add("validation", {"step": 15, "epoch": 2, "seconds": 3.0, "loss": 0.05})
    return scores


def test_rows(scores):
    first = json.loads(scores.path.read_text().splitlines()[0])
    assert first.pop("time").endswith("+00:00")
    assert first == {"kind": "validation", "step": 5, "epoch": 1, "seconds": 1.235, "loss": 0.2, "bleu": 2.0}
    assert [row["step"] for row in scores.validations()] == [5, 10, 15]


@pytest.mark.parametrize(("step", "left"), [(15, [5, 10, 15]), (12, [5, 10]), (5, [5]), (-1, [])])
def test_a_repeated_run_forgets_what_came_later(scores, step, left):
    scores.forget_after(step)
    assert [row["step"] for row in scores.validations()] == left
    assert TEST in scores.path.read_text()


@pytest.mark.parametrize("torn", ['{"kind": "validation", "st', "\udcff", "{}"])
def test_a_torn_line_goes(scores, torn):
    before = scores.path.read_text()
    with scores.path.open("a", errors="surrogateescape") as file:
        file.write(torn)
    scores.forget_after(99)
    assert scores.path.read_text() == before
    scores.add("validation", {"step": 20, "epoch": 2, "seconds": 4.0, "loss": 0.04})
    assert [row["step"] for row in scores.validations()] == [5, 10, 15, 20]


def test_a_last_line_without_its_end_is_kept_if_it_is_whole(scores):
    scores.path.write_text(scores.path.read_text().rstrip("\n"))
    scores.forget_after(99)
    scores.add("validation", {"step": 20, "epoch": 2, "seconds": 4.0, "loss": 0.04})
    assert [row["step"] for row in scores.validations()] == [5, 10, 15, 20]


def test_lines_of_others_stay_as_they_are(scores):
    strange = '[1]\n"text"\n\n{"kind": "validation", "step": "many"}\nno json\n'
    scores.path.write_text(strange + scores.path.read_text())
    scores.forget_after(5)
    assert scores.path.read_text().startswith(strange)
    assert [row["step"] for row in scores.validations()] == [5]


def test_no_file_is_no_scores(tmp_path):
    scores = ScoresFile(tmp_path)
    scores.forget_after(0)
    assert scores.validations() == []
    assert not scores.path.exists()


def test_curves(scores, tmp_path):
    for rows in (scores.validations(), scores.validations()[:1], []):
        draw_curves(rows, tmp_path / "curves.png")
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path):
    scores = ScoresFile(tmp_path)
    scores.path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        scores.add("validation", {"step": 5, "epoch": 1, "seconds": 1.0, "loss": 1.0})
    assert caught.value.filename == str(scores.path)
