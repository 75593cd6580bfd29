"""Residual stacks beside layers that are added one by one; their gradients are in the table of cases."""

import pytest
import torch

import rnn_engine
from rnn_engine.spec import StackSpec


def stacks(cell, layers, both):
    """A residual stack in evaluation, and layers of one's own with the same parameters."""
    torch.manual_seed(layers)
    stack = cell(7, 10, layers, bidirectional=both, residual=True).eval()
    width = 20 if both else 10
    single = [cell(width if layer else 7, 10, bidirectional=both).eval() for layer in range(layers)]
    for layer, module in enumerate(single):
        module.load_state_dict(
            {name: getattr(stack, name.replace("_l0", f"_l{layer}")) for name in module.state_dict()}
        )
    return stack, single


def added(single, x, lengths):
    """Output, and the last states of each layer: those of its cells, not the sums."""
    put_out, last = None, []
    for layer in single:
        y, state = layer(x if put_out is None else put_out, lengths=lengths)
        put_out = y if put_out is None else put_out + y
        last.append(state)
    states = zip(*last, strict=True) if isinstance(last[0], tuple) else [last]
    return put_out, [torch.cat(tuple(halves)) for halves in states]


def halves(state):
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("schedule", ["layers", "wavefront"])
@pytest.mark.parametrize("steps", [1, 9, 150])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [2, 3, 5])
def test_a_stack_has_the_bits_of_layers_added_one_by_one(layers, both, steps, schedule, monkeypatch):
    cell = rnn_engine.GRU if steps == 9 else rnn_engine.LSTM
    stack, single = stacks(cell, layers, both)
    x, lengths = torch.randn(steps, 3, 7), [max(1, steps - 4), steps, max(1, steps // 2)]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with torch.no_grad():
        expected, last = added(single, x, lengths)
        output, state = stack(x, lengths=lengths, schedule=schedule)
        assert torch.equal(output, expected)
        nothing, alone = stack(x, lengths=lengths, schedule=schedule, last_state_only=True)
    assert nothing is None
    for found in (state, alone):
        assert all(torch.equal(*pair) for pair in zip(halves(found), last, strict=True))
    parameters = {name: p.detach().numpy() for name, p in stack.named_parameters()}
    arrays = rnn_engine.Stack(stack.spec, parameters, threads=2)(x.numpy(), lengths=lengths, schedule=schedule)
    assert torch.equal(torch.from_numpy(arrays[0]), expected)
    trained, _ = stack(x.clone().requires_grad_(), lengths=lengths, schedule=schedule)
    assert torch.equal(trained.detach(), expected)


def test_a_stepper_goes_through_all_layers():
    stack, _ = stacks(rnn_engine.LSTM, 3, both=False)
    x = torch.randn(6, 4, 7)
    with torch.no_grad():
        expected, last = stack(x)
        stepper, state, rows = stack.stepper(), None, []
        for t in range(len(x)):
            y, state = stepper(x[t], state)
            rows.append(y)
    assert torch.equal(torch.stack(rows), expected)
    assert all(torch.equal(*pair) for pair in zip(state, last, strict=True))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"hidden_size": (4, 5), "num_layers": 2, "residual": True},
            r"residual: expected layers of one width.*\(4, 5\)",
        ),
        ({"hidden_size": 4, "residual": 1}, "residual: expected a bool, got int"),
        ({"hidden_size": 4, "dropout_mask": "word"}, "dropout_mask: expected one of value, sentence, got 'word'"),
    ],
    ids=str,
)
def test_errors_say_what_was_expected(options, expected):
    with pytest.raises((ValueError, TypeError), match=expected):
        StackSpec("lstm", 3, **options)


def test_a_residual_stack_keeps_one_array_more():
    """h of the last layer; the sums are made again."""
    plain, residual = (
        rnn_engine.plan(StackSpec("lstm", 64, 64, 4, residual=residual), steps=50, batch=8, memory="recompute")
        for residual in (False, True)
    )
    assert residual.reserve_bytes - plain.reserve_bytes == 50 * 8 * 64 * 4
    assert {b.name for b in residual.buffers} - {b.name for b in plain.buffers} == {"layer input made again"}
