"""The floors of the native code: a folder of csrc/ includes only what lies below it, and no device the other."""

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
API = "include"
"""The C APIs are headers that include each other alone, which all but base/ may read."""

PLANNER = {"plan", "cells", "base", API}
BELOW = {
    API: set[str](),
    "base": set[str](),
    "cells": {"base"},
    "plan": {"cells", "base", API},
    "api": PLANNER,
    "cpu": PLANNER | {"api"},
    "cuda": PLANNER | {"api"},
    "translate": {"cpu", "cells", "base", "api", API},
    "text": {"base", "api", API},
    "bindings": {API},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def floor_of(name):
    """The folder of csrc/ that a quoted include means; it says all of the path."""
    if (CSRC / API / name).is_file():
        return API
    assert (CSRC / name).is_file(), f"{name}: expected a path from csrc/"
    return name.split("/")[0]


def test_every_folder_is_a_floor():
    assert {path.name for path in CSRC.iterdir() if path.is_dir()} == set(BELOW)


@pytest.mark.parametrize("floor", BELOW)
def test_a_floor_includes_what_lies_below_it(floor):
    sources = [path for path in (CSRC / floor).rglob("*") if path.is_file()]
    assert sources
    wrong = [
        f"{path.relative_to(CSRC)} includes {name}"
        for path in sources
        for name in INCLUDE.findall(path.read_text())
        if floor_of(name) not in BELOW[floor] | {floor}
    ]
    assert not wrong


def test_threads_sleep_in_one_place():
    sources = [path for path in CSRC.rglob("*") if path.is_file()]
    waking = {str(path.relative_to(CSRC)) for path in sources if re.search(r"notify_(one|all)\(", path.read_text())}
    assert waking == {
        "base/sleepers.h",
        "translate/workers.cpp",  # the end of a search, looked for again and again
    }
