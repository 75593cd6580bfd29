"""A thousand damaged model folders: each gives a line that says what is wrong, none a traceback or a crash.

Of eight kinds of damage to bytes, 60 folders each; of nineteen kinds to what the files mean, 28 each: 1,012 in all.
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import damage
import pytest

from nmt.data.subwords import SubwordError
from nmt.decoding.translator import Translator
from nmt.model_folder.files import ModelError

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
KNOWN = (ModelError, SubwordError)


def problem_of(folder: Path) -> str | None:
    """Load a model; returns what is wrong with it."""
    try:
        Translator.load(folder, threads=1)
    except KNOWN as error:
        return str(error)
    except IsADirectoryError as error:
        return f"{error.filename}: {error.strerror}"
    return None


def damaged(tmp_path: Path, harm: damage.Damage, seed: int, digests: bool) -> tuple[Path, str | None]:
    folder = damage.copy_model(MODEL, tmp_path / f"model-{seed}")
    harm(folder, random.Random(seed))
    if not digests:
        path = folder / "SHA256SUMS"
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    problem = problem_of(folder)
    assert problem is None or ("\n" not in problem and str(folder) in problem and len(problem) < 1000), problem
    shutil.rmtree(folder)
    return folder, problem


def test_the_model_is_whole(tmp_path: Path) -> None:
    folder = damage.copy_model(MODEL, tmp_path / "model")
    assert problem_of(folder) is None
    (folder / "SHA256SUMS").unlink()
    assert problem_of(folder) is None


@pytest.mark.parametrize("harm", damage.BYTES, ids=lambda harm: harm.__name__)
def test_every_changed_byte_is_told(tmp_path: Path, harm: damage.Damage) -> None:
    for seed in range(60):
        _, problem = damaged(tmp_path, harm, seed, digests=True)
        assert problem is not None, seed


@pytest.mark.parametrize("harm", damage.CONTENT, ids=lambda harm: harm.__name__)
def test_without_digests_what_does_not_fit_is_told(tmp_path: Path, harm: damage.Damage) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(28):
        _, problem = damaged(tmp_path, harm, seed, digests=False)
        assert problem is not None, seed
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 200_000


@pytest.mark.parametrize("harm", damage.MAY_MEAN_SOMETHING, ids=lambda harm: harm.__name__)
def test_without_digests_nothing_else_than_an_error_of_ours_comes(tmp_path: Path, harm: damage.Damage) -> None:
    problems = [damaged(tmp_path, harm, seed, digests=False)[1] for seed in range(28)]
    assert any(problems)


@pytest.mark.parametrize(
    ("command", "harm"),
    [
        ("translate", damage.flip_bits),
        ("translate", damage.change_size),
        ("info", damage.nest),
        ("translate", damage.replace_by_folder),
        ("info", damage.flip_bits),
        ("info", damage.cut),
        ("info", damage.overwrite),
        ("info", damage.remove),
        ("info", damage.change_value),
        ("info", damage.rename_tensor),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_commands_say_it_in_a_line(tmp_path: Path, command: str, harm: damage.Damage) -> None:
    folder = damage.copy_model(MODEL, tmp_path / "model")
    harm(folder, random.Random(1))
    done = subprocess.run(
        [sys.executable, "-m", "nmt", command, str(folder)],
        input=b"red dog",
        capture_output=True,
        timeout=60,
        check=False,
    )
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b""), message
    assert message.startswith("nmt: error: ")
    assert message.count("\n") == 1
    assert str(folder) in message
