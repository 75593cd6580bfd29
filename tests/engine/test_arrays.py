"""The NumPy face: the reference's numbers, without torch; and the pool of blocks under it."""

import subprocess
import sys

import numpy as np
import pytest
from cases import CASES, make

from rnn_engine import Stack, StackSpec, reference
from rnn_engine.memory import BlockPool


@pytest.mark.parametrize("case", [case for case in CASES if not case.dropout], ids=lambda case: case.id)
def test_agrees_with_the_reference(case):
    arrays = make(case)
    y, (hn, cn) = Stack(case.spec, arrays.parameters, threads=2)(arrays.x, (arrays.h0, arrays.c0), arrays.lengths)
    expected = reference.forward(case.spec, arrays.parameters, arrays.x, arrays.h0, arrays.c0, arrays.lengths)
    for ours, exact in ((y, expected.output), (hn, expected.hn), (cn, expected.cn)):
        np.testing.assert_allclose(ours, exact, rtol=1e-11, atol=1e-11)


def test_imports_no_torch():
    code = (
        "import sys, numpy as np, rnn_engine; spec = rnn_engine.StackSpec('mi_lstm', 3, 4)\n"
        "p = {n: np.ones(s, np.float32) for n, s in spec.parameter_shapes().items()}\n"
        "y, (h, c) = rnn_engine.Stack(spec, p)(np.ones((2, 1, 3), np.float32)); assert y.shape == (2, 1, 4)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SPEC = StackSpec("lstm", 3, 4)
PARAMETERS = {name: np.zeros(shape, np.float32) for name, shape in SPEC.parameter_shapes().items()}
X = np.zeros((5, 2, 3), np.float32)
ERRORS = {
    "missing": (
        lambda: Stack(SPEC, {"weight_ih_l0": PARAMETERS["weight_ih_l0"]}),
        r"weight_hh_l0 \[16, 4\] is missing",
    ),
    "unknown": (lambda: Stack(SPEC, PARAMETERS | {"weight_l9": X}), r"unknown name weight_l9"),
    "shape": (lambda: Stack(SPEC, PARAMETERS | {"bias_ih_l0": X}), r"bias_ih_l0: expected \[16\], got \[5, 2, 3\]"),
    "dtype": (lambda: Stack(SPEC, PARAMETERS)(X.astype(np.float64)), r"x: expected float32, got float64"),
    "width": (lambda: Stack(SPEC, PARAMETERS)(X[..., :2].copy()), r"x: expected \[5, 2, 3\], got \[5, 2, 2\]"),
    "no batch": (lambda: Stack(SPEC, PARAMETERS)(X[:, :0]), r"x: expected \[T, B, I\]"),
    "lengths": (
        lambda: Stack(SPEC, PARAMETERS)(X, lengths=np.array([0, 6])),
        r"lengths: expected 1 to T = 5, got 0 to 6",
    ),
    "float lengths": (
        lambda: Stack(SPEC, PARAMETERS)(X, lengths=np.array([1.0, 2.0])),
        r"lengths: expected \[B\] = \[2\]",
    ),
}


@pytest.mark.parametrize(("work", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_was_expected(work, message):
    with pytest.raises(ValueError, match=message):
        work()


def test_blocks_are_aligned_used_again_and_bounded():
    pool = BlockPool()
    block = pool.take(1000)
    assert block.array.ctypes.data % 64 == 0
    assert block.array.nbytes >= 1000
    address = block.array.ctypes.data
    del block
    again = pool.take(900)
    assert again.array.ctypes.data == address
    other = pool.take(5000)
    del again, other
    held = pool.statistics()
    assert held["in_use"] == 0
    assert 0 < held["free"] <= 6200  # never more than was in use at once
    tiny = pool.take(10)
    assert tiny.array.nbytes < 200, "a large block must not be spent on a small request"
    pool.clear()
    assert pool.statistics()["free"] == 0
