"""Ctrl-C, and any other signal whose handler raises, ends a long call soon; handlers that do not raise are run in its
course. Each call here would take many seconds."""

import contextlib
import signal
import threading
import time

import numpy as np
import pytest
import torch

import rnn_engine
import rnn_engine.nn.attention
import rnn_engine.nn.cross_entropy  # here, as an import that a signal ends would not be whole

MOST = 5.0  # seconds until a call has ended, on a busy machine


class Stop(Exception):
    pass


@contextlib.contextmanager
def alarm(handler, seconds=0.1):
    """Has the handler called once, and again every second if it lets the call go on."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def stop(*_):
    raise Stop


def forward():
    layer, x = rnn_engine.LSTM(4, 512, 2), torch.zeros(60_000, 16, 4)
    with torch.no_grad():
        layer(x, last_state_only=True)


def forward_in_numpy():
    spec = rnn_engine.StackSpec("lstm", 4, 512, 2)
    parameters = {name: np.zeros(shape, np.float32) for name, shape in spec.parameter_shapes().items()}
    rnn_engine.Stack(spec, parameters, threads=2)(np.zeros((60_000, 16, 4), np.float32), last_state_only=True)


def loss():
    hidden, weight = torch.zeros(200_000, 256), torch.zeros(30_000, 256)
    rnn_engine.linear_cross_entropy(hidden, weight, torch.zeros(200_000, dtype=torch.int64))


def attention():
    queries, keys = torch.zeros(150_000, 1, 64), torch.zeros(30_000, 1, 64)
    rnn_engine.attention(queries, keys, keys)


@pytest.mark.parametrize("work", [forward, forward_in_numpy, loss, attention])
def test_a_long_call_is_ended(work):
    begin = time.monotonic()
    with pytest.raises(Stop), alarm(stop):
        work()
    assert time.monotonic() - begin < MOST


@pytest.mark.parametrize(
    ("memory", "schedule", "threads"),
    [("store", "layers", 1), ("store", "layers", 2), ("store", "wavefront", 2), ("recompute", "layers", 2)],
)
def test_backward_is_ended_and_all_is_well_afterwards(memory, schedule, threads):
    """The same layer, threads and memory then compute what they did before."""
    layer, small = rnn_engine.LSTM(8, 384, 2, memory=memory, schedule=schedule), torch.randn(5, 2, 8)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)

    def results():
        y, _ = layer(small)
        return [y, *torch.autograd.grad(y.sum(), list(layer.parameters()))]

    try:
        expected = results()
        loss = layer(torch.zeros(700, 16, 8))[0].sum()
        with pytest.raises(Stop), alarm(stop, 0.01):
            loss.backward()
        assert layer.weight_hh_l0.grad is None  # it was not merely told of the signal after its work
        assert all(torch.equal(a, b) for a, b in zip(results(), expected, strict=True))
    finally:
        torch.set_num_threads(before)


def test_keyboard_interrupt():
    # As Python begins with, unless a shell started the tests in the background: it has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            forward()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_that_lets_the_call_go_on_runs_in_its_course():
    seen = []

    def note(*_):
        seen.append(time.monotonic())
        if len(seen) == 2:
            raise Stop

    with pytest.raises(Stop), alarm(note):
        forward()
    assert len(seen) == 2


def test_a_handler_makes_no_calls():
    layer, x = rnn_engine.LSTM(3, 4), torch.zeros(5, 2, 3)
    with pytest.raises(rnn_engine.EngineError, match="let it set a flag"), alarm(lambda *_: layer(x)):
        forward()
    layer(x)


def test_other_threads_are_not_asked():
    """Python runs handlers on its main thread: another's call goes on, and is right."""
    layer, x, results = rnn_engine.LSTM(8, 128, 2), torch.randn(400, 32, 8), []
    with torch.no_grad():
        expected = layer(x)[0]
    begun = threading.Event()

    def work():
        begun.set()
        with torch.no_grad():
            results.extend(torch.equal(layer(x)[0], expected) for _ in range(5))

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait()
    with pytest.raises(Stop), alarm(stop, 0.05):
        time.sleep(60)  # until the handler raises
    worker.join()
    assert results == [True] * 5
