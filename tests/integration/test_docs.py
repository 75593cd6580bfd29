"""The code of every page runs as it stands there.

A page's fenced blocks are run in their order, where a reader stands: in the project's folder, whose packages hide the
installed ones. `sh` is run by bash, `python` by Python; `toml NAME`, `json NAME` and `c NAME` become the file NAME
(tests/cpp builds and runs the C program); `text` shows what comes out and is not run. Pages beside the tutorial go on
from the folder that the tutorial leaves. Only the corpus, the network, the steps of training and the lines to translate
are smaller here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from warm import warm_programs

from nmt.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted((PROJECT / "docs").rglob("*.md"))
TUTORIAL = PROJECT / "docs" / "tutorial.md"
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SHOWN_ONLY = {"text"}
SMALLER = {
    "make_corpus.py data": "make_corpus.py --train 2000 data",
    "vocabulary_size = 1000": "vocabulary_size = 300",
    "embedding_size = 128": "embedding_size = 16",
    "hidden_size = 192": "hidden_size = 24",
    "epochs = 4": "max_steps = 40",
    "validate_every = 1000": "validate_every = 20",
}
"""What the tutorial says, and what is run in its place."""

OWN_PROCESSES = {"bulk"}
"""Pages whose commands use gRPC, which does not survive a fork once a test of this process has used it."""


class Block(NamedTuple):
    kind: str
    name: str
    code: str


def blocks(page: Path) -> Iterator[Block]:
    for _, words, code in FENCE.findall(page.read_text(encoding="utf-8")):
        kind, _, name = words.strip().partition(" ")
        yield Block(kind, name, code)


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    with warm_programs() as folder:
        yield folder


def run_page(page: Path, folder: Path, programs: Path) -> None:
    found = [] if page.stem in OWN_PROCESSES else [str(programs)]
    environment = os.environ | {
        "PATH": ":".join([*found, str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::SyntaxWarning",
    }
    environment.pop("PYTHONSAFEPATH", None)  # which the tests set, and readers do not
    for block in blocks(page):
        code = block.code
        for large, small in SMALLER.items() if page == TUTORIAL else ():
            code = code.replace(large, small)
        if block.kind in ("toml", "json", "c") and block.name:
            (folder / block.name).write_text(code, encoding="utf-8")
        elif block.kind in ("sh", "python"):
            # The tutorial's Python imports anew, as a reader's does; elsewhere that would only take longer.
            interpreter = sys.executable if page == TUTORIAL else str(programs / "python")
            shell, python = ["bash", "-euo", "pipefail", "-c"], [interpreter, "-c"]
            command = [*(shell if block.kind == "sh" else python), code]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}\n{done.stderr}"
            shorten(folder)
        else:
            assert block.kind in SHOWN_ONLY, f"{page.name}: ```{block.kind} {block.name}: expected code that can be run"


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    folder = tmp_path_factory.mktemp("tutorial")
    like_the_project(folder)
    run_page(TUTORIAL, folder, programs)
    return folder


def like_the_project(folder: Path) -> None:
    """Give a folder what is in that of the project after a clone; no module that was built."""
    for name in ("csrc", "docs", "examples", "recipes", "constraints.txt", "pyproject.toml"):
        (folder / name).symlink_to(PROJECT / name)
    for name in ("nmt", "rnn_engine"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))


def shorten(folder: Path) -> None:
    """Keep twenty lines of each set to translate: a network trained for seconds rambles, and that takes its time."""
    for path in (*folder.glob("data/valid.*"), *folder.glob("data/test.*")):
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:20]), encoding="utf-8")


def test_the_tutorial_runs(tutorial: Path) -> None:
    assert (tutorial / "run" / "numbers" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != TUTORIAL and list(blocks(page))], ids=lambda page: page.stem
)
def test_page_runs(page: Path, tutorial: Path, tmp_path: Path, programs: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(tutorial, folder, symlinks=True)
    run_page(page, folder, programs)


def test_what_is_made_smaller_is_there() -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    assert all(text.count(large) == 1 for large in SMALLER)


def test_every_subcommand_has_a_page() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    names |= {group.name for group in app.registered_groups}
    pages = {page.stem for page in (PROJECT / "docs" / "commands").glob("*.md")}
    assert names == pages
