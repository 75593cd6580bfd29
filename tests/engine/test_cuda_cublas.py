"""Products by cuBLAS, found at run time: an emulated one (tests/cpp/emulator/cublas.cpp) in the place of NVIDIA's."""

import ctypes
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from cases import Case, make
from emulated import LIBRARY, need_emulated, use_emulated
from library import Library, Stack, run_library, run_loss
from running import results, rounded, run_reference
from test_cuda_loss import TOLERANCE

from rnn_engine import native
from rnn_engine.reference_loss import linear_cross_entropy as reference

setup_module = need_emulated

CUBLAS = LIBRARY.with_name("libcublas_emulated.so")
DTYPES = [torch.float64, torch.float32, "tf32", torch.bfloat16, torch.float16]
# Every weight's gradient is large enough, and every row of a matrix a multiple of 16 bytes long.
LARGE = {"T": 6, "B": 24, "I": 32, "H": 40, "L": 2}


class Emulated:
    """The emulated cuBLAS's own counters."""

    def __init__(self):
        self._raw = ctypes.CDLL(str(CUBLAS))

    def products(self, work):
        before = self._raw.emulated_products()
        result = work()
        return result, self._raw.emulated_products() - before

    @property
    def compute(self):
        """The last product's cublasComputeType_t."""
        return self._raw.emulated_compute()

    def fail(self, function):
        self._raw.emulated_failure(function.encode())


@pytest.fixture
def cublas():
    yield (emulated := Emulated())
    emulated.fail("")


def library(monkeypatch, setting):
    monkeypatch.setenv("RNN_ENGINE_CUBLAS", str(setting))
    return Library(LIBRARY)


def products(library):
    return library.ask("cuda_products", library.context, ctypes.c_char_p()).value.decode()


def stored(dtype):
    return torch.float32 if dtype == "tf32" else dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case("lstm", **LARGE, bidirectional=True), 8),
        (Case("gru", **LARGE), 4),
        (Case("lstm", **{**LARGE, "L": 1, "H": 64, "P": 32}), 3),
    ],
    ids=["bidirectional", "gru", "projection"],
)
def test_gradients_of_weights_and_nothing_else(case, expected, dtype, cublas, monkeypatch):
    arrays = rounded(make(case), stored(dtype))
    settings = {"tf32": dtype == "tf32", "overwrite": False}
    own = run_library(library(monkeypatch, "off"), case, arrays, stored(dtype), **settings)
    found, count = cublas.products(
        lambda: run_library(library(monkeypatch, CUBLAS), case, arrays, stored(dtype), **settings)
    )
    assert count == expected
    exact = run_reference(case, arrays)
    for name, mine in own.items():
        if not name.startswith("weight"):
            assert torch.equal(found[name], mine), name
            continue
        assert not torch.equal(found[name], mine), f"{name}: not by cuBLAS"
        # What was there, ones, is part of the sum.
        errors = [np.abs(values.double().numpy() - 1 - exact[name]).max() for values in (found[name], mine)]
        assert errors[0] <= 2 * max(errors[1], 1e-7 * np.abs(exact[name]).max()), name


def test_pieces_that_begin_at_any_address(cublas, monkeypatch):
    """Rows of an odd length, and pieces of an odd number of them: an algorithm must be asked for by its addresses."""
    case = Case("lstm", T=75, B=41, I=33, H=32)
    arrays, run = make(case), library(monkeypatch, CUBLAS)
    found, count = cublas.products(lambda: run_library(run, case, arrays, torch.float32, memory="recompute"))
    assert count == 2 * 3
    for name, value in run_reference(case, arrays).items():
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-4, atol=1e-5 * np.abs(value).max(), err_msg=name)


def test_on_streams_and_in_graphs(cublas, monkeypatch):
    case = Case("lstm", **LARGE)
    arrays, run = make(case), library(monkeypatch, CUBLAS)
    stack = Stack(run, case, arrays, torch.float32, training=1, input_gradient=1, schedule=2)  # in a wavefront
    expected = results(case, stack.forward(), *stack.backward(arrays, True))
    for _ in range(3):
        found, count = cublas.products(
            lambda: results(case, stack.forward_again(stack.plan), *stack.backward_again(stack.plan))
        )
        assert count == 4
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert run.graphs() == 2


def loss_inputs(tokens, features, vocabulary, dtype):
    rng = np.random.default_rng((tokens, features, vocabulary))

    def values(*shape):
        return torch.tensor(rng.standard_normal(shape)).to(dtype).double().numpy()

    weight, bias = values(vocabulary, features) / 8, values(vocabulary)
    return values(tokens, features), weight, bias, rng.integers(0, vocabulary, tokens)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_three_products_of_the_loss(bias, dtype, cublas, monkeypatch):
    hidden, weight, offset, targets = loss_inputs(144, 40, 96, torch.float16 if dtype == "tf32" else stored(dtype))
    offset = offset if bias else None
    settings = {"dtype": stored(dtype), "tf32": dtype == "tf32", "smoothing": 0.1}
    with_cublas = library(monkeypatch, CUBLAS)
    (found, gradients), count = cublas.products(
        lambda: run_loss(with_cublas, hidden, weight, offset, targets, **settings)
    )
    assert count == 3
    assert cublas.compute == {torch.float64: 70, "tf32": 77}.get(dtype, 68)
    exact = reference(hidden, weight, targets, offset, label_smoothing=0.1)
    assert abs(found.loss - exact.loss) <= TOLERANCE[dtype] * exact.loss
    for name, before in (("d_hidden", 0), ("d_weight", 1), ("d_bias", 1)):
        value = getattr(exact, name)
        difference = gradients[name].double().numpy() - before - value
        assert np.abs(difference).max() <= TOLERANCE[dtype] * max(1, np.abs(value).max()), name


