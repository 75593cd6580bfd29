"""The kernels of librnn_engine_cuda, run by the emulator, over the table of cases: RNN_ENGINE_CUDA_EMULATED names the
library, or it lies where `cmake -S . -B build/native -DRNN_ENGINE_TESTS=ON` puts it."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import CASES, Case, make, named
from emulated import LIBRARY, need_emulated
from library import Library, Stack, run_library
from mixtures import EXHAUSTIVE
from running import rounded, run_engine, run_plain, run_reference

from rnn_engine.spec import CELLS

# Every fourth shape, others with every cell: an emulated block takes its time.
SOME = CASES if EXHAUSTIVE else [case for i, case in enumerate(CASES) if i % 4 == list(CELLS).index(case.cell) % 4]

setup_module = need_emulated


@pytest.fixture(scope="module")
def library():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNN_ENGINE_CUBLAS", "off")  # test_cuda_cublas.py may have left one in this process
        return Library(LIBRARY)


def normalised(cell):
    return cell.startswith("layer_norm")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_float64_agrees_with_the_reference(case, library):
    arrays = make(case)
    found = run_library(library, case, arrays, torch.float64)
    expected = run_reference(case, arrays)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # Gradients through a normalisation may explode, and rounding errors with them.
        scale = max(1.0, np.abs(value).max()) if normalised(case.cell) else 1.0
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-11, atol=1e-11 * scale, err_msg=name)


@pytest.mark.parametrize("case", [case for case in SOME if not normalised(case.cell)], ids=lambda case: case.id)
def test_float32_has_the_bits_of_the_cpu(case, library):
    """Outputs and the gradients of inputs and states are the same chains of operations; sums over rows are not."""
    arrays = rounded(make(case), torch.float32)
    found = run_library(library, case, arrays, torch.float32)
    cpu = run_engine(case, arrays, torch.float32)
    for name, tensor in cpu.items():
        if name.split("[")[0] in ("output", "cells", "hn", "cn", "dx", "dh0", "dc0"):
            assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        pytest.param(case, dtype, id=f"{case.id}-{dtype}")
        for i, case in enumerate(SOME)
        for j, dtype in enumerate((torch.float32, torch.bfloat16))
        if EXHAUSTIVE or i % 2 == j  # each shape with one of them
    ],
)
def test_every_policy_gives_the_same_bits(case, dtype, library):
    """But for the weights' gradients, which are summed in pieces of different lengths."""
    arrays = rounded(make(case), dtype)
    first = run_library(library, case, arrays, dtype)
    leanest = Stack(library, case, arrays, dtype, memory="checkpoint", training=1, input_gradient=1).sizes
    for memory in ({"memory": "recompute"}, {"memory": "checkpoint"}, {"budget": leanest.reserve + leanest.workspace}):
        tensors = run_library(library, case, arrays, dtype, **memory)
        for key, tensor in tensors.items():
            if key.startswith("weight"):
                scale = first[key].abs().max().clamp_min(1e-30)
                assert ((tensor - first[key]).abs() / scale).max() < 1e-5, (memory, key)
            else:
                assert torch.equal(tensor, first[key]), (memory, key)


@pytest.mark.parametrize(
    ("dtype", "epsilon"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11), ("tf32", 2**-11)], ids=str
)
@pytest.mark.parametrize("cell", CELLS)
def test_rounded_types_round_no_worse_than_plain_operations(cell, dtype, epsilon, library):
    """Root mean square errors, relative to each tensor's largest value, over many cases (every other one, unless all
    are asked for): at most twice those of float32 operations that round h and what is kept of every step. Of normalised
    rows, where a few cases decide that, the errors of the tensors are at most twice as large in the geometric mean."""
    tf32 = dtype == "tf32"
    stored = torch.float32 if tf32 else dtype
    ours, plain, ratios = 0.0, 0.0, []
    cases = [case for case in SOME if case.cell == cell]
    for case in cases if EXHAUSTIVE else cases[dtype == torch.float16 :: 2]:
        arrays = rounded(make(case), stored)
        found = run_library(library, case, arrays, stored, tf32=tf32)
        operations = run_plain(case, arrays, stored=lambda tensor: Rounded.apply(tensor, epsilon, stored))
        for name, exact in run_reference(case, arrays).items():
            scale = np.abs(exact).max() or 1.0
            error, usual = (np.abs(r[name].double().numpy() - exact) / scale for r in (found, operations))
            assert np.isfinite(error).all(), (case.id, name)
            squares = np.mean(error**2), np.mean(usual**2)
            ours, plain = ours + squares[0], plain + squares[1]
            ratios.append(np.log(max(epsilon, np.sqrt(squares[0])) / max(epsilon, np.sqrt(squares[1]))))
    assert np.exp(np.mean(ratios)) <= 2
    assert normalised(cell) or ours <= 2**2 * plain


