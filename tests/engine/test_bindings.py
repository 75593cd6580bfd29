"""How memory comes to the native part: as arrays, or as an address with its type and number of values."""

import numpy as np
import pytest

from rnn_engine import native


def described(array):
    return array.ctypes.data, array.dtype.name, array.size


@pytest.fixture
def product():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7)).astype(np.float32), rng.standard_normal((9, 7)).astype(np.float32)
    context = native.context(1)
    block = np.zeros(context.gemm_workspace(9, 7) + 64, np.uint8)
    return context, a, b, block[-block.ctypes.data % 64 :][: context.gemm_workspace(9, 7)]


def test_an_address_is_as_good_as_an_array(product):
    context, a, b, workspace = product
    found = [np.zeros((5, 9), np.float32) for _ in range(2)]
    context.gemm(5, 9, 7, a, b, found[0], workspace)
    context.gemm(5, 9, 7, *map(described, (a, b, found[1], workspace)))
    np.testing.assert_allclose(found[0], a @ b.T, rtol=1e-5)
    np.testing.assert_array_equal(*found)


def test_what_is_described_is_checked_as_an_array_is(product):
    context, a, b, workspace = product
    c = np.zeros((5, 9), np.float32)
    for given in (a, described(a)):
        with pytest.raises(ValueError, match="a: expected 42 values, got 35"):
            context.gemm(6, 9, 7, given, b, c, workspace)
    for given in (a.astype(np.float64), described(a.astype(np.float64))):
        with pytest.raises(TypeError, match="a: expected float32, got another type"):
            context.gemm(5, 9, 7, given, b, c, workspace)


NONE = [
    (1, "float32"),
    (1, "float31", 35),
    ("x", "float32", 35),
    (1, 2, 35),
    (1, "float32", -1),
    (2**70, "float32", 35),
]


@pytest.mark.parametrize("given", NONE)
def test_what_describes_no_memory_is_refused(product, given):
    context, _, b, workspace = product
    with pytest.raises(TypeError, match="incompatible function arguments"):
        context.gemm(5, 9, 7, given, b, np.zeros((5, 9), np.float32), workspace)
