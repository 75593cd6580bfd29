"""A dense batch with lengths: what packing and padding by hand give, in both faces."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnn_engine

LENGTHS = (3, 6, 1, 6, 4)
STEPS, BATCH, INPUT = 7, len(LENGTHS), 5  # no sequence is as long as the batch

OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "proj_size": 3, "bias": False},
    {"num_layers": 2, "batch_first": True},
]


def batch_of(batch_first=False, dtype=torch.float64):
    """x with nan where nobody may look."""
    x = torch.randn(STEPS, BATCH, INPUT, dtype=dtype)
    for row, length in enumerate(LENGTHS):
        x[length:, row] = float("nan")
    return (x.transpose(0, 1).contiguous() if batch_first else x).requires_grad_()


def packed_by_hand(layer, x, hx, batch_first, **options):
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first, enforce_sorted=False)
    y, *rest = layer(packed, hx, **options)
    return pad_packed_sequence(y, batch_first, total_length=STEPS)[0], *rest


def flat(result):
    return [result] if isinstance(result, torch.Tensor) else [leaf for part in result for leaf in flat(part)]


def with_gradients(result, leaves):
    outputs = flat(result)
    torch.manual_seed(3)
    return outputs, torch.autograd.grad(outputs, leaves, [torch.randn_like(o) for o in outputs])


@pytest.mark.parametrize("given_states", [False, True], ids=["no states", "states"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_outputs_states_and_gradients_are_torchs(options, given_states):
    torch.manual_seed(1)
    theirs = nn.LSTM(INPUT, 7, **options).double()
    ours = rnn_engine.LSTM(INPUT, 7, **options).double()
    ours.load_state_dict(theirs.state_dict())
    batch_first = options.get("batch_first", False)
    x = batch_of(batch_first)
    hx = None
    if given_states:
        widths = (options.get("proj_size", 7), 7)
        hx = tuple(
            torch.randn(ours.spec.pseudo_layers, BATCH, w, dtype=torch.float64, requires_grad=True) for w in widths
        )
    leaves = [x, *(hx or ())]
    expected = with_gradients(packed_by_hand(theirs, x, hx, batch_first), [*leaves, *theirs.parameters()])
    found = with_gradients(ours(x, hx, lengths=LENGTHS), [*leaves, *ours.parameters()])
    torch.testing.assert_close(found, expected)
    assert found[0][0].shape == expected[0][0].shape


@pytest.mark.parametrize("memory", ["store", "recompute", "2MiB"])
@pytest.mark.parametrize("cell", [rnn_engine.LSTM, rnn_engine.MILSTM])
def test_the_bits_are_those_of_a_packed_sequence(cell, memory):
    """Dropout masks among them: they follow the caller's rows, wherever sorting puts these."""
    torch.manual_seed(2)
    layer = cell(INPUT, (9, 4), 2, bidirectional=True, dropout=0.4, memory=memory)
    x = batch_of(dtype=torch.float32)
    results = []
    for call in (lambda: packed_by_hand(layer, x, None, False, return_cell_states=True), None):
        torch.manual_seed(5)
        if call is None:
            y, states, cells = layer(x, lengths=torch.tensor(LENGTHS), return_cell_states=True)
        else:
            y, states, cells = call()
            cells = pad_packed_sequence(cells, total_length=STEPS)[0]
        results.append(with_gradients((y, states, cells), [x, *layer.parameters()]))
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)
    torch.manual_seed(5)
    nothing, last = layer(x, lengths=LENGTHS, last_state_only=True)
    assert nothing is None
    assert all(torch.equal(a, b) for a, b in zip(flat(last), results[0][0][1:-1], strict=True))


def test_lengths_may_come_in_any_form_and_full_ones_change_nothing():
    layer = rnn_engine.LSTM(INPUT, 7)
    x = torch.randn(STEPS, BATCH, INPUT)
    expected = flat(layer(x, lengths=LENGTHS))
    for form in (list, np.array, torch.tensor, lambda n: torch.tensor(n, dtype=torch.int32), np.uint8):
        assert all(map(torch.equal, flat(layer(x, lengths=form(LENGTHS))), expected))
    assert all(map(torch.equal, flat(layer(x, lengths=[STEPS] * BATCH)), flat(layer(x))))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_numpy_gives_the_same_bits(bidirectional):
    layer = rnn_engine.LSTM(INPUT, 7, 2, bidirectional=bidirectional)
    stack = rnn_engine.Stack(layer.spec, {n: p.detach().numpy() for n, p in layer.named_parameters()})
    x = batch_of(dtype=torch.float32).detach()
    with torch.no_grad():
        expected = flat(layer(x, lengths=LENGTHS))
    y, states = stack(x.numpy(), lengths=LENGTHS)
    for ours, theirs in zip((y, *states), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


X = torch.zeros(STEPS, 2, INPUT)
ERRORS = {
    "zero": (X, [0, 3], r"lengths\[0\]: expected 1 to T = 7, got 0"),
    "negative": (X, [3, -1], r"lengths\[1\]: expected 1 to T = 7, got -1"),
    "too long": (X, [7, 8], r"lengths\[1\]: expected 1 to T = 7, got 8"),
    "too few": (X, [3], r"lengths: expected \[B\] = \[2\] integers, got \[1\] int64"),
    "too many": (X, torch.tensor([3, 3, 3]), r"lengths: expected \[B\] = \[2\] integers, got \[3\]"),
    "a number": (X, 3, r"lengths: expected \[B\] = \[2\] integers, got \[\] int64"),
    "floats": (X, torch.tensor([3.0, 2.0]), r"lengths: expected \[B\] = \[2\] integers, got \[2\] float32"),
    "bools": (X, [True, True], r"lengths: expected \[B\] = \[2\] integers, got \[2\] bool"),
    "words": (X, ["3", "2"], r"lengths: expected \[B\] = \[2\] integers"),
    "beyond int64": (X, [3, 2**70], r"lengths: expected \[B\] = \[2\] integers, got \[2\] object"),
    "unbatched": (X[:, 0], [3], r"lengths: expected a batched input \[T, B, I\], got \[7, 5\]"),
    "packed": (
        pack_padded_sequence(X, torch.tensor([7, 3])),
        [7, 3],
        r"lengths: expected none with a PackedSequence",
    ),
}


@pytest.mark.parametrize(("given", "lengths", "message"), ERRORS.values(), ids=ERRORS)
def test_wrong_lengths_are_named(given, lengths, message):
    with pytest.raises(ValueError, match=message):
        rnn_engine.LSTM(INPUT, 4)(given, lengths=lengths)
