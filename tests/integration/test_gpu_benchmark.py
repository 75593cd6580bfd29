"""benchmarks/gpu.py, rehearsed on the emulated library: time on a card must not be lost to a slip in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from emulated import LIBRARY, need_emulated

PROJECT = Path(__file__).parents[2]


def rehearse(*arguments):
    command = [sys.executable, PROJECT / "benchmarks/gpu.py", "--dry-run", *arguments]
    cublas = LIBRARY.with_name("libcublas_emulated.so")
    environment = os.environ | {"RNN_ENGINE_CUDA_LIBRARY": str(LIBRARY), "RNN_ENGINE_CUBLAS": str(cublas)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, env=environment)


@pytest.fixture
def ids(tmp_path):
    """Prepared data, as far as the benchmark reads them."""
    for side in ("source", "target"):
        lengths = np.arange(1, 9)
        np.save(tmp_path / f"train.{side}.ids.npy", np.zeros(lengths.sum(), np.uint16))
        np.save(tmp_path / f"train.{side}.offsets.npy", np.concatenate([[0], lengths.cumsum()]))
    return tmp_path


def test_every_section_runs_and_is_right(tmp_path, ids):
    need_emulated()
    done = rehearse("--json", tmp_path / "out.json", "--ids", ids)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["machine"]["dry_run"] is True
    assert {*found} >= {"correctness", "sanitizer", "latency", "training", "other_cells", "lstm"}
    assert all(row["right"] for row in found["correctness"])
    assert found["machine"]["products"].startswith("cuBLAS")
    ratios = [row["ratio"] for row in found["correctness"] if row["policy"] == "cuBLAS"]
    assert len(ratios) == 5  # types
    assert ratios[0] > 0, "the engine's own products, of the same bits"
    assert all(row["speed"] and row["speed without cuBLAS"] for row in found["training"])
    assert [row["error"] for row in found["sanitizer"]] == [None]
    for section in ("training", "other_cells", "lstm"):
        assert found[section]
        for row in found[section]:
            assert "errors" not in row, row
    assert {row["lengths"] for row in found["training"]} == {ids.name}
    table = done.stdout[done.stdout.index("== dry run") :]
    assert len(table.splitlines()) < 40


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_it_says_so():
    done = subprocess.run(
        [sys.executable, PROJECT / "benchmarks/gpu.py"], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert done.stderr == "no CUDA device: torch finds none; --dry-run rehearses without one\n"
