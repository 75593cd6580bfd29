"""Training text that models make: distillation and back-translation, stopped and continued."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from commands import error_of, forked
from tiny import train_tiny

from nmt.commands import synthetic
from nmt.commands.synthetic import is_made, write_pairs
from nmt.data.text import CorpusError, read_lines, read_pairs
from nmt.model_folder.files import read_settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def student(model: Path, tmp_path: Path) -> Path:
    source, target = read_settings(model).data.train[0]
    path = tmp_path / "student.toml"
    path.write_text(
        f"folder = '{tmp_path}/student'\n[data]\ntrain = ['{source}', '{target}']\nvalid = ['{source}', '{target}']\n"
        "vocabulary_size = 80\n[model]\nembedding_size = 8\nhidden_size = 8\ndropout = 0.1\n"
        "[training]\nmax_steps = 4\nbatch_tokens = 400\nthreads = 1\n"
    )
    return path


def test_a_student_learns_from_its_teachers(model, student, tmp_path):
    done = forked("distill", student, "--teacher", model, "--teacher", model)
    assert done.returncode == 0, done.stderr
    pairs = list(read_pairs(tmp_path / "student/distilled.tsv"))
    source, target = read_settings(model).data.train[0]
    given, references = list(read_lines(source)), list(read_lines(target))
    translated = forked("translate", model, "--input", source).stdout.splitlines()
    taught = dict(zip(given, translated, strict=True))
    assert len(pairs) > 100
    assert all(taught[one] == other for one, other in pairs), "what the teacher says, not the reference"
    assert [other for _, other in pairs] != references[: len(pairs)]
    settings = read_settings(tmp_path / "student")
    assert settings.data.train == ((tmp_path / "student/distilled.tsv",),)

    again = forked("distill", student, "--teacher", model, "--teacher", model)
    assert "translated well enough" not in again.stderr, "nothing is translated twice"
    assert "already finished" in again.stderr


def test_the_nearest_of_several_and_the_text_itself(model, student, tmp_path):
    done = forked("distill", student, "--teacher", model, "--n-best", "4", "--mix", "--beam-size", "4")
    assert done.returncode == 0, done.stderr
    nearest = dict(read_pairs(tmp_path / "student/distilled.tsv"))
    source, target = read_settings(model).data.train[0]
    references = dict(zip(read_lines(source), read_lines(target), strict=True))
    best = forked("translate", model, "--input", source, "--beam-size", "4").stdout.splitlines()
    first = dict(zip(references, best, strict=True))
    exact = [sum(texts[line] == references[line] for line in nearest) for texts in (nearest, first)]
    assert exact[0] > exact[1], "more of them are what people wrote"
    assert len(read_settings(tmp_path / "student").data.train) == 2


def test_pairs_of_text_in_one_language(model, tmp_path):
    text = tmp_path / "text"
    lines = ["The dog sees the cat.", "", "The old man hears the small bird now.", "☃☃☃"]
    text.write_text("".join(f"{line}\n" for line in lines))
    output = tmp_path / "pairs.tsv"
    done = forked("backtranslate", model, "--input", text, "--output", output, "--tag", "<BT>")
    assert done.returncode == 0, done.stderr
    translated = forked("translate", model, "--input", text).stdout.splitlines()
    assert list(read_pairs(output)) == [(f"<BT> {translated[number]}", lines[number]) for number in (0, 2)]
    assert "2 of 4 lines" in done.stderr
    assert json.loads(output.with_name("pairs.tsv.json").read_text())["tag"] == "<BT>"
    assert "made already" in forked("backtranslate", model, "--input", text, "--output", output, "--tag", "<BT>").stderr
    piped = forked("backtranslate", model, "--output", tmp_path / "piped.tsv", "--tag", "<BT>", stdin=text.read_bytes())
    assert piped.returncode == 0, piped.stderr
    assert (tmp_path / "piped.tsv").read_bytes() == output.read_bytes()
    assert forked("backtranslate", model, "--output", tmp_path / "pairs.txt").returncode == 2


def rows(count: int) -> list[tuple[str, ...]]:
    return [(f"s{number}\tx", f"t{number}") for number in range(count)]


def twice(chunk):
    return [(row[0], " ".join(row)) for row in chunk for _ in range(2)]


def test_it_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "PART_LINES", 3)
    output, calls = tmp_path / "a.tsv", []

    def make(chunk):
        calls.append(len(chunk))
        return twice(chunk)

    process = os.fork()
    if not process:
        count = 0

        def until_killed(chunk):
            nonlocal count
            count += 1
            if count == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return twice(chunk)

        write_pairs(output, rows(11), until_killed, {"of": 1})
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert not output.exists()
    with pytest.raises(CorpusError, match="made with other models or options"):
        write_pairs(output, rows(11), make, {"of": 2})
    assert write_pairs(output, rows(11), make, {"of": 1}) == 22
    assert calls == [3, 2], "two of four parts were there"
    assert is_made(output, {"of": 1})
    assert not is_made(output, {"of": 2})
    write_pairs(tmp_path / "whole.tsv", rows(11), make, {"of": 1})
    assert output.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    assert next(read_pairs(output)) == ("s0 x", "s0 x t0")
    assert not list(tmp_path.glob("*.parts"))


def test_parts_of_other_text_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "PART_LINES", 2)

    def stop(chunk):
        if chunk[0][0].startswith("s4"):
            raise KeyboardInterrupt
        return twice(chunk)

    with pytest.raises(KeyboardInterrupt):
        write_pairs(tmp_path / "a.tsv", rows(6), stop, {})
    other = [("other", "text"), *rows(6)[1:]]
    write_pairs(tmp_path / "a.tsv", other, twice, {})
    assert [pair[0] for pair in read_pairs(tmp_path / "a.tsv")][:3] == ["other", "other", "s1 x"]


def test_a_teacher_that_is_not_there(student):
    assert "no such" in error_of(forked("distill", student, "--teacher", "nowhere")).lower()


def test_what_cannot_be_trained_is_told_before_anything_is_translated(model, student, tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"somebody's")
    assert "a finished model" in error_of(forked("distill", student, "--teacher", model))
    (folder / "model.safetensors").unlink()
    assert forked("train", student).returncode == 0
    refused = error_of(forked("distill", student, "--teacher", model, "--set", "model.hidden_size=12"))
    assert "model.hidden_size" in refused
    assert "choose another folder" in refused
    assert not list(folder.glob("*distilled*"))


def named(folder: Path, source: str, target: str) -> Path:
    """A model that says of which languages it is, and has hardly been trained."""
    languages = (f"data.source_language={source}", f"data.target_language={target}")
    return train_tiny(folder / f"{source}-{target}", *languages, "training.max_steps=2")


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(tmp_path_factory.mktemp("named"), "de", "en")


def student_of(folder: Path, teacher: Path, *directions: str) -> Path:
    """The settings of a student of several languages, whose texts are all that of a teacher."""
    files = [*map(str, read_settings(teacher).data.train[0])]
    corpora = "".join(
        f"[[data.corpora]]\nsource_language = '{source}'\ntarget_language = '{target}'\n"
        f"train = {files}\nvalid = {files}\n"
        for source, target in (each.split("-") for each in directions)
    )
    path = folder / "several.toml"
    path.write_text(
        f"folder = '{folder}/student'\n[data]\nvocabulary_size = 80\n{corpora}[model]\nembedding_size = 8\n"
        "hidden_size = 8\n[training]\nmax_steps = 2\nthreads = 1\n"
    )
    return path


def test_each_teaches_its_own_pair_of_languages(german, tmp_path):
    path = student_of(tmp_path, german, "de-en", "fr-en", "de-fr")
    others = [named(tmp_path, "fr", "en"), named(tmp_path, "de", "fr")]
    done = forked("distill", path, *(part for each in (german, *others) for part in ("--teacher", each)))
    assert done.returncode == 0, done.stderr
    made = [json.loads((tmp_path / f"student/{number}-distilled.tsv.json").read_text()) for number in range(3)]
    assert [[*each["teachers"]] for each in made] == [[str(teacher)] for teacher in (german, *others)]


@pytest.mark.parametrize(
    ("directions", "others", "expected"),
    [
        (["de-en", "de-fr"], [], "expected one that translates de-fr, which none of these does"),
        (["de-en", "fr-en"], [], "expected one that translates fr-en, which none of these does"),
        (["de-en"], ["de-fr"], "de-fr: expected a model that translates de-en, got one for de-fr"),
        (["de-en", "en-de"], ["fr-de"], "fr-de: expected a model that translates de-en, en-de, got one for fr-de"),
        (["de-en", "de-fr"], ["de-fr damaged"], "de-fr/model.safetensors: damaged"),
    ],
)
def test_every_teacher_is_looked_at_before_anything_is_translated(directions, others, expected, german, tmp_path):
    teachers = [german]
    for other in others:
        languages, *damaged = other.split()
        teachers.append(named(tmp_path, *languages.split("-")))
        if damaged:
            weights = teachers[-1] / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:-100])
    path = student_of(tmp_path, german, *directions)
    error = error_of(forked("distill", path, *(part for each in teachers for part in ("--teacher", each))))
    assert expected in error.replace("/model:", ":").replace("/model/", "/")
    assert not list((tmp_path / "student").glob("*distilled*"))


def test_a_teacher_of_other_languages(german, student):
    """Those that nobody named may be any: the first has none, and is taught."""
    assert forked("distill", student, "--teacher", german).returncode == 0
    wrong = ["--set", "data.source_language=en", "--set", "data.target_language=de"]
    error = error_of(forked("distill", student, "--teacher", german, *wrong))
    assert "expected a model that translates en-de, got one for de-en" in error


def test_several_seeds(student, tmp_path):
    done = forked("train", student, "--seeds", "5,7", "--set", "training.max_steps=2")
    assert done.returncode == 0, done.stderr
    assert "2 seeds: validation loss" in done.stderr
    found = [read_settings(tmp_path / f"student/seed_{seed}").training.seed for seed in (5, 7)]
    assert found == [5, 7]
    for wrong in ("", "1,1", "x", "-1"):
        assert forked("train", student, "--seeds", wrong).returncode == 2
