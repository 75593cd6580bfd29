"""What torch's users do to a layer's tensors beside calling it, as they do it with torch.nn.LSTM: change outputs in
place, put other tensors in the place of parameters, checkpoint, change what backward needs."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import rnn_engine

CELLS = (rnn_engine.LSTM, rnn_engine.MILSTM, rnn_engine.LayerNormLSTM, rnn_engine.LayerNormMILSTM, rnn_engine.GRU)
TWINS = {nn.LSTM: rnn_engine.LSTM, nn.GRU: rnn_engine.GRU}
OPTIONS = (
    {},
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"hidden_size": (4, 6), "num_layers": 2},
    {"dtype": torch.bfloat16, "hidden_size": 512, "batch_first": True},  # large: from the pool of blocks
)
FORMS = ("dense", "lengths", "packed", "equally packed", "unbatched")


def leaves_of(result):
    """The tensors of a result, states of layers of different widths too."""
    if isinstance(result, torch.Tensor):
        return [result]
    parts = [result.data] if isinstance(result, PackedSequence) else result
    return [leaf for part in parts for leaf in leaves_of(part)]


def call(layer, form, x):
    """All tensors that a call returns, of a batch [T, B, I]."""
    if form == "unbatched":
        return leaves_of(layer(x[:, 0], return_cell_states=True))
    given = x.transpose(0, 1) if layer.batch_first else x
    if form == "lengths":
        return leaves_of(layer(given, lengths=[3, 5, 1, 5], return_cell_states=True))
    if "packed" in form:
        lengths = [5] * 4 if form == "equally packed" else [3, 5, 1, 5]
        given = pack_padded_sequence(given, torch.tensor(lengths), layer.batch_first, enforce_sorted=False)
    return leaves_of(layer(given, return_cell_states=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_what_a_call_returns_is_nobodys_view(cell, options, form):
    """So detach_ and changes in place work, and changing one tensor changes no other."""
    layer = cell(3, **{"hidden_size": 4} | options)
    x = torch.randn(5, 4, 3, dtype=options.get("dtype"), requires_grad=True)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            results = call(layer, form, x)
            kept = [result.detach().clone() for result in results]
            for index, result in enumerate(results):
                assert not result._is_view()
                result.mul_(2)
                result.detach_()
                assert torch.equal(result, 2 * kept[index])
                assert all(torch.equal(a, b) for a, b in zip(results[index + 1 :], kept[index + 1 :], strict=True))


def test_a_stepper_returns_nobodys_views_either():
    layer = rnn_engine.LSTM(3, (4, 6), 2)
    for x in (torch.randn(4, 3), torch.randn(2, 4, 3)):
        assert not any(result._is_view() for result in leaves_of(layer.stepper()(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_losses_are_nobodys_views(dtype):
    hidden, weight = (torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((5, 4), (7, 4)))
    result = rnn_engine.linear_cross_entropy(hidden, weight, torch.arange(5), reduction="sum")
    expected = result.loss.detach().clone()
    assert not any(each._is_view() for each in result if isinstance(each, torch.Tensor))
    result.loss.div_(2).backward()
    assert torch.equal(result.loss, expected / 2)


def test_a_changed_output_is_noticed_in_backward():
    """The output is needed there; the states are not."""
    layer = rnn_engine.LSTM(3, 4, batch_first=True)
    y, (hn, cn) = layer(torch.randn(2, 5, 3))
    hn.mul_(2)
    cn.zero_()
    (y.sum() + hn.sum()).backward(retain_graph=True)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("what", ["input", "h0", "c0", "weight_ih_l0", "weight_hh_l1", "bias_hh_l0"])
@pytest.mark.parametrize("memory", ["store", "recompute", "checkpoint"])
def test_a_changed_input_is_noticed_in_backward(memory, what):
    layer = rnn_engine.LSTM(3, 4, 2, memory=memory)
    given = {name: torch.randn(shape) for name, shape in (("input", (5, 2, 3)), ("h0", (2, 2, 4)), ("c0", (2, 2, 4)))}
    y, _ = layer(given["input"], (given["h0"], given["c0"]))
    with torch.no_grad():
        given.get(what, getattr(layer, what, None)).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def results_of(layer, x, run=None):
    """Output, states and all gradients of a call; `run` calls the layer in another way."""
    x = x.clone().requires_grad_()
    parameters = list(layer.parameters())
    outputs = leaves_of((run or layer)(x))
    for leaf in [x, *parameters]:
        leaf.grad = None
    sum((output * (index + 1)).square().sum() for index, output in enumerate(outputs)).backward()
    return [*outputs, x.grad, *(parameter.grad for parameter in parameters)]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def weight_normed(layer):
    for name in ("weight_ih_l0", "weight_hh_l1"):
        parametrizations.weight_norm(layer, name)


def weight_normed_the_old_way(layer):
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(layer, "weight_hh_l0")


def orthogonal(layer):
    torch.manual_seed(4)
    parametrizations.orthogonal(layer, "weight_hh_l0", orthogonal_map="cayley")


def spectral(layer):
    torch.manual_seed(4)
    parametrizations.spectral_norm(layer.eval(), "weight_hh_l0")


class Shifted(nn.Module):
    def forward(self, weight):
        return 0.1 + (weight.mT.contiguous().mT if weight.dim() == 2 else weight)  # in another memory format


def parametrized(layer):
    for name in [name for name, _ in layer.named_parameters()]:
        parametrize.register_parametrization(layer, name, Shifted(), unsafe=True)


def pruned(layer):
    torch.manual_seed(4)
    for name in ("weight_ih_l0", "bias_hh_l1"):
        prune.random_unstructured(layer, name, 0.5)


def plain_tensors(layer):
    """As torch.nn.DataParallel's replicas have them."""
    for name, parameter in list(layer.named_parameters()):
        delattr(layer, name)
        setattr(layer, name, parameter.detach().clone())
    layer.weight_ih_l0 = nn.Parameter(layer.weight_ih_l0)


