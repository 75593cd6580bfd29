"""Streams and graphs of librnn_engine_cuda. The emulator runs streams in an order drawn anew each time, as far apart as
events let them, and what the caller's stream does not wait for not at all."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import Case, make
from emulated import LIBRARY, need_emulated
from library import Facts, Library, Stack, run_library
from mixtures import EXHAUSTIVE
from running import results, rounded

LAYERS, WAVEFRONT = 1, 2
NOISE = {"dropout": 0.3, "recurrent_dropout": 0.3, "zoneout": (0.3, 0.2)}
DEEP = (
    Case(cell="lstm", T=23, B=3, I=5, H=6, L=4),
    Case(cell="lstm", T=19, B=4, I=5, H=6, L=3, bidirectional=True, lengths=(19, 7, 12, 1)),
    Case(cell="mi_lstm", T=18, B=3, I=5, H=7, P=4, L=3, **NOISE),
    Case(cell="layer_norm_lstm", T=11, B=3, I=5, H=6, L=2, bidirectional=True, **NOISE),
    Case(cell="gru", T=30, B=2, I=3, H=5, L=10),
    Case(cell="lstm", T=23, B=3, I=5, H=6, L=5, residual=True, dropout=0.3),
    Case(cell="lstm", T=13, B=3, I=5, H=6, L=4, residual=True, bidirectional=True, lengths=(13, 7, 1)),
    Case(cell="lstm", T=9, B=3, I=4, H=5, bidirectional=True),
)

setup_module = need_emulated


@pytest.fixture(scope="module")
def library():
    return Library(LIBRARY)


def groups_of(stack):
    return stack.library.ask("plan_describe", stack.plan, Facts()).groups


def assert_same(found, expected, what):
    """Bits; but for the weights' gradients, which are summed in pieces of different lengths."""
    for name, tensor in expected.items():
        if name.startswith("weight"):
            scale = tensor.abs().max().clamp_min(1e-30)
            assert ((found[name] - tensor).abs() / scale).max() < 1e-5, (what, name)
        else:
            assert torch.equal(found[name], tensor), (what, name)


@pytest.mark.parametrize("memory", ["store", "recompute", "checkpoint"])
@pytest.mark.parametrize("case", DEEP, ids=lambda case: case.id)
def test_streams_change_no_bit(case, memory, library):
    arrays = rounded(make(case), torch.float32)
    expected = run_library(library, case, arrays, torch.float32, schedule=LAYERS, memory=memory)
    for _ in range(8 if EXHAUSTIVE else 2):  # orders
        found = run_library(library, case, arrays, torch.float32, schedule=WAVEFRONT, memory=memory)
        assert_same(found, expected, memory)


@pytest.mark.parametrize("output", [1, 0], ids=["output", "last"])
@pytest.mark.parametrize("case", DEEP, ids=lambda case: case.id)
def test_without_gradients_streams_change_no_bit(case, output, library):
    arrays = rounded(make(case), torch.float32)
    problem = {"training": 0, "output": output}
    expected = Stack(library, case, arrays, torch.float32, schedule=LAYERS, **problem).forward()
    stack = Stack(library, case, arrays, torch.float32, schedule=WAVEFRONT, **problem)
    assert groups_of(stack) == min(8, case.L * case.spec.directions)
    for mine, other in zip(stack.forward(), expected, strict=True):
        for piece, usual in zip(*(x if isinstance(x, tuple) else (x,) for x in (mine, other)), strict=True):
            assert piece is None or torch.equal(piece, usual)


def test_memory_without_gradients_does_not_grow_with_length(library):
    case = Case(cell="lstm", T=70, B=3, I=5, H=6, L=4)
    workspace = {
        T: Stack(
            library, replace(case, T=T), make(replace(case, T=T)), torch.float32, schedule=WAVEFRONT
        ).sizes.workspace
        for T in (70, 140, 700)
    }
    assert len(set(workspace.values())) == 1


def test_streams_are_chosen_where_steps_are_small(library):
    small, wide = Case(cell="lstm", T=40, B=4, I=16, H=16, L=3), Case(cell="lstm", T=2, B=1, I=2, H=2)
    assert groups_of(Stack(library, small, make(small), torch.float32, training=1)) == 3
    assert groups_of(Stack(library, wide, make(wide), torch.float32, training=1)) == 1
    assert groups_of(Stack(library, small, make(small), torch.float32, training=1, schedule=LAYERS)) == 1


@pytest.mark.parametrize("schedule", [LAYERS, WAVEFRONT], ids=["layers", "wavefront"])
@pytest.mark.parametrize("case", [replace(DEEP[0], **NOISE), DEEP[1]], ids=["masks", "ragged"])
def test_a_call_that_comes_again_is_one_graph(case, schedule, library):
    """Other masks and other values, but the same plan and buffers: the same results as without a graph."""
    settings = {"training": 1, "input_gradient": 1, "schedule": schedule}
    arrays = rounded(make(case), torch.float32)
    again = Stack(library, case, arrays, torch.float32, **settings)
    results(case, again.forward(), *again.backward(arrays, True))
    before = library.graphs()
    for seed in range(3):
        values = replace(arrays, x=arrays.x + np.float32(seed))
        fresh = Stack(library, case, values, torch.float32, seed=seed, **settings)
        expected = results(case, fresh.forward(), *fresh.backward(values, True))
        again.x.copy_(fresh.x)
        again.forward_args.masks = again.backward_args.masks = fresh.masks
        found = results(case, again.forward_again(fresh.plan), *again.backward_again(fresh.plan))
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), (seed, name)
    assert library.graphs() == before + 2  # the fresh buffers' calls came once


@pytest.mark.parametrize(("given", "made"), [("0", 0), ("1", 3)])
def test_how_many_graphs_are_kept(given, made):
    """Two calls in turn, each four times, with room for one graph, are captured again each second time."""
    script = """
import sys, torch
from cases import Case, make
from library import Facts, Library, Stack
library = Library(sys.argv[1])
case = Case(cell="lstm", T=2, B=2, I=3, H=4)
stacks = [Stack(library, case, make(case), torch.float32) for _ in range(2)]
outputs = [[*stack.forward()[:1]] for stack in stacks]
for _ in range(3):
    for stack, before in zip(stacks, outputs):
        assert torch.equal(stack.forward_again(stack.plan)[0], before[0])
print(library.graphs())
"""
    environment = os.environ | {"RNN_ENGINE_CUDA_GRAPHS": given, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", script, str(LIBRARY)], check=True, env=environment, capture_output=True, text=True
    )
    assert int(run.stdout) == made


def test_a_number_of_graphs_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_CUDA_GRAPHS", "many")
    with pytest.raises(ValueError, match="RNN_ENGINE_CUDA_GRAPHS: expected 0 to 4096, got 'many'"):
        Library(LIBRARY)
