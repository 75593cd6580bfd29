"""Infinite and NaN inputs give what the float64 reference gives: the same values are infinite, NaN and finite."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine import native, reference, reference_cells
from rnn_engine.spec import CELLS, StackSpec

SPECIAL = np.array([np.inf, -np.inf, np.nan, 1e5, -1e5, 0.0, 0.3, -0.2])


def kinds(array):
    """0 finite, 1 NaN, 2 and 3 infinite."""
    return np.isnan(array) + 2 * np.isposinf(array) + 3 * np.isneginf(array)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_not_finite_is_what_the_reference_says(cell, dtype, monkeypatch):
    exact = reference_cells._sigmoid

    def representable(z):  # 0 inf is NaN, where what is next to nothing gives an infinity
        return np.where(exact(z) < np.finfo(dtype).tiny, np.minimum(exact(z), 0), exact(z))

    monkeypatch.setattr(reference_cells, "_sigmoid", representable)
    rng = np.random.default_rng(3)
    spec = StackSpec(cell, 3, 9)
    parameters = {name: rng.normal(0, 0.4, shape).astype(dtype) for name, shape in spec.parameter_shapes().items()}
    for name, value in parameters.items():
        if "bias" in name:  # saturated, or an infinity by itself, in some of the gates
            value.flat[rng.integers(value.size, size=3)] = [np.inf, -np.inf, -200]
    for isa in native.available_isas():
        monkeypatch.setenv("RNN_ENGINE_ISA", isa)
        stack = rnn_engine.Stack(spec, parameters, threads=1)
        for trial in range(8):
            x = rng.normal(size=(2, 16, 3)).astype(dtype)
            if trial % 2:
                x[0, :, 0] = rng.choice(SPECIAL, 16)
            h, c = (rng.choice(SPECIAL, (1, 16, 9)).astype(dtype) for _ in range(2))
            state = h if CELLS[cell].single_state else (h, c)
            y, last = stack(x, state)
            with np.errstate(all="ignore"):
                expected = reference.forward(spec, parameters, x, h, h if CELLS[cell].single_state else c)
            cn = last if CELLS[cell].single_state else last[1]
            for ours, theirs in ((y, expected.output), (cn, expected.cn)):
                # Multiplicative integration multiplies sums, where the reference sums products: inf - inf is elsewhere.
                known = ~np.isnan(theirs) if "mi_" in cell else np.full(theirs.shape, True)
                np.testing.assert_array_equal(kinds(ours)[known], kinds(theirs)[known], err_msg=isa)
                finite = np.isfinite(theirs)
                np.testing.assert_allclose(ours[finite], theirs[finite], rtol=2e-5, atol=2e-5)
