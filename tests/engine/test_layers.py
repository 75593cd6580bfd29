"""`rnn_engine.LSTM` in torch.nn.LSTM's place, and `MILSTM` with the same face."""

import copy
import os
import pickle
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import rnn_engine

CELLS = (rnn_engine.LSTM, rnn_engine.MILSTM, rnn_engine.LayerNormLSTM, rnn_engine.LayerNormMILSTM)


def pair(**options):
    """Our layer and torch's, in float64, with the same weights."""
    arguments = {"input_size": 5, "hidden_size": 7} | options
    torch.manual_seed(1)
    ours = rnn_engine.LSTM(**arguments).double()
    torch.manual_seed(1)
    theirs = nn.LSTM(**arguments).double()
    return ours, theirs


def assert_same(ours, theirs):
    """Compares whatever nested tuples of tensors a layer returns."""
    if isinstance(theirs, torch.Tensor):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    elif theirs is not None:
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)


OPTIONS = [
    {},
    {"num_layers": 3},
    {"bias": False},
    {"bidirectional": True, "num_layers": 2},
    {"batch_first": True, "num_layers": 2},
    {"proj_size": 3, "num_layers": 2},
    {"proj_size": 6, "bidirectional": True, "num_layers": 3, "bias": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_state_dict_is_torchs(options):
    ours, theirs = pair(**options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), f"{name}: the same seed must draw the same weights"
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    assert [[p.shape for p in pseudo_layer] for pseudo_layer in ours.all_weights] == [
        [p.shape for p in pseudo_layer] for pseudo_layer in theirs.all_weights
    ]
    assert ours.extra_repr() == theirs.extra_repr()


@pytest.mark.parametrize("states", [False, True], ids=["no states", "states"])
@pytest.mark.parametrize("form", ["batched", "unbatched", "strided", "sorted", "unsorted"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_call_and_gradients_are_torchs(options, form, states):
    ours, theirs = pair(**options)
    pseudo_layers = ours.spec.pseudo_layers
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(2)
        batch_first = options.get("batch_first", False)
        x = torch.randn((4, 6, 5) if batch_first else (6, 4, 5), dtype=torch.float64)
        if form == "strided":
            x = torch.randn(*x.shape[:2], 10, dtype=torch.float64)[..., ::2]
        widths = (options.get("proj_size", 7), 7)
        hx = [torch.randn(pseudo_layers, 4, width, dtype=torch.float64) for width in widths] if states else None
        if form == "unbatched":
            x = x[0] if batch_first else x[:, 0]
            hx = [s[:, 0] for s in hx] if states else None
        leaves = [x.requires_grad_(), *([s.requires_grad_() for s in hx] if states else [])]
        given = x
        if form in ("sorted", "unsorted"):
            lengths = torch.tensor([6, 5, 3, 1] if form == "sorted" else [3, 6, 1, 5])
            given = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=form == "sorted")
        output = layer(given, tuple(hx) if states else None)
        y, (hn, cn) = output
        layout = ()
        if form in ("sorted", "unsorted"):
            layout = tuple(y)[1:]
            y, _ = pad_packed_sequence(y, batch_first)
        loss = (y * torch.randn_like(y)).sum() + (hn * torch.randn_like(hn)).sum() + (cn**2).sum()
        gradients = torch.autograd.grad(loss, [*leaves, *layer.parameters()])
        results.append((y, hn, cn, gradients, layout))
    assert_same(*results)


@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck(cell):
    torch.manual_seed(3)
    layer = cell(3, 4, 2, bidirectional=True).double()
    inputs = [torch.randn(3, 2, 3), torch.randn(4, 2, 4), torch.randn(4, 2, 4)]
    inputs = [i.double().requires_grad_() for i in inputs]

    def flat(x, h0, c0, *parameters):
        y, (hn, cn) = layer(x, (h0, c0))
        return y, hn, cn

    assert torch.autograd.gradcheck(flat, (*inputs, *layer.parameters()))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies_are_layers_of_their_own(cell, clone):
    layer, x = cell(3, 4, 2, bidirectional=True), torch.randn(5, 2, 3)
    twin = clone(layer)
    assert torch.equal(twin(x)[0], layer(x)[0])
    with torch.no_grad():
        twin.weight_ih_l0.zero_()
    assert not torch.equal(twin(x)[0], layer(x)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_without_gradients_the_same_bits(cell):
    layer = cell(5, 9, 3, bidirectional=True)
    packed = pack_sequence([torch.randn(n, 5) for n in (3, 60, 1, 20)], enforce_sorted=False)
    with_gradients, states = layer(packed)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            without, others = layer(packed)
        assert torch.equal(without.data, with_gradients.data)
        assert all(torch.equal(a, b) for a, b in zip(states, others, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_does_not_depend_on_its_batch(cell):
    layer = cell(5, 9, 2, bidirectional=True)
    sequences = [torch.randn(n, 5) for n in (4, 17, 1, 9, 9)]
    together, _ = pad_packed_sequence(layer(pack_sequence(sequences, enforce_sorted=False))[0])
    for row, sequence in enumerate(sequences):
        assert torch.equal(layer(sequence)[0], together[: len(sequence), row])


@pytest.mark.parametrize("cell", CELLS)
def test_a_graph_can_be_walked_twice(cell):
    """Backward writes over what forward kept; with retain_graph the second walk must not read that."""
    layer, x = cell(3, 8, 2), torch.randn(4, 3, 3, requires_grad=True)
    y = layer(x)[0]
    first = torch.autograd.grad(y.sum(), [x, *layer.parameters()], retain_graph=True)
    second = torch.autograd.grad(y.sum(), [x, *layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_double_backward_is_refused():
    layer, x = rnn_engine.LSTM(3, 4), torch.randn(4, 3, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


def test_dropout_is_repeatable_scaled_and_off_in_evaluation():
    layer, x = rnn_engine.LSTM(6, 50, 2, dropout=0.5), torch.randn(20, 30, 6)
    torch.manual_seed(5)
    first = layer(x)[0]
    torch.manual_seed(5)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x)[0], first)
    layer.eval()
    plain = rnn_engine.LSTM(6, 50, 2)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x)[0], plain(x)[0])


def test_dropping_everything_is_torchs():
    ours, theirs = pair(num_layers=2, dropout=1.0)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    assert_same(ours(x), theirs(x))


def test_only_wanted_gradients_are_made():
    layer = rnn_engine.LSTM(3, 4)
    layer.weight_hh_l0.requires_grad_(False)
    layer(torch.randn(4, 3, 3))[0].sum().backward()
    assert layer.weight_hh_l0.grad is None
    assert layer.weight_ih_l0.grad is not None


def test_gradients_of_states_alone():
    ours, theirs = pair(num_layers=2)
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    gradients = []
    for layer in (ours, theirs):
        layer(x)[1][0].sum().backward()
        gradients.append([p.grad for p in layer.parameters()])
    assert_same(*gradients)


def test_calls_from_many_threads_at_once():
    layer, x = rnn_engine.MILSTM(8, 33, 2), torch.randn(30, 16, 8)
    expected, results = layer(x)[0], {}

    def work(index):
        y = layer(x)[0]
        y.sum().backward()
        results[index] = torch.equal(y, expected)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(results.values())
    assert len(results) == 6


def test_after_a_fork():
    layer, x = rnn_engine.LSTM(8, 33), torch.randn(30, 16, 8)
    with torch.no_grad():
        expected = layer(x)[0]
        child = os.fork()
        if child == 0:
            os._exit(0 if torch.equal(layer(x)[0], expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


ERRORS = {
    "proj_size": (lambda: rnn_engine.LSTM(3, 4, proj_size=4), r"proj_size: expected less than hidden_size = 4, got 4"),
    "widths": (lambda: rnn_engine.LSTM(3, (4, 5), 3), r"hidden_size: expected one for each of 3 layers, got 2"),
    "memory": (lambda: rnn_engine.LSTM(3, 4, memory="some"), r"memory: expected store, .* such as 256MiB, got 'some'"),
    "budget": (
        lambda: rnn_engine.LSTM(3, 4, memory="1kB")(torch.zeros(9, 8, 3)),
        r"memory: expected store, .* got '1kB'",
    ),
    "schedule": (
        lambda: rnn_engine.LSTM(3, 4, schedule="diagonal"),
        r"schedule: expected one of auto, layers, wavefront, got 'diagonal'",
    ),
    "schedule of a call": (
        lambda: rnn_engine.LSTM(3, 4)(torch.zeros(9, 8, 3), schedule="rows"),
        r"schedule: expected one of auto, layers, wavefront, got 'rows'",
    ),
    "small budget": (
        lambda: rnn_engine.LSTM(3, 4, memory=1000)(torch.zeros(9, 8, 3)),
        r"memory: expected at least \d+ bytes for T = 9, B = 8, got 1000; not even a batch of 1 would fit",
    ),
    "stepper": (lambda: rnn_engine.LSTM(3, 4, bidirectional=True).stepper(), r"stepper: expected a one-directional"),
    "step width": (
        lambda: rnn_engine.LSTM(3, 4).stepper()(torch.zeros(2, 4)),
        r"x: expected \[B, I\].* I = 3, got \[2, 4\]",
    ),
    "windows": (
        lambda: next(rnn_engine.LSTM(3, 4).windows(torch.zeros(9, 2, 3), 0)),
        r"steps: expected at least 1, got 0",
    ),
    "one state": (
        lambda: rnn_engine.LSTM(3, (4, 5), 2)(torch.zeros(2, 2, 3), (torch.zeros(2, 2, 4), torch.zeros(2, 2, 4))),
        r"h0: expected a sequence of L = 2 arrays.* got one array",
    ),
    "hidden_size": (lambda: rnn_engine.LSTM(3, 0), r"hidden_size: expected at least 1, got 0"),
    "dropout": (lambda: rnn_engine.LSTM(3, 4, 2, dropout=1.5), r"dropout: expected a probability"),
    "recurrent dropout": (
        lambda: rnn_engine.LSTM(3, 4, recurrent_dropout=-0.1),
        r"recurrent_dropout: expected a probability in \[0, 1\], got -0.1",
    ),
    "zoneout": (lambda: rnn_engine.LSTM(3, 4, zoneout=(0.1, 2.0)), r"zoneout of h: expected a probability .* got 2.0"),
    "layer dtype": (lambda: rnn_engine.LSTM(3, 4, dtype=torch.int8), r"dtype: expected torch.float32"),
    "width": (
        lambda: rnn_engine.LSTM(3, 4)(torch.zeros(2, 2, 5)),
        r"input: expected last dimension I = 3, got \[2, 2, 5\]",
    ),
    "dimensions": (lambda: rnn_engine.LSTM(3, 4)(torch.zeros(3)), r"input: expected 2 or 3 dimensions, got 1"),
    "dtype": (lambda: rnn_engine.LSTM(3, 4)(torch.zeros(2, 2, 3).double()), r"input: expected torch.float32"),
    "half": (lambda: rnn_engine.LSTM(3, 4).half()(torch.zeros(2, 2, 3).half()), r"weights: expected torch.float32"),
    "no steps": (lambda: rnn_engine.LSTM(3, 4)(torch.zeros(0, 2, 3)), r"at least one step and one sequence"),
    "states": (
        lambda: rnn_engine.LSTM(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 3, 4), torch.zeros(1, 2, 4))),
        r"h0: expected \[L\*D, B, H\] = \[1, 2, 4\], got \[1, 3, 4\]",
    ),
    "state dimensions": (
        lambda: rnn_engine.LSTM(3, 4)(torch.zeros(2, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))),
        r"h0: expected \[L\*D, H\] = \[1, 4\], got \[1, 1, 4\]",
    ),
}


@pytest.mark.parametrize(("work", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_was_expected(work, message):
    with pytest.raises(ValueError, match=message):
        work()


def test_dropout_without_effect_warns():
    with pytest.warns(UserWarning, match="num_layers=1"):
        rnn_engine.LSTM(3, 4, dropout=0.5)


def test_layers_of_different_widths_are_those_layers_one_after_the_other():
    torch.manual_seed(6)
    whole = rnn_engine.MILSTM(3, (5, 9, 4), 3, bidirectional=True).double()
    widths = (3, 10, 18)
    single = [rnn_engine.MILSTM(i, h, bidirectional=True).double() for i, h in zip(widths, (5, 9, 4), strict=True)]
    for layer, part in enumerate(single):
        part.load_state_dict({n: whole.state_dict()[n.replace("_l0", f"_l{layer}")] for n in part.state_dict()})
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    hx = tuple(tuple(torch.randn(2, 2, h, dtype=torch.float64) for h in (5, 9, 4)) for _ in range(2))
    results = []
    for memory in ("store", "recompute"):
        given = x.clone().requires_grad_()
        y, (hn, cn) = whole(given, hx, memory=memory)
        results.append((y, hn, cn, torch.autograd.grad(y.sum() + cn[1].sum(), [given, *whole.parameters()])))
    given, last = x.clone().requires_grad_(), []
    y = given
    for part, h0, c0 in zip(single, *hx, strict=True):
        y, state = part(y, (h0, c0))
        last.append(state)
    parameters = [p for part in single for p in part.parameters()]
    gradients = torch.autograd.grad(y.sum() + last[1][1].sum(), [given, *parameters])
    expected = (y, [h for h, _ in last], [c for _, c in last], gradients)
    for result in results:
        assert_same(result, expected)


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2, "proj_size": 3}], ids=str)
def test_cell_states_steps_windows_and_last_states(options):
    torch.manual_seed(7)
    layer = rnn_engine.LSTM(5, 7, **options)
    x = torch.randn(3, 6, 5) if options.get("batch_first") else torch.randn(6, 3, 5)
    y, (hn, cn), cells = layer(x, return_cell_states=True)
    steps, axis = (x.transpose(0, 1), 1) if options.get("batch_first") else (x, 0)
    stepper, state = layer.stepper(), None
    for t, step in enumerate(steps):
        output, state = stepper(step, state)
        assert torch.equal(output, y.select(axis, t))
        assert torch.equal(state[1][-1], cells.select(axis, t))
    assert torch.equal(state[0], hn)
    assert torch.equal(state[1], cn)
    both, after = stepper(steps[:2], None)
    assert torch.equal(both, y.narrow(axis, 0, 2) if axis == 0 else y[:, :2].transpose(0, 1))
    assert torch.equal(stepper(steps[2:], after)[1][0], hn)

    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            nothing, (h, c) = layer(x, last_state_only=True)
        assert nothing is None
        assert torch.equal(h, hn)
        assert torch.equal(c, cn)
    layer(x, last_state_only=True)[1][0].sum().backward()
    of_states = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(x)[1][0].sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(of_states, layer.parameters(), strict=True))

    layer.zero_grad()
    pieces = []
    for window, _ in layer.windows(x, 4):
        pieces.append(window)
        window.sum().backward()
    assert torch.equal(torch.cat(pieces, axis), y)
    truncated = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    first, state = layer(x.narrow(axis, 0, 4))
    first.sum().backward()
    layer(x.narrow(axis, 4, 2), tuple(s.detach() for s in state))[0].sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(truncated, layer.parameters(), strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck_of_projections_and_cell_states(cell):
    torch.manual_seed(8)
    layer = cell(3, 5, 2, proj_size=2).double()
    inputs = [torch.randn(4, 2, 3), torch.randn(2, 2, 2), torch.randn(2, 2, 5)]
    inputs = [i.double().requires_grad_() for i in inputs]

    def flat(x, h0, c0, *parameters):
        y, (hn, cn), cells = layer(x, (h0, c0), return_cell_states=True, memory="checkpoint")
        return y, hn, cn, cells

    assert torch.autograd.gradcheck(flat, (*inputs, *layer.parameters()))


def test_memory_can_be_asked_for_in_words():
    assert rnn_engine.Memory.parse("1.5 MiB") == rnn_engine.Memory("budget", 1572864)
    assert rnn_engine.Memory.parse("2kB".replace("k", "K")) == rnn_engine.Memory("budget", 2000)
    assert rnn_engine.Memory.parse(77) == rnn_engine.Memory("budget", 77)
    assert "memory=recompute" in repr(rnn_engine.LSTM(3, 4, memory="recompute"))
