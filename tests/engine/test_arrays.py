"""The NumPy face: the reference's numbers, without torch."""

import subprocess
import sys

import numpy as np
import pytest
from cases import CASES, make, named

from rnn_engine import Stack, StackSpec, reference
from rnn_engine.states import pair_of, state_of


@pytest.mark.parametrize("case", [case for case in CASES if not case.dropout], ids=lambda case: case.id)
def test_agrees_with_the_reference(case):
    arrays = make(case)
    stack, states = Stack(case.spec, arrays.parameters, threads=2), (arrays.h0, arrays.c0)
    state = state_of(case.spec, states)
    y, last, cells = stack(arrays.x, state, arrays.lengths, return_cell_states=True)
    hn, cn = pair_of(case.spec, last)
    expected = reference.forward(case.spec, arrays.parameters, arrays.x, *states, arrays.lengths)
    for ours, exact in ((y, expected.output), (cells, expected.cells)):
        np.testing.assert_allclose(ours, exact, rtol=1e-11, atol=1e-11)
    for ours, exact in ((hn, expected.hn), (cn, expected.cn)):
        assert type(ours) is type(exact)
        for piece, exact_piece in zip(named("", ours).values(), named("", exact).values(), strict=True):
            np.testing.assert_allclose(piece, exact_piece, rtol=1e-11, atol=1e-11)
    nothing, last = stack(arrays.x, state, arrays.lengths, last_state_only=True)
    assert nothing is None
    for ours, first in zip(pair_of(case.spec, last), (hn, cn), strict=True):
        for piece, same in zip(named("", ours).values(), named("", first).values(), strict=True):
            np.testing.assert_array_equal(piece, same)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.dropout and not case.bidirectional and not case.lengths],
    ids=lambda case: case.id,
)
def test_step_by_step_gives_the_bits_of_one_call(case):
    arrays = make(case)
    stack, state = Stack(case.spec, arrays.parameters), state_of(case.spec, (arrays.h0, arrays.c0))
    y, last = stack(arrays.x, state)
    for t in range(case.T):
        output, state = stack.step(arrays.x[t], state)
        np.testing.assert_array_equal(output, y[t])
    for ours, expected in zip(pair_of(case.spec, state), pair_of(case.spec, last), strict=True):
        for piece, exact in zip(named("", ours).values(), named("", expected).values(), strict=True):
            np.testing.assert_array_equal(piece, exact)


def test_imports_no_torch():
    code = (
        "import sys, numpy as np, rnn_engine; spec = rnn_engine.StackSpec('mi_lstm', 3, 4)\n"
        "p = {n: np.ones(s, np.float32) for n, s in spec.parameter_shapes().items()}\n"
        "y, (h, c) = rnn_engine.Stack(spec, p)(np.ones((2, 1, 3), np.float32)); assert y.shape == (2, 1, 4)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SPEC = StackSpec("lstm", 3, 4)
BOTH = StackSpec("lstm", 3, 4, bidirectional=True)
WIDTHS = StackSpec("lstm", 3, (4, 5), 2)
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
    "state": (lambda: Stack(SPEC, PARAMETERS)(X, (X,)), r"state: expected \(h0, c0\), got 1"),
    "state shape": (
        lambda: Stack(SPEC, PARAMETERS)(X, (np.zeros((1, 2, 4), np.float32), X)),
        r"c0: expected \[L\*D, B, H\] = \[1, 2, 4\], got \[5, 2, 3\]",
    ),
    "state type": (
        lambda: Stack(SPEC, PARAMETERS)(X, (np.zeros((1, 2, 4)),) * 2),
        r"h0: expected float32, got float64",
    ),
    "state of widths": (
        lambda: Stack(WIDTHS, {n: np.zeros(s) for n, s in WIDTHS.parameter_shapes().items()})(X * 1.0, (X, X)),
        r"x: expected float64",
    ),
    "step both ways": (
        lambda: Stack(BOTH, {n: np.zeros(s) for n, s in BOTH.parameter_shapes().items()}).step(np.zeros((1, 3))),
        r"step: expected a one-directional stack",
    ),
    "step of three dimensions": (lambda: Stack(SPEC, PARAMETERS).step(X), r"x: expected \[B, I\]"),
    "lengths": (
        lambda: Stack(SPEC, PARAMETERS)(X, lengths=np.array([0, 6])),
        r"lengths\[0\]: expected 1 to T = 5, got 0",
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
