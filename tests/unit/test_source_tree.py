"""The packages work in any folder: in the project's own, too, whose sources hide the installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.commands.trials import run_trial
from nmt.training import TrainingError
from rnn_engine import _core

PROJECT = Path(__file__).resolve().parents[2]
LIGHT = "import rnn_engine; print(rnn_engine.available_isas()[-1], rnn_engine.native._core.__file__)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with sources that were never built, and beside it, `site`, with an installed package."""
    source, site = tmp_path / "project" / "rnn_engine", tmp_path / "site" / "rnn_engine"
    for folder in (source, site):
        shutil.copytree(PROJECT / "rnn_engine", folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(_core.__file__, site)
    return source.parent


def python(folder: Path, *arguments: str, path: str = "site") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder.parent / path)}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def error(folder: Path, path: str = "site") -> str:
    return python(folder, "-S", "-c", LIGHT, path=path).stderr.splitlines()[-1]  # -S: no other installed package


def test_the_sources_take_the_native_part_of_the_installed_package(project: Path) -> None:
    (project / "script.py").write_text(LIGHT)
    for arguments in (("-c", LIGHT), ("script.py",)):
        done = python(project, *arguments)
        assert done.stdout.split() == ["generic", str(project.parent / "site/rnn_engine" / Path(_core.__file__).name)]


def test_one_line_says_what_to_do_without_a_native_part(project: Path) -> None:
    advice = f"Build it: {sys.executable} -m pip install {project}"
    assert error(project, "nowhere").endswith(
        f"NotBuiltError: the native part of rnn_engine: it was not built. {advice}"
    )
    site = project.parent / "site" / "rnn_engine"
    with (site / "_core.pyi").open("a") as interface:
        interface.write("\ndef another() -> None: ...\n")
    assert error(project).endswith(f": that in {site} was built from other sources. {advice}")


def test_a_trial_is_of_this_package_whatever_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nmt", "json"):  # what must not be taken
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert b"nmt" in run_trial("nmt", "--version")
    with pytest.raises(TrainingError, match=r"the trial ended with exit code 2: .*nonsense"):
        run_trial("nmt", "nonsense")
