"""Damaged folders and hostile command lines: a few of those that the scripts beside this file try by the thousand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from attempts import attempt

sys.path.append(str(Path(__file__).parents[1] / "unit"))

import damaged_folders
import hostile_commands


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> damaged_folders.Bench:
    return damaged_folders.Bench(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> hostile_commands.Bench:
    return hostile_commands.Bench(tmp_path_factory.mktemp("words"))


def test_damaged_models(folders: damaged_folders.Bench) -> None:
    for number in range(40):
        case, done, problem = folders.model_case(number)
        assert problem is None, (number, case, done)


def test_damaged_prepared_data_and_checkpoints(folders: damaged_folders.Bench) -> None:
    for number in range(6):
        case, done, problem = folders.training_case(number)
        assert problem is None, (number, case, done)


def test_hostile_command_lines(words: hostile_commands.Bench) -> None:
    for number in range(40):
        done, problem = words.case(number)
        assert problem is None, (number, done)


def test_what_is_tried_is_told_from_what_is_right(folders: damaged_folders.Bench) -> None:
    """The tests above can fail: a traceback, an escape, silence, a hang and a changed file are seen."""

    def broken(work: object) -> str | None:
        return attempt("info", folders.model, before=work).problem()  # type: ignore[arg-type]

    def silence() -> None:
        os._exit(1)

    def escape() -> None:
        os.write(2, b"\x1b[2J\n")

    def defect() -> None:
        raise KeyError("x")

    assert broken(lambda: None) is None
    assert broken(silence) == "fails without a word"
    assert broken(defect) == "traceback"
    assert "cannot show" in str(broken(escape))
    assert folders.changed() is None
    (folders.folder / "planted").touch()
    assert folders.changed() == f"{folders.folder / 'planted'} was changed"
    (folders.folder / "planted").unlink()
