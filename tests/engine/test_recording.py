"""Whatever records a call, to run it again: a graph computes what the layer does.

It does so for other values, sizes and weights too. What is right is said by the layer, called as it stands.
"""

import io

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves
from transforms import (
    CELLS,
    FunctionsWatched,
    Model,
    Plain,
    Watched,
    assert_same,
    batch,
    each_cell,
    in_mode,
    results_of,
)

import rnn_engine

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def traced(model, given):
    return torch.jit.trace(model, tuple(given))


def traced_without_gradients(model, given):
    with torch.no_grad():
        return torch.jit.trace(model, tuple(given))


def saved_and_loaded(model, given):
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, tuple(given)), file)
    file.seek(0)
    return torch.jit.load(file)


def compiled(model, given):
    torch._dynamo.reset()
    return torch.compile(model, backend="eager", fullgraph=True)


def compiled_ahead(model, given):
    torch._dynamo.reset()
    return torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)


def exported(model, given):
    return torch.export.export(model, tuple(given)).module()


def functionally(model, given):
    def run(*given):
        return functional_call(model, dict(model.named_parameters()), given)

    return run


WAYS = (
    traced,
    traced_without_gradients,
    saved_and_loaded,
    compiled,
    compiled_ahead,
    exported,
    functionally,
    in_mode(Watched),
    in_mode(FunctionsWatched),
)


SLOW = (compiled, compiled_ahead, exported)
CALLS = [(name, way, states) for name in CELLS for way in WAYS for states in (False, True)]
CALLS = [
    (name, way, states)
    for name, way, states in CALLS
    if way not in SLOW or (name, states) in (("two", True), ("gru", False))
]


@pytest.mark.parametrize(("name", "way", "states"), CALLS)
def test_recorded_calls(name, way, states):
    """The same outputs and gradients; and, of graphs, for other values too."""
    model = Model(CELLS[name](), return_cell_states=True)
    given = batch(model.layer, states=states)
    run = way(model, given)
    # An exported module has parameters of its own, under the same names.
    parameters = dict((run if isinstance(run, nn.Module) else model).named_parameters())
    ours = list(model.parameters())
    for arguments in (given, batch(model.layer, states=states)):
        found = results_of(run, arguments, list(parameters.values()))
        assert_same(found, results_of(model, arguments, ours))


@pytest.mark.parametrize(("name", "way"), [*((name, traced) for name in CELLS), ("two", compiled_ahead)])
def test_graphs_take_other_sizes_and_weights(name, way):
    model = Model(CELLS[name]())
    run = way(model, batch(model.layer))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    for sizes in ((9, 4), (2, 1)):
        given = batch(model.layer, *sizes)
        assert_same(results_of(run, given, run.parameters()), results_of(model, given, model.parameters()))
    with pytest.raises(Exception, match="expected last dimension I = 3"):
        run(torch.randn(5, 2, 4))


def test_exported_programs_take_other_sizes():
    model = Plain(rnn_engine.LSTM(3, 4, 2, bidirectional=True))
    steps, size = torch.export.Dim("steps"), torch.export.Dim("size")
    program = torch.export.export(model, (torch.randn(5, 2, 3),), dynamic_shapes={"x": {0: steps, 1: size}})
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    x = torch.randn(7, 3, 3)
    assert_same(tree_leaves(torch.export.load(file).module()(x)), tree_leaves(model(x)))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_recorded_dropout_draws_anew_and_repeatably(way):
    """Also in its gradient, which is that of the masks that were drawn."""
    if way in (traced, traced_without_gradients, saved_and_loaded):  # torch's check of the trace would draw again
        way = lambda model, given: torch.jit.trace(model, tuple(given), check_trace=False)  # noqa: E731
    model = Model(rnn_engine.LSTM(3, 40, 2, dropout=0.5, recurrent_dropout=0.2, zoneout=(0.1, 0.1)))
    given = batch(model.layer)
    run = way(model, given)
    torch.manual_seed(1)
    first = results_of(run, given, ())
    torch.manual_seed(1)
    assert_same(results_of(run, given, ()), first)
    torch.manual_seed(1)
    assert_same(results_of(model, given, ()), first)


def test_every_call_of_a_graph_draws_masks_of_its_own():
    model = Model(rnn_engine.LSTM(3, 40, 2, dropout=0.5))
    x = torch.randn(5, 2, 3)
    for run in (torch.jit.trace(model, (x,), check_trace=False), compiled_ahead(model, (x,)), exported(model, (x,))):
        assert not torch.equal(run(x)[0], run(x)[0])


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
@each_cell
def test_make_fx(name, mode):
    model = Model(CELLS[name](), last_state_only=True)
    given = batch(model.layer)

    def run(parameters, x):
        outputs = functional_call(model, parameters, (x,))
        total = sum(output.square().sum() for output in outputs)
        return outputs, torch.autograd.grad(total, [x, *parameters.values()])

    parameters = dict(model.named_parameters())
    graph = make_fx(run, tracing_mode=mode)(parameters, *given)
    others = batch(model.layer, *((6, 3) if mode == "symbolic" else ()))
    assert "rnn_engine.stack_backward" in graph.code
    assert_same(tree_leaves(graph(parameters, *others)), tree_leaves(run(parameters, *others)))


