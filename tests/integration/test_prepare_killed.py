"""`prepare` killed at every moment at which it touches a file: what is left is never taken for whole data."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import make_config, make_pairs, write_corpus

from nmt.config import Config
from nmt.data.preparation.prepare import PreparedData, check, prepare

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Config]:
    """Two settings for the same folder."""
    folder = tmp_path_factory.mktemp("killed")
    config = make_config(folder / "model", write_corpus(folder / "text", make_pairs(20, seed=1)))
    quick = config.data.model_copy(update={"subword_model": "bpe"})
    config = config.model_copy(update={"data": quick})
    other = quick.model_copy(update={"vocabulary_size": 45, "joint_vocabulary": False})
    return config, config.model_copy(update={"data": other})


def contents(folder: Path) -> dict[str, bytes]:
    """All files, the temporary ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_child(action: Callable[[], object], folder: Path, deadly: int) -> bool:
    """Act in a child process that dies by SIGKILL at the `deadly`-th event in the folder; returns whether it did."""
    child = os.fork()
    if child == 0:
        seen = 0

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in EVENTS and str(arguments[0]).startswith(str(folder)):
                seen += 1
                if seen == deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(kill)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.waitstatus_to_exitcode(status) == 0
    return killed


@pytest.mark.parametrize("again", [False, True])
def test_killed_at_any_moment(
    configs: tuple[Config, Config], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # guards against power cuts, not kills, and takes most time
    old, new = configs
    folder = new.folder

    shutil.rmtree(folder, ignore_errors=True)
    if again:
        prepare(old)
        shutil.copytree(folder, tmp_path / "before")

    def begin() -> None:
        shutil.rmtree(folder)
        if again:
            shutil.copytree(tmp_path / "before", folder)

    before = contents(folder)
    prepare(new)
    whole = contents(folder)
    moment = deaths = 0
    while True:
        moment += 1
        begin()
        if not run_child(lambda: prepare(new), folder, moment):
            break
        deaths += 1
        if check(old)[0] == "fresh":
            assert contents(folder) == before
        if check(new)[0] == "fresh":
            assert contents(folder) == whole
            PreparedData.open(new)
        prepare(new)
        assert contents(folder) == whole
    assert contents(folder) == whole
    assert deaths > 20