def frozen(layer):
    layer.weight_hh_l0.requires_grad_(False)
    for name in ("weight_hh_l0", "bias_ih_l1"):
        tensor = getattr(layer, name).detach()
        delattr(layer, name)
        layer.register_buffer(name, tensor)


CHANGES = (
    weight_normed,
    weight_normed_the_old_way,
    orthogonal,
    spectral,
    parametrized,
    pruned,
    plain_tensors,
    frozen,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("theirs", TWINS, ids=lambda cell: cell.__name__)
def test_other_tensors_in_the_place_of_parameters(theirs, change):
    """Gradients too, once changed, copied, and loaded."""
    torch.manual_seed(3)
    x, torchs, ours = torch.randn(5, 4, 4), theirs(4, 4, 2), TWINS[theirs](4, 4, 2)
    ours.load_state_dict(torchs.state_dict())
    for layer in (torchs, ours):
        change(layer)
    assert_same(results_of(ours, x), results_of(torchs, x))
    if not change.__name__.startswith(("weight_normed_the_old", "pruned")):  # which torch cannot copy
        assert_same(results_of(copy.deepcopy(ours), x), results_of(torchs, x))
    with torch.no_grad():
        for layer in (torchs, ours):
            for parameter in layer.parameters():
                parameter.mul_(1.5)  # a step of an optimiser
    assert_same(results_of(ours, x), results_of(torchs, x))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_functional_calls(cell):
    """Through an update of the parameters, as in MAML: gradients arrive where the tensors came from."""
    layer, x = cell(3, 4, 2), torch.randn(5, 2, 3)
    start = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters()}
    moved = {name: 2 * p - 1 for name, p in start.items()}
    y, _ = functional_call(layer, moved, (x,))
    found = torch.autograd.grad(y.square().sum(), list(start.values()))
    layer.load_state_dict({name: p.detach() for name, p in moved.items()})
    expected, _ = layer(x)
    assert torch.equal(y, expected)
    gradients = torch.autograd.grad(expected.square().sum(), list(layer.parameters()))
    assert_same(found, [2 * gradient for gradient in gradients])


