"""The engine against the float64 reference, over the table of cases, gradients too.

By the machine's best instruction set: the others give the same bits (test_bits.py).
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import CASES, Case, make
from masks import philox
from running import rounded, run_engine, run_plain, run_reference

from rnn_engine import native
from rnn_engine.planning import plan
from rnn_engine.spec import CELLS


def test_the_masks_are_philox():
    assert [hex(w) for w in philox(np.zeros(4, np.uint64), (0, 0))] == [
        "0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"
    ]  # fmt: skip  # the generator's published test vector


def normalised(cell):
    return cell.startswith("layer_norm")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_float64_agrees_with_the_reference(case):
    arrays = make(case)
    engine = run_engine(case, arrays, torch.float64)
    expected = run_reference(case, arrays)
    assert engine.keys() == expected.keys()
    for name, value in expected.items():
        # Gradients through a normalisation may explode, and rounding errors with them.
        scale = max(1.0, np.abs(value).max()) if normalised(case.cell) else 1.0
        np.testing.assert_allclose(engine[name].numpy(), value, rtol=1e-11, atol=1e-11 * scale, err_msg=name)


def nudged(arrays, seed):
    """The same arrays with every value of x and the parameters one float32 up or down."""
    rng = np.random.default_rng(seed)

    def moved(array):
        single = array.astype(np.float32)
        return np.nextafter(single, rng.choice(np.float32([-np.inf, np.inf]), single.shape)).astype(np.float64)

    return replace(arrays, x=moved(arrays.x), parameters={name: moved(p) for name, p in arrays.parameters.items()})


def plain_error(case, arrays, name):
    exact, plain = run_reference(case, arrays)[name], run_plain(case, arrays)[name].numpy()
    return np.abs(plain - exact).max() / (np.abs(exact).max() or 1.0)


@pytest.mark.parametrize("cell", CELLS)
def test_float32_rounds_no_worse_than_plain_operations(cell):
    """Root mean square errors, relative to each tensor's largest value, over all cases: at most twice those of plain
    float32 operations. (A single case has too few values for a ratio to mean something.)

    A normalised row of nearly equal values makes its rounding errors large, in either, and one such row would decide
    that ratio alone: there the errors of the tensors are at most 1.5 times as large in the geometric mean.
    """
    ours, plain, ratios = 0.0, 0.0, []
    for case in (case for case in CASES if case.cell == cell):
        arrays = rounded(make(case), torch.float32)
        engine, operations = run_engine(case, arrays, torch.float32), run_plain(case, arrays)
        for name, exact in run_reference(case, arrays).items():
            scale = np.abs(exact).max() or 1.0
            error, usual = (np.abs(result[name].numpy() - exact) / scale for result in (engine, operations))
            eps = np.finfo(np.float32).eps
            largest = max(1000 * eps, 20 * usual.max()) if normalised(cell) else 50 * eps
            if (
                normalised(cell) and error.max() >= largest
            ):  # plain operations may have been lucky with these very values
                largest = 20 * max(plain_error(case, nudged(arrays, seed), name) for seed in range(8))
            assert error.max() < largest, (case.id, name)
            squares = np.mean(error**2), np.mean(usual**2)
            ours, plain = ours + squares[0], plain + squares[1]
            ratios.append(np.log(max(1e-9, np.sqrt(squares[0])) / max(1e-9, np.sqrt(squares[1]))))
    assert np.exp(np.mean(ratios)) <= 1.5
    assert normalised(cell) or ours <= 2**2 * plain


def test_a_long_batch_in_chunks_equals_short_ones():
    """More rows than the engine computes ahead at once, and more than one block of every product."""
    case = Case(cell="lstm", T=40, B=30, I=20, H=70, L=2, bidirectional=True)
    arrays = make(case)
    engine = run_engine(case, arrays, torch.float64, threads=2)
    for name, value in run_reference(case, arrays).items():
        np.testing.assert_allclose(engine[name].numpy(), value, rtol=1e-10, atol=1e-10, err_msg=name)


def test_masks_follow_the_caller_not_the_order_in_the_batch():
    case = Case(cell="lstm", T=5, B=3, I=4, H=6, L=2, dropout=0.5)
    arrays = make(case)
    full = run_engine(case, arrays, torch.float64)
    ragged = replace(case, lengths=(3, 5, 4))
    shorter = run_engine(ragged, replace(arrays, lengths=np.array(ragged.lengths)), torch.float64)
    for row, length in enumerate(ragged.lengths):
        assert torch.equal(full["output"][:length, row], shorter["output"][:length, row])


def test_an_unknown_isa_is_refused(monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_ISA", "sse9")
    with pytest.raises(ValueError, match=r"expected one of .*generic.*got \"sse9\""):
        native.context(1)


def test_the_plan_lists_what_store_keeps():
    case = Case(cell="mi_lstm", T=7, B=5, I=6, H=9, L=3, bidirectional=True, dropout=0.1)
    buffers = plan(case.spec, steps=7, batch=5, threads=2).buffers
    u = 7 * 5 * 9 * 4  # bytes of one [T, B, H] array
    reserve = sum(buffer.bytes for buffer in buffers if buffer.arena == "reserve")
    assert reserve == 3 * 2 * 9 * u + 2 * 2 * u  # a, r and c of every layer and direction; h of all layers but the last