@pytest.mark.parametrize("output", [1, 0], ids=["output", "last"])
@pytest.mark.parametrize("prepacked", [0, 1], ids=["", "packed"])
@pytest.mark.parametrize("case", SOME[::2], ids=lambda case: case.id)
def test_without_gradients_the_bits_are_the_same(case, prepacked, output, library):
    arrays = rounded(make(case), torch.bfloat16)
    expected = Stack(library, case, arrays, torch.bfloat16, training=1, input_gradient=1).forward()
    problem = {"training": 0, "output": output, "prepacked": prepacked}
    found = Stack(library, case, arrays, torch.bfloat16, **problem).forward()
    for name, mine, trained in zip(("y", "cells", "hn", "cn"), found, expected, strict=True):
        if mine is not None:
            for piece, other in zip(named(name, mine).values(), named(name, trained).values(), strict=True):
                assert torch.equal(piece, other), name


def test_a_batch_of_more_rows_than_a_tile(library):
    """Both of a product's tiles, several tiles of time, and more than one block of every kernel."""
    case = Case(cell="lstm", T=70, B=66, I=6, H=10, L=2)
    arrays = make(case)
    found = run_library(library, case, arrays, torch.float64)
    for name, value in run_reference(case, arrays).items():
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, "tf32"], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "mi_lstm", "gru"])
def test_a_sequence_has_the_same_bits_in_any_batch(cell, dtype, library):
    """Whichever tiles a batch's size makes the products choose."""
    case = Case(cell=cell, T=2, B=140, I=5, H=19)
    stored, tf32 = (torch.float32, True) if dtype == "tf32" else (dtype, False)
    arrays = rounded(make(case), stored)
    everything = run_library(library, case, arrays, stored, tf32=tf32)
    for count in (3, 40):
        batch = {n: getattr(arrays, n)[:, :count] for n in ("x", "h0", "c0", "dy", "dcells", "dhn", "dcn")}
        found = run_library(library, replace(case, B=count), replace(arrays, **batch), stored, tf32=tf32)
        for name in ("output", "hn", "cn", "dx", "dh0", "dc0"):
            assert torch.equal(found[name], everything[name][:, :count]), (count, name)


def test_gradients_are_added_to_what_is_there(library):
    case = Case(cell="mi_lstm", T=4, B=3, I=5, H=6, P=3)
    arrays = make(case)
    first, second = (run_library(library, case, arrays, torch.float64, overwrite=o) for o in (True, False))
    for name in arrays.parameters:
        torch.testing.assert_close(second[name] - 1, first[name], rtol=1e-12, atol=1e-12, msg=name)


def test_what_a_gpu_cannot_do_is_refused(library):
    case = Case(cell="lstm", T=2, B=2, I=3, H=4)
    with pytest.raises(ValueError, match="memory: expected at least"):
        Stack(library, case, make(case), torch.float32, budget=1, training=1)
    with pytest.raises(ValueError, match="device: expected 0 to 0, got 7"):
        library.check(library.raw.rnn_engine_cuda_context_create(7, ctypes.byref(ctypes.c_void_p())))


class Rounded(torch.autograd.Function):
    """Rounds to a type in both directions; of float32 to 10 bits, as TF32 has them."""

    @staticmethod
    def forward(ctx, tensor, epsilon, dtype):
        ctx.arguments = epsilon, dtype
        return Rounded.nearest(tensor, epsilon, dtype)

    @staticmethod
    def backward(ctx, gradient):
        return Rounded.nearest(gradient, *ctx.arguments), None, None

    @staticmethod
    def nearest(tensor, epsilon, dtype):
        if dtype != torch.float32:
            return tensor.to(dtype).to(tensor.dtype)
        mantissa, exponent = torch.frexp(tensor)
        return torch.ldexp((mantissa / epsilon).round() * epsilon, exponent)
