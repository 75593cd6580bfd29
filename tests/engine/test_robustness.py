"""What nobody should do, and what happens then: a clear error, or the right answer."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

import rnn_engine
from rnn_engine import Stack, StackSpec
from rnn_engine.memory import pool

LAYER = rnn_engine.LSTM(3, 4)
X = torch.randn(5, 2, 3)
PARAMETERS = {name: p.detach().numpy() for name, p in LAYER.named_parameters()}
STACK = Stack(LAYER.spec, PARAMETERS)
ROWS = X.reshape(10, 3)
STATE = torch.zeros(1, 2, 4)


def packed(*sizes, rows=ROWS):
    return PackedSequence(rows, torch.tensor(sizes, dtype=torch.int64))


def planned(steps=5, batch=2, layer=LAYER):
    return rnn_engine.plan(layer, steps=steps, batch=batch)


REFUSED = {
    "a list": (TypeError, lambda: LAYER([1, 2]), "input: expected a tensor or a PackedSequence, got list"),
    "an array": (TypeError, lambda: LAYER(X.numpy()), "input: expected a tensor .* got ndarray"),
    "integers": (ValueError, lambda: LAYER(X.long()), "input: expected torch.float32 as the weights, got torch.int64"),
    "sparse": (ValueError, lambda: LAYER(X.to_sparse()), "input: expected a dense tensor, got torch.sparse_coo"),
    "another device": (
        ValueError,
        lambda: LAYER(X.to("meta")),
        "input: expected a tensor on cpu as the weights, got one on meta",
    ),
    "weights nowhere": (
        ValueError,
        lambda: rnn_engine.LSTM(3, 4, device="meta")(X),
        "input: expected a tensor on meta as the weights, got one on cpu",
    ),
    "no stepper nowhere": (
        ValueError,
        lambda: rnn_engine.LSTM(3, 4, device="meta").stepper(),
        "expected tensors on the CPU or on a CUDA device, got meta",
    ),
    "four dimensions": (
        ValueError,
        lambda: LAYER(X[None]),
        r"input: expected 2 or 3 dimensions, got 4 \(\[1, 5, 2, 3\]",
    ),
    "no steps": (ValueError, lambda: LAYER(X[:0]), "at least one step and one sequence, got T = 0, B = 2"),
    "no sequences": (ValueError, lambda: LAYER(X[:, :0]), "at least one step and one sequence, got T = 5, B = 0"),
    "no features": (ValueError, lambda: LAYER(X[..., :0]), r"input: expected last dimension I = 3, got \[5, 2, 0\]"),
    "nothing packed": (
        ValueError,
        lambda: LAYER(packed(rows=ROWS[:0])),
        "at least one step and one sequence, got T = 0",
    ),
    "growing batch": (ValueError, lambda: LAYER(packed(2, 2, 2, 2, 3)), r"batch_sizes\[4\]: expected 1 to 2, got 3"),
    "too many rows": (ValueError, lambda: LAYER(packed(2, 2)), "x: expected 12 values, got 30"),
    "too few rows": (ValueError, lambda: LAYER(packed(4, 4, 4)), "x: expected 36 values, got 30"),
    "a number for a state": (ValueError, lambda: LAYER(X, 3), r"state: expected \(h0, c0\), got int"),
    "one tensor for two": (ValueError, lambda: LAYER(X, STATE), r"state: expected \(h0, c0\), got Tensor"),
    "half a state": (ValueError, lambda: LAYER(X, (STATE,)), r"state: expected \(h0, c0\), got 1 entries"),
    "no states": (ValueError, lambda: LAYER(X, (None, None)), "h0: expected one array, got NoneType"),
    "double states": (ValueError, lambda: LAYER(X, (STATE.double(),) * 2), "h0: expected torch.float32 as the weights"),
    "states elsewhere": (
        ValueError,
        lambda: LAYER(X, (STATE.to("meta"),) * 2),
        "h0: expected a tensor on cpu, got meta",
    ),
    "lengths elsewhere": (
        ValueError,
        lambda: LAYER(X, lengths=torch.ones(2, dtype=torch.int64, device="meta")),
        "lengths: expected a tensor on the CPU, got meta",
    ),
    "NumPy: a list": (TypeError, lambda: STACK([[1.0]]), "x: expected a NumPy array, got list"),
    "NumPy: a tensor": (TypeError, lambda: STACK(X), "x: expected a NumPy array, got Tensor"),
    "NumPy: bytes swapped": (ValueError, lambda: STACK(X.numpy().astype(">f4")), "x: expected float32, got >f4"),
    "NumPy: weights swapped": (
        ValueError,
        lambda: Stack(LAYER.spec, {name: p.astype(">f4") for name, p in PARAMETERS.items()}),
        "weight_ih_l0: expected float32, got >f4",
    ),
    "NumPy: weights in lists": (
        TypeError,
        lambda: Stack(LAYER.spec, {name: p.tolist() for name, p in PARAMETERS.items()}),
        "weight_ih_l0: expected a NumPy array, got list",
    ),
    "NumPy: threads": (ValueError, lambda: Stack(LAYER.spec, PARAMETERS, threads=-1), "threads: expected 1 to 1024"),
    "no such T": (ValueError, lambda: planned(steps=0), "steps: expected at least 1, got 0"),
    "half a step": (TypeError, lambda: planned(steps=1.5), "steps: expected an int, got float"),
    "endless": (
        ValueError,
        lambda: planned(steps=10**12),
        "steps: expected a plan of at most 16777216 tiles, got about",
    ),
    "beyond any memory": (ValueError, lambda: planned(2**40, 2**40), "expected a problem of less than 1e15 values"),
    "beyond int64": (ValueError, lambda: planned(steps=2**63), r"steps: expected less than 2\*\*63"),
    "wide": (ValueError, lambda: planned(layer=StackSpec("lstm", 1, 2**62)), "expected a problem of less than 1e15"),
    "wider": (
        ValueError,
        lambda: planned(layer=StackSpec("lstm", 2**64, 1)),
        r"input_size: expected less than 2\*\*63",
    ),
}


@pytest.mark.parametrize(("error", "work", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(error, work, message):
    with pytest.raises(error, match=message):
        work()


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    moved = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("form", [read_only, unaligned, np.asfortranarray, lambda a: a[::-1].copy()[::-1]])
def test_numpy_arrays_of_any_form(form):
    x, state = X.numpy(), np.ones((1, 2, 4), np.float32)
    y, last = STACK(x, (state, state))
    again, same = STACK(form(x), (form(state), form(state)))
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(same, last)
    np.testing.assert_array_equal(STACK.step(form(x)[0], (form(state), form(state)))[0], y[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-45], ids=str)
@pytest.mark.parametrize("where", ["weight_ih_l0", "weight_hh_l1", "bias_hh_l0", "input", "h0", "c0"])
def test_numbers_that_are_none_go_where_they_go_in_torch(where, value):
    theirs, ours = nn.LSTM(3, 4, 2), rnn_engine.LSTM(3, 4, 2)
    x, h0, c0 = X.clone(), torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    with torch.no_grad():
        target = {"input": x, "h0": h0, "c0": c0}.get(where)
        (getattr(theirs, where) if target is None else target).view(-1)[1] = value
    ours.load_state_dict(theirs.state_dict())
    results = []
    for layer in (ours, theirs):
        y, states = layer(x, (h0, c0))
        y.sum().backward()
        results.append((y, *states, *(torch.isnan(p.grad) for p in layer.parameters())))
    torch.testing.assert_close(results[0][:3], results[1][:3], equal_nan=True)
    if value in (1e38, -1e38, 1e-45):
        assert not any(flags.any() for flags in results[0][3:])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_broken_sequence_leaves_its_neighbours_alone(bidirectional):
    layer = rnn_engine.MILSTM(3, 9, 2, bidirectional=bidirectional)
    x = torch.randn(6, 5, 3)
    broken = x.clone()
    broken[2, 3] = float("nan")
    whole = [0, 1, 2, 4]
    assert torch.equal(layer(broken)[0][:, whole], layer(x)[0][:, whole])


def test_an_exception_in_a_backward_pass_keeps_no_memory():
    class Interrupted(Exception):
        pass

    def interrupt(gradient):
        raise Interrupted

    layer, in_use = rnn_engine.LSTM(8, 64, 2), pool.statistics()["in_use"]
    for _ in range(3):
        x = torch.randn(50, 16, 8, requires_grad=True)
        x.register_hook(interrupt)
        with pytest.raises(Interrupted):
            layer(x)[0].sum().backward()
        with pytest.raises(ValueError, match="expected"):
            layer(torch.randn(50, 16, 9))
    del x
    layer(torch.randn(50, 16, 8))[0].sum().backward()  # torch's queue holds what an exception left in it until then
    layer.zero_grad()
    gc.collect()  # the exceptions' own frames
    assert pool.statistics()["in_use"] == in_use


def test_many_threads_share_a_layer_that_has_threads_of_its_own():
    layer, x = rnn_engine.LSTM(8, 65, 2, dropout=0.0), torch.randn(30, 16, 8)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected, found = layer(x)[0], []
        expected_gradients = torch.autograd.grad(expected.sum(), list(layer.parameters()))

        def work():
            y = layer(x, lengths=[30] * 16)[0]
            gradients = torch.autograd.grad(y.sum(), list(layer.parameters()))
            found.append(torch.equal(y, expected) and all(map(torch.equal, gradients, expected_gradients)))

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert found == [True] * 8
    finally:
        torch.set_num_threads(threads)


PROCESSES = {
    "fork before the workers start": """