@pytest.mark.parametrize("memory", ["store", "recompute"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_keep_inputs_alone(reentrant, memory):
    """Whatever a call keeps it keeps in saved tensors, so that torch's checkpoint and hooks see it."""
    layer, x = rnn_engine.LSTM(8, 16, 2, memory=memory, dropout=0.5), torch.randn(20, 4, 8)

    def flat(x):  # reentrant checkpoints do not look into tuples of tuples
        return tuple(leaves_of(layer(x)))

    torch.manual_seed(5)
    expected = results_of(layer, x)
    kept = []

    def pack(tensor):
        kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        torch.manual_seed(5)
        results_of(layer, x, lambda x: checkpoint(flat, x, use_reentrant=reentrant))
        with_checkpoint = sum(kept)
        kept.clear()
        results_of(layer, x)
    plan = rnn_engine.plan(layer, steps=20, batch=4, memory=memory, threads=torch.get_num_threads())
    assert sum(kept) > plan.reserve_bytes
    if not reentrant:
        assert with_checkpoint < sum(kept) - plan.reserve_bytes
    torch.manual_seed(5)
    assert_same(results_of(layer, x, lambda x: checkpoint(flat, x, use_reentrant=reentrant)), expected)


def unaligned(tensor):
    """A copy at an address that is a multiple of the values' size alone."""
    moved = torch.empty(tensor.numel() + 1, dtype=tensor.dtype)[1:].view(tensor.shape)
    return moved.copy_(tensor)


def test_what_is_kept_can_be_elsewhere():
    layer, x = rnn_engine.MILSTM(3, 4, 2), torch.randn(5, 2, 3)
    expected = results_of(layer, x)
    for hooks in (
        torch.autograd.graph.save_on_cpu(),
        torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: unaligned(t.detach())),
    ):
        with hooks:
            assert_same(results_of(layer, x), expected)


@pytest.mark.parametrize("memory", ["store", "recompute", "checkpoint"])
def test_a_graph_can_be_walked_three_times(memory):
    layer, x = rnn_engine.LSTM(3, 4, 2, memory=memory, dropout=0.5), torch.randn(5, 2, 3, requires_grad=True)
    y, _ = layer(x)
    gradients = [torch.autograd.grad(y.sum(), [x, *layer.parameters()], retain_graph=True) for _ in range(3)]
    assert all(torch.equal(a, b) for again in gradients[1:] for a, b in zip(again, gradients[0], strict=True))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
@pytest.mark.parametrize("form", ["dense", "lengths"])
def test_negated_views_are_what_they_say(cell, form):
    """Memory of a view such as a conjugate's imaginary part holds the negated values."""
    layer, x = cell(3, 4), torch.randn(5, 4, 3)
    parameters = {name: torch._neg_view(-p) for name, p in layer.named_parameters()}
    negated = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert negated.is_neg()
    options = {"lengths": [5, 3, 4, 1]} if form == "lengths" else {}
    expected = leaves_of(layer(x, **options))
    assert_same(leaves_of(layer(negated, **options)), expected)
    assert_same(leaves_of(functional_call(layer, parameters, (x,), options)), expected)
    y, _ = layer(x, **options)
    gradients = [
        torch.autograd.grad(y, list(layer.parameters()), upstream, retain_graph=True)
        for upstream in (torch.ones_like(y), torch._neg_view(-torch.ones_like(y)))
    ]
    assert_same(*gradients)


def test_losses_of_negated_views():
    hidden, weight, bias = torch.randn(5, 4), torch.randn(7, 4), torch.randn(7)
    expected = rnn_engine.linear_cross_entropy(hidden, weight, torch.arange(5), bias)
    negated = [torch._neg_view(-each) for each in (hidden, weight, torch.arange(5), bias)]
    assert_same(rnn_engine.linear_cross_entropy(*negated)[:3], expected[:3])


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x[:1].expand(5, 2, 3),
        lambda x: x.flatten().as_strided((5, 2, 3), (3, 1, 2)),
        lambda x: x.flip(0)[::2].repeat_interleave(2, 0)[:5],
        lambda x: x.mT.contiguous().mT,
    ],
    ids=["expanded", "overlapping", "strided", "transposed"],
)
@pytest.mark.parametrize("theirs", TWINS, ids=lambda cell: cell.__name__)
def test_inputs_of_any_strides(theirs, given):
    torchs, ours, x = theirs(3, 4), TWINS[theirs](3, 4), torch.randn(5, 2, 3)
    ours.load_state_dict(torchs.state_dict())
    assert_same(results_of(ours, x, lambda x: ours(given(x))), results_of(torchs, x, lambda x: torchs(given(x))))
    state = torch.randn(1, 1, 4).expand(1, 2, 4)
    hx = state if theirs is nn.GRU else (state, state)
    assert_same(leaves_of(ours(x, hx)), leaves_of(torchs(x, hx)))


def test_names_are_listed_and_described():
    assert {*rnn_engine.__all__, "__version__"} <= {*dir(rnn_engine)}
    layer = rnn_engine.LSTM(3, 4, proj_size=2)
    arrays = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    shown = [rnn_engine.plan(layer, steps=7, batch=2), layer.stepper(), rnn_engine.Stack(layer.spec, arrays)]
    for each in shown:
        assert f"<{type(each).__name__}: lstm I=3 H=4 L=1 D=1 P=2, " in repr(each)
    assert "T=7 B=2" in repr(shown[0])
    assert "kept" in repr(shown[0])


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
@pytest.mark.parametrize(
    ("work", "hint"),
    [
        (lambda cell: cell(3, 4, num_layer=2), "there is no argument num_layer; did you mean num_layers?"),
        (lambda cell: cell(3, 4, birectional=True), "there is no argument birectional; did you mean bidirectional?"),
        (lambda cell: cell(3, 4, qqq=1), "there is no argument qqq; expected input_size, hidden_size, num_layers, "),
        (lambda cell: cell(3, 4)(torch.zeros(2, 2, 3), length=[2, 2]), "no argument length; did you mean lengths?"),
    ],
)
def test_arguments_with_a_wrong_name(cell, work, hint):
    with pytest.raises(TypeError) as caught:
        work(cell)
    assert str(caught.value).startswith(f"{cell.__name__}: ")
    assert hint in str(caught.value)
