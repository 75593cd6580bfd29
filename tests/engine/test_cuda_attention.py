"""Attention's CUDA kernels, run by the emulator: the bits of the CPU, and of halves the reference's values."""

import multiprocessing
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from attention_cases import CASES, Case, expected, make, options
from emulated import need_emulated
from guarded_card import on_card
from masks import attention_masks
from test_attention import run, seed_of
from test_cuda_faults import PROJECT, compiled

from rnn_engine import attention

setup_module = need_emulated
HALVES = {torch.bfloat16: 2**-8, torch.float16: 2**-11}
FEW = [CASES[i] for i in (0, 1, 6, 8, 14, 16, 17, 18)]
NAMED = {"ids": lambda case: case.id}


def assert_bits_of_the_cpu(case, dtype, monkeypatch):
    given = make(case, dtype)
    cpu = run(case, given)
    for name, tensor in on_card(monkeypatch, lambda: run(case, given)).items():
        assert torch.equal(tensor, cpu[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CASES, **NAMED)
def test_bits_are_the_cpus(case, dtype, monkeypatch):
    assert_bits_of_the_cpu(case, dtype, monkeypatch)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("case", FEW, **NAMED)
def test_halves_are_near_the_reference(case, dtype, monkeypatch):
    """Products take weights and gradients of scores rounded; their errors are at most as large as all rounded terms."""
    given = make(case, torch.float32)
    for leaf in given.leaves[:3]:
        leaf.data = leaf.data.to(dtype)
    given = replace(given, d_context=given.d_context.to(dtype))
    ours = on_card(monkeypatch, lambda: run(case, given))
    exact = expected(case, given, attention_masks(case, seed_of(case)) if case.dropout else None)
    largest = max(1.0, (case.scale or 1.0) * case.A**0.5) / (1 - case.dropout)
    for name, value in ours.items():
        theirs = getattr(exact, name)
        tolerance = 2 * HALVES[dtype] * largest * max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(value.float().numpy(), theirs, rtol=0, atol=tolerance, err_msg=name)
        assert value.dtype == (torch.float32 if name in ("weights", "d_vector") else dtype)


@pytest.fixture
def tf32_off_again():
    """As it is by default."""
    yield
    torch.backends.cuda.matmul.allow_tf32 = False


@pytest.mark.usefixtures("tf32_off_again")
def test_tf32_follows_torch_and_rounds_to_ten_bits(monkeypatch):
    case = Case(40, 2, 35, 36, 40, ragged=True)
    given = make(case, torch.float32)
    cpu = run(case, given)

    def rounded():
        torch.backends.cuda.matmul.allow_tf32 = True
        return run(case, given)

    for name, tensor in on_card(monkeypatch, rounded).items():
        assert 0 < (tensor - cpu[name]).abs().max() < 2**-6 * max(1.0, cpu[name].abs().max()), name


def test_lengths_count_as_the_nearest_within_and_may_lie_anywhere(monkeypatch):
    case = Case(4, 3, 5, 3, 2, ragged=True)
    given = make(case)
    near = replace(given, source_lengths=torch.tensor([1, 5, 2]), target_lengths=torch.tensor([0, 4, 3]))
    beyond = replace(given, source_lengths=torch.tensor([-3, 9, 2]), target_lengths=[-1, 2**40, 3])
    found = [on_card(monkeypatch, lambda each=each: run(case, each)) for each in (near, beyond)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("case", [CASES[8], CASES[18]], **NAMED)
def test_what_is_asked_for_changes_no_bit(case, monkeypatch):
    given = make(case, torch.bfloat16)
    everything = on_card(monkeypatch, lambda: run(case, given))
    names = [name for name in everything if name.startswith("d_")]

    def some(subset):
        for i, leaf in enumerate(given.leaves):
            leaf.grad = None
            leaf.requires_grad_(bool(subset >> i & 1))
        torch.manual_seed(case.T)
        context = attention(*given.inputs, **options(case, given))
        context.backward(given.d_context)
        return {"context": context.detach()} | {
            name: leaf.grad for name, leaf in zip(names, given.leaves, strict=True) if leaf.grad is not None
        }

    for subset in range(1, 2 ** len(given.leaves)):
        found = on_card(monkeypatch, lambda subset=subset: some(subset))
        assert len(found) == 1 + subset.bit_count()
        for name, tensor in found.items():
            assert torch.equal(tensor, everything[name]), (subset, name)


def test_nothing_to_look_for(monkeypatch):
    def all_zeros():
        for steps, batch in ((0, 2), (3, 0)):
            queries, keys = torch.ones(steps, batch, 4, requires_grad=True), torch.ones(5, batch, 4, requires_grad=True)
            attention(queries, keys, keys).sum().backward()
            assert queries.grad.shape == queries.shape
            assert (keys.grad == 0).all()

    on_card(monkeypatch, all_zeros)


def test_what_is_taken_at_once_changes_no_bit(tmp_path):
    """The library once more with slices of few rows: sentences cut, and several calls of every kernel."""
    shutil.copytree(PROJECT / "csrc/cuda", tmp_path / "cuda")
    for header in ("runtime.h", "intrinsics.h"):  # the emulator has its own
        (tmp_path / "cuda" / header).unlink()
    path = tmp_path / "cuda/attention/workspace.h"
    text = path.read_text()
    assert text.count("kValues = 8 << 20, kLeast = 64,") == 1
    path.write_text(text.replace("kValues = 8 << 20, kLeast = 64,", "kValues = 1, kLeast = 16,"))
    library = compiled(tmp_path, ("attention.cpp",))
    process = multiprocessing.get_context("fork").Process(target=in_small_slices, args=(library,))
    process.start()
    process.join()
    assert process.exitcode == 0


def in_small_slices(library):
    cases = [replace(CASES[i], dropout=0.3) for i in (4, 6, 14, 17, 18)]
    halves = [make(case, torch.bfloat16) for case in cases]
    with pytest.MonkeyPatch.context() as patch:
        whole = [on_card(patch, lambda pair=pair: run(*pair)) for pair in zip(cases, halves, strict=True)]
        patch.setattr("emulated.LIBRARY", library)
        for case, given, before in zip(cases, halves, whole, strict=True):
            for dtype in (torch.float32, torch.float64):
                assert_bits_of_the_cpu(case, dtype, patch)
            found = on_card(patch, lambda case=case, given=given: run(case, given))
            assert all(torch.equal(tensor, before[name]) for name, tensor in found.items())
