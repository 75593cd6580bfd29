"""How memory comes to the native part: as arrays of NumPy or as tensors of torch."""

import numpy as np
import pytest
import torch

from rnn_engine import native
from rnn_engine.spec import StackSpec


@pytest.fixture
def product():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7)).astype(np.float32), rng.standard_normal((9, 7)).astype(np.float32)
    context = native.context(1)
    block = np.zeros(context.gemm_workspace(9, 7) + 64, np.uint8)
    return context, a, b, block[-block.ctypes.data % 64 :][: context.gemm_workspace(9, 7)]


def test_a_tensor_is_as_good_as_an_array(product):
    context, a, b, workspace = product
    found = [np.zeros((5, 9), np.float32) for _ in range(2)]
    context.gemm(5, 9, 7, a, b, found[0], workspace)
    tensors = map(torch.from_numpy, (a, b, found[1], workspace))
    context.gemm(5, 9, 7, *(t.requires_grad_() if t.is_floating_point() else t for t in tensors))
    np.testing.assert_allclose(found[0], a @ b.T, rtol=1e-5)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_type_and_size_are_checked(product, kind):
    context, a, b, workspace = product
    c = np.zeros((5, 9), np.float32)
    with pytest.raises(ValueError, match="a: expected 42 values, got 35"):
        context.gemm(6, 9, 7, kind(a), b, c, workspace)
    with pytest.raises(TypeError, match="a: expected float32, got another type"):
        context.gemm(5, 9, 7, kind(a.astype(np.float64)), b, c, workspace)


NONE = {
    "rows apart": lambda a: torch.from_numpy(a)[:, ::2],
    "no memory": lambda a: torch.from_numpy(a).to("meta"),
    "another layout": lambda a: torch.from_numpy(a).to_sparse(),
    "complex": lambda a: torch.from_numpy(a).to(torch.complex64),
    "columns apart": np.asfortranarray,
    "an address": lambda a: (a.ctypes.data, "float32", a.size),
    "a list": lambda a: a.tolist(),
    "nothing": lambda a: None,
}


@pytest.mark.parametrize("given", NONE.values(), ids=NONE)
def test_what_is_no_contiguous_memory_is_refused(product, given):
    context, a, b, workspace = product
    with pytest.raises(TypeError, match="incompatible function arguments"):
        context.gemm(5, 9, 7, given(a), b, np.zeros((5, 9), np.float32), workspace)


def test_plans_are_remembered_by_what_they_depend_on():
    context, spec = native.context(1), StackSpec("lstm", 3, 4)
    same = [native.plan(context, spec, "float32", 5, 2, None, native.Options(training=True)) for _ in range(2)]
    other = native.plan(context, spec, "float32", 6, 2, None, native.Options(training=True))
    assert same[0] is same[1]
    assert other is not same[0]
    assert (other.y_shape, other.cy_shape, other.h_shape, other.c_shape) == ((6, 2, 4), None, (1, 2, 4), (1, 2, 4))


def test_every_weight_is_checked_by_name():
    context, spec = native.context(1), StackSpec("mi_lstm", 3, 4)
    plan = native.plan(context, spec, "float32", 1, 1, None, native.Options(training=False))
    weights = [np.zeros(shape, np.float32) for shape in spec.parameter_shapes().values()]
    x, y, hn, cn = (np.zeros(n, np.float32) for n in (3, 4, 4, 4))
    workspace = torch.empty(plan.workspace_bytes, dtype=torch.uint8)

    def run(weights):
        plan.forward(weights, None, x, None, None, y, None, hn, cn, None, workspace)

    run(weights)
    with pytest.raises(ValueError, match="weights: expected 8 arrays, those of each layer and direction"):
        run(weights[:-1])
    with pytest.raises(ValueError, match=r"weights\[1\], weight_hh: expected 64 values, got 60"):
        run([weights[0], np.zeros(60, np.float32), *weights[2:]])
    with pytest.raises(TypeError, match=r"weights\[4\], vector_params: expected float32, got another type"):
        run([*weights[:4], weights[4].astype(np.float64), *weights[5:]])
    with pytest.raises(ValueError, match=r"weights\[0\], weight_ih: expected a contiguous array"):
        run([None, *weights[1:]])