@each_cell
def test_symbolic_traces(name):
    model = Plain(CELLS[name]())
    graph = torch.fx.symbolic_trace(model)
    (x,) = batch(model.layer)
    assert_same(tree_leaves(graph(x)), tree_leaves(model(x)))


def test_a_symbolic_trace_of_the_layer_alone_is_refused():
    with pytest.raises(TypeError, match=r"symbolic_trace: expected a module that calls the layer"):
        torch.fx.symbolic_trace(rnn_engine.LSTM(3, 4))


@each_cell
def test_scripts_are_refused(name):
    for module in (CELLS[name](), nn.Sequential(CELLS[name]())):
        with pytest.raises(RuntimeError, match=r"rnn_engine\.\w+: torch.jit.script is not supported; torch.jit.trace"):
            torch.jit.script(module)


@pytest.mark.parametrize("theirs", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("form", ["lengths", "packed", "sorted"])
def test_lengths(theirs, form):
    """A graph takes other lengths than it was recorded with, as one of torch's layer does."""
    ours = getattr(rnn_engine, theirs.__name__)(3, 4, 2, bidirectional=True)
    torchs = theirs(3, 4, 2, bidirectional=True)
    torchs.load_state_dict(ours.state_dict())

    class Padded(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x, lengths):
            given = pack_padded_sequence(x, lengths, enforce_sorted=form == "sorted")
            y, state = self.layer(given)
            return pad_packed_sequence(y, total_length=x.shape[0])[0], *tree_leaves(state)

    class WithLengths(Padded):
        def forward(self, x, lengths):
            y, state = self.layer(x, lengths=lengths)
            return y, *tree_leaves(state)

    run, expected = WithLengths(ours) if form == "lengths" else Padded(ours), Padded(torchs)
    x = torch.randn(6, 3, 3)
    graph = torch.jit.trace(run, (x, torch.tensor([6, 4, 1])))
    for lengths in (torch.tensor([5, 3, 2]), torch.tensor([4, 4, 4])):
        assert_same(graph(x, lengths), expected(x, lengths))
    if form == "lengths":
        torch._dynamo.reset()
        lengths = torch.tensor([2, 5, 6])
        assert_same(torch.compile(run, backend="aot_eager")(x, lengths), run(x, lengths))
        assert_same(in_mode(FunctionsWatched)(run, ())(x, [3, 6, 2]), run(x, [3, 6, 2]))


def test_autocast_is_recorded():
    """The graph computes in the type that autocast asked for, wherever it is run."""
    model = Model(rnn_engine.LSTM(3, 4))
    given = batch(model.layer)
    with torch.autocast("cpu", torch.bfloat16):
        expected = results_of(model, given, model.parameters())
        graph = torch.jit.trace(model, tuple(given))
        ahead = compiled_ahead(model, given)
        found = results_of(ahead, given, model.parameters())
    assert expected[0].dtype == torch.bfloat16
    assert_same(results_of(graph, given, model.parameters()), expected)
    assert_same(found, expected)


def test_steppers_are_not_recorded():
    stepper, x = rnn_engine.LSTM(3, 4).stepper(), torch.randn(2, 3)
    torch._dynamo.reset()
    assert torch.equal(torch.compile(lambda x: stepper(x)[0] + 1, backend="eager")(x), stepper(x)[0] + 1)
    for way in (
        lambda: torch.jit.trace(stepper.__call__, (x,)),
        lambda: make_fx(stepper)(x),
        lambda: vmap(stepper)(x[None]),
    ):
        with pytest.raises(RuntimeError, match="Stepper: expected a call of its own, got one that is recorded"):
            way()


LOSS_WAYS = {
    "traced": torch.jit.trace,
    "compiled": lambda run, given: torch.compile(run, backend="eager", fullgraph=True),
    "ahead": lambda run, given: torch.compile(run, backend="aot_eager", fullgraph=True, dynamic=True),
    "fx": lambda run, given: make_fx(run, tracing_mode="symbolic")(*given),
    "watched": in_mode(Watched),
}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("way", LOSS_WAYS)
def test_recorded_losses(way, bias, reduction):
    def run(hidden, weight, targets, *bias):
        options = {"label_smoothing": 0.1, "reduction": reduction}
        result = rnn_engine.linear_cross_entropy(hidden, weight, targets, *bias, **options)
        return result.loss * 2, result.nll, result.target_is_argmax

    def given(tokens):
        shapes = [(tokens, 4), (7, 4), (7,)][: 2 + bias]
        hidden, weight, *rest = (torch.randn(shape, requires_grad=True) for shape in shapes)
        return hidden, weight, torch.randint(7, (tokens,)).index_fill(0, torch.tensor([1]), -100), *rest

    torch._dynamo.reset()
    graph = LOSS_WAYS[way](run, given(5))
    for tokens in (5, 9):
        arguments = given(tokens)
        leaves = [each for each in arguments if each.requires_grad]
        found, expected = graph(*arguments), run(*arguments)
        assert not found[1].requires_grad
        gradients = [torch.autograd.grad(each[0], leaves) for each in (found, expected)]
        assert_same([*found, *gradients[0]], [*expected, *gradients[1]])
