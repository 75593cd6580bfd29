"""Settings and arguments of a wrong type or length: errors that say what was expected and what came."""

import numpy as np
import pytest
import torch

import rnn_engine

X = torch.zeros(4, 2, 3)
HALF = torch.zeros(1, 2, 4)
PAIR = HALF, HALF


def lstm(*sizes, **options):
    return rnn_engine.LSTM(*(sizes or (3, 4)), **options)


PROBABILITIES = r"zoneout: expected two probabilities, for c and for h, got "
MEMORY = r"memory: expected store, recompute, checkpoint or a number of bytes such as 256MiB, got "
SCHEDULE = r"schedule: expected one of auto, layers, wavefront, got "
WRONG = {
    "zoneout is a number": (lambda: lstm(zoneout=0.1), PROBABILITIES + r"0\.1"),
    "zoneout is one": (lambda: lstm(zoneout=(0.1,)), PROBABILITIES + r"\(0\.1,\)"),
    "zoneout is three": (lambda: lstm(zoneout=[0.1, 0.1, 0.1]), PROBABILITIES + r"\(0\.1, 0\.1, 0\.1\)"),
    "zoneout is nothing": (lambda: lstm(zoneout=None), PROBABILITIES + "None"),
    "zoneout is a word": (lambda: lstm(zoneout="ch"), PROBABILITIES + "'ch'"),
    "zoneout of words": (lambda: lstm(zoneout=("0.1", 0.1)), r"zoneout of c: expected a probability .* got '0\.1'"),
    "zoneout of nothing": (lambda: lstm(zoneout=(0.1, None)), r"zoneout of h: expected a probability .* got None"),
    "dropout": (lambda: lstm(3, 4, 2, dropout="0.1"), r"dropout: expected a probability in \[0, 1\], got '0\.1'"),
    "no number": (lambda: lstm(dropout=float("nan")), r"dropout: expected a probability in \[0, 1\], got nan"),
    "recurrent dropout": (lambda: lstm(recurrent_dropout=None), r"recurrent_dropout: expected a prob.* got None"),
    "memory is nothing": (lambda: lstm(memory=None), MEMORY + "None"),
    "memory is a fraction": (lambda: lstm(memory=0.5), MEMORY + r"0\.5"),
    "memory of a call": (lambda: lstm()(X, memory=["store"]), MEMORY + r"\['store'\]"),
    "schedule is nothing": (lambda: lstm(schedule=None), SCHEDULE + "None"),
    "schedule is a list": (lambda: lstm(schedule=["auto"]), SCHEDULE + r"\['auto'\]"),
    "schedule of a call": (lambda: lstm()(X, schedule=2), SCHEDULE + "2"),
    "lengths of words": (lambda: lstm()(X, lengths="34"), r"lengths: expected \[B\] = \[2\] integers, got \[\] "),
    "lengths with a history": (
        lambda: lstm()(X, lengths=torch.ones(2, requires_grad=True)),
        r"lengths: expected \[B\] = \[2\] integers, got \[2\] float32",
    ),
    "lengths in bfloat16": (
        lambda: lstm()(X, lengths=torch.ones(2, dtype=torch.bfloat16)),
        r"lengths: expected \[B\] = \[2\] integers, got tensor",
    ),
    "a list of unequal lengths": (lambda: lstm()(X, lengths=[[1], [1, 2]]), r"lengths: expected .* got \[\[1\], "),
    "one state": (lambda: lstm()(X, HALF), r"state: expected \(h0, c0\), got Tensor"),
    "a state of numbers": (lambda: lstm()(X, (0, 0)), r"h0: expected one array, got int"),
    "a pair for a GRU": (lambda: rnn_engine.GRU(3, 4)(X, PAIR), r"h0: expected one array, got tuple"),
    "a state of unequal layers": (
        lambda: lstm(3, (4, 5), 2)(X, (0, 0)),
        r"h0: expected a sequence of L = 2 arrays, as the layers differ in width, got int",
    ),
    "too few states": (lambda: lstm(3, (4, 5), 2)(X, ([HALF], [HALF])), r"h0: expected a sequence of L = 2 .* got 1"),
    "states of numbers": (lambda: lstm(3, (4, 5), 2)(X, ((0, 0), (0, 0))), r"h0\[0\]: expected an array, got int"),
}


@pytest.mark.parametrize(("work", "message"), WRONG.values(), ids=WRONG)
def test_values_that_cannot_be(work, message):
    with pytest.raises(ValueError, match=message):
        work()


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: lstm(3, 4.0), "hidden_size: expected an int, got float"),
        (lambda: lstm(3, "4"), "hidden_size: expected an int, got str"),
        (lambda: lstm(batch_first=1), "batch_first: expected a bool, got int"),
        (lambda: next(lstm().windows(X, 2.0)), "steps: expected an int, got float"),
        (lambda: lstm()(X.numpy()), "input: expected a tensor or a PackedSequence, got ndarray"),
    ],
)
def test_other_types(work, message):
    with pytest.raises(TypeError, match=message):
        work()


def test_forms_that_mean_the_same():
    assert lstm(zoneout=[0.1, 0.2]).zoneout == (0.1, 0.2)
    assert lstm(3, 4, 2, dropout=np.float32(0.5)).dropout == 0.5
    assert lstm(3, 4, 2, dropout=1).dropout == 1.0