child = os.fork()
same = np.array_equal(stack(x)[0], expected(x))
""",
    "fork beside sleeping workers": """
stack(x)
child = os.fork()
same = np.array_equal(stack(x)[0], expected(x))
""",
    "fork in the middle of others' calls": """
stop = threading.Event()
def work():
    while not stop.is_set():
        stack(x)
others = [threading.Thread(target=work) for _ in range(3)]
for other in others: other.start()
child = os.fork()
same = np.array_equal(stack(x)[0], expected(x))
if child == 0: os._exit(not same)
stop.set()
for other in others: other.join()
""",
    "more threads than the system gives": """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
child = 1
try:
    rnn_engine.Stack(spec, parameters, threads=1000)(x)
    same = False
except RuntimeError as error:
    same = "threads: 1000 were asked for" in str(error)
same = same and np.array_equal(stack(x)[0], expected(x))
sys.exit(not same)
""",
}


@pytest.mark.parametrize("code", PROCESSES.values(), ids=PROCESSES)
def test_processes_and_threads(code):
    head = """
import os, sys, threading
import numpy as np
import rnn_engine
spec = rnn_engine.StackSpec("lstm", 8, 65, 2)
rng = np.random.default_rng(0)
parameters = {n: rng.uniform(-0.1, 0.1, s).astype(np.float32) for n, s in spec.parameter_shapes().items()}
x = rng.standard_normal((30, 16, 8)).astype(np.float32)
stack, single = (rnn_engine.Stack(spec, parameters, threads=n) for n in (2, 1))
def expected(x):
    return single(x)[0]
"""
    tail = """
if child == 0: os._exit(not same)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not same)
"""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # Python warns of forks beside threads
    done = subprocess.run(
        [sys.executable, "-c", head + code + tail],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
