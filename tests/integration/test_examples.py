"""The examples run, for a moment, and say what they set out to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CASES = {
    "character_model.py": (
        ["--minutes", "0.02", "--memory", "8MiB"],
        r"[\d.]+ bits a character; the model writes:\n\n\S",
    ),
    "ctc_recogniser.py": (["--minutes", "0.02"], r"[\d.]+% of the digits are read wrongly, after \d+ steps"),
}


def test_every_example_is_here_and_described():
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == set(CASES)
    assert all(f"({name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8") for name in names)


@pytest.mark.parametrize("name", CASES)
def test_example_runs(name):
    arguments, said = CASES[name]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout), done.stdout
