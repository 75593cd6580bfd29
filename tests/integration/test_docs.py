"""The code of every page runs as it stands there.

A page's fenced blocks are run in their order, in a folder of their own: `sh` by bash, `python` by Python; `toml NAME`,
`json NAME` and `c NAME` become the file NAME (tests/cpp builds and runs the C program); `text` shows what comes out and
is not run. Pages beside the tutorial go on from the folder that the tutorial leaves. Only the minutes of training, and
the lines to translate, are fewer here.
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

from nmt.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted((PROJECT / "docs").rglob("*.md"))
TUTORIAL = PROJECT / "docs" / "tutorial.md"
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SHOWN_ONLY = {"text"}


class Block(NamedTuple):
    kind: str
    name: str
    code: str


def blocks(page: Path) -> Iterator[Block]:
    for _, words, code in FENCE.findall(page.read_text(encoding="utf-8")):
        kind, _, name = words.strip().partition(" ")
        yield Block(kind, name, code)


def run_page(page: Path, folder: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::SyntaxWarning",
    }
    environment.pop("PYTHONSAFEPATH", None)  # which the tests set, and readers do not
    for block in blocks(page):
        code = re.sub(r"max_minutes = [\d.]+", "max_minutes = 0.05", block.code)
        if block.kind in ("toml", "json", "c") and block.name:
            (folder / block.name).write_text(code, encoding="utf-8")
        elif block.kind in ("sh", "python"):
            command = ["bash", "-euo", "pipefail", "-c", code] if block.kind == "sh" else [sys.executable, "-c", code]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}\n{done.stderr}"
            shorten(folder)
        else:
            assert block.kind in SHOWN_ONLY, f"{page.name}: ```{block.kind} {block.name}: expected code that can be run"


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "recipes").symlink_to(PROJECT / "recipes")
    run_page(TUTORIAL, folder)
    return folder


def shorten(folder: Path) -> None:
    """Keep twenty lines of each set to translate: a network trained for seconds rambles, and that takes its time."""
    for path in (*folder.glob("data/valid.*"), *folder.glob("data/test.*")):
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:20]), encoding="utf-8")


def test_the_tutorial_runs(tutorial: Path) -> None:
    assert (tutorial / "run" / "numbers" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != TUTORIAL and list(blocks(page))], ids=lambda page: page.stem
)
def test_page_runs(page: Path, tutorial: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(tutorial, folder, symlinks=True)
    run_page(page, folder)


def test_every_subcommand_has_a_page() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    pages = {page.stem for page in (PROJECT / "docs" / "commands").glob("*.md")}
    assert names == pages