@pytest.mark.parametrize(("dtype", "expected"), [(torch.float32, 3), (torch.bfloat16, 0), (torch.float16, 0)], ids=str)
def test_what_it_refuses_the_kernels_do(dtype, expected, cublas, monkeypatch):
    """Rows of an odd length: of 16 bits each, no algorithm takes them."""
    inputs = loss_inputs(144, 33, 97, dtype)
    results = []
    for setting, count in (("off", 0), (CUBLAS, expected)):
        run = library(monkeypatch, setting)
        result, taken = cublas.products(lambda run=run: run_loss(run, *inputs, dtype=dtype, smoothing=0.1))
        assert taken == count
        results.append(result)
    (own, own_gradients), (found, gradients) = results
    assert found.loss == pytest.approx(own.loss, rel=1e-6)
    for name, value in own_gradients.items():
        if expected:
            torch.testing.assert_close(gradients[name], value)
        else:
            assert torch.equal(gradients[name], value)


@pytest.mark.parametrize("function", ["MatmulAlgoGetHeuristic", "MatmulDescCreate"])
def test_without_an_algorithm_the_kernels_do_it(function, cublas, monkeypatch):
    inputs = loss_inputs(144, 40, 96, torch.float32)
    run = library(monkeypatch, CUBLAS)
    cublas.fail(function)
    _, count = cublas.products(lambda: run_loss(run, *inputs, dtype=torch.float32, smoothing=0.1))
    assert count == 0


def test_a_product_that_fails_is_an_error(cublas, monkeypatch):
    inputs = loss_inputs(144, 40, 96, torch.float32)
    run = library(monkeypatch, CUBLAS)
    cublas.fail("Matmul")
    with pytest.raises(RuntimeError, match="cublasLtMatmul fails: CUBLAS_STATUS_EXECUTION_FAILED; with RNN_ENGINE_CUB"):
        run_loss(run, *inputs, dtype=torch.float32, smoothing=0.1)


def test_what_was_found(cublas, monkeypatch, tmp_path):
    assert products(library(monkeypatch, CUBLAS)) == "cuBLAS 13.1.2"
    assert products(library(monkeypatch, "off")) == "own products (RNN_ENGINE_CUBLAS=off)"
    nowhere = tmp_path / "libcublasLt.so"
    assert products(library(monkeypatch, nowhere)) == f"own products (RNN_ENGINE_CUBLAS={nowhere}: it cannot be loaded)"
    assert "m.so.6: there is no function cublasLtGetVersion)" in products(library(monkeypatch, "libm.so.6"))
    cublas.fail("Create")
    assert "cuBLAS 13.1.2 fails: CUBLAS_STATUS_NOT_INITIALIZED" in products(library(monkeypatch, CUBLAS))


FIND = """
import ctypes, sys
from rnn_engine import native
native.cuda_context(0)  # asks the dynamic linker, which does not know it
print(native.cuda_context(0).products)
native._cuda_contexts.clear()
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_LOCAL)
print(native.cuda_context(0).products)
"""


def test_one_that_is_loaded_is_found_by_its_name():
    """As torch's is. Without the emulated one: a real cuBLAS is not for an emulated device."""
    environment = {n: value for n, value in os.environ.items() if n != "RNN_ENGINE_CUBLAS"}
    environment["RNN_ENGINE_CUDA_LIBRARY"] = str(LIBRARY)
    done = subprocess.run(
        [sys.executable, "-c", FIND, CUBLAS], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "own products (no cuBLAS found)\ncuBLAS 13.1.2\n"


def test_the_python_face_tells_and_asks_pathfinder(monkeypatch):
    use_emulated(monkeypatch)
    assert native.cuda_context(0).products == "own products (RNN_ENGINE_CUBLAS=off)"
    monkeypatch.setenv("RNN_ENGINE_CUBLAS", str(CUBLAS))
    assert native.cuda_context(0).products == "cuBLAS 13.1.2"
    assert native.context(1).products == "own products"

    asked = []

    def load(name):
        asked.append(name)
        raise RuntimeError("not found")

    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", types.SimpleNamespace(load_nvidia_dynamic_lib=load))
    monkeypatch.setattr(native, "_cuda_contexts", {})
    native.cuda_context(0)
    assert asked == []  # a file is named
    monkeypatch.delenv("RNN_ENGINE_CUBLAS")
    assert native.cuda_context(0) is native.cuda_context(0)
    assert asked == ["cublasLt"]
