"""Whatever transforms a call: the result is right, or there is one clear error."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map_only
from transforms import (
    CELLS,
    Model,
    Watched,
    assert_same,
    batch,
    each_cell,
)

import rnn_engine

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@each_cell
def test_vmap(name):
    """Over inputs, over models, over both; each alone gives the same."""
    model, other = (Model(CELLS[name]()) for _ in range(2))
    xs = torch.stack([batch(model.layer)[0] for _ in range(2)], 1)
    models = [dict(model.named_parameters()), dict(other.named_parameters())]
    stacked = {key: torch.stack([each[key] for each in models]) for key in models[0]}

    def run(parameters, x):
        return functional_call(model, parameters, (x,))

    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            for dims in ((None, 1), (0, None), (0, 1)):
                found = vmap(run, dims)(models[0] if dims[0] is None else stacked, xs if dims[1] else xs[:, 0])
                for index in range(2):
                    parameters = models[index if dims[0] == 0 else 0]
                    expected = run(parameters, xs[:, index if dims[1] else 0])
                    assert_same([each[index] for each in found], expected)


def test_vmap_draws_as_it_is_told():
    layer = rnn_engine.LSTM(3, 40, 2, dropout=0.5)
    xs = torch.randn(1, 5, 2, 3).expand(2, 5, 2, 3)
    run = lambda x: layer(x)[0]  # noqa: E731
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(run)(xs)
    first, second = vmap(run, randomness="different")(xs)
    assert not torch.equal(first, second)
    assert torch.equal(*vmap(run, randomness="same")(xs))


@each_cell
def test_gradients_by_transforms(name):
    """grad, jacrev, and vmap of grad: gradients of each sample by itself."""
    model = Model(CELLS[name]())
    parameters = {key: p.detach() for key, p in model.named_parameters()}
    x = batch(model.layer)[0].detach()

    def loss(parameters, x):
        return sum(output.square().sum() for output in functional_call(model, parameters, (x,)))

    def expected(x):
        leaves = {key: p.clone().requires_grad_() for key, p in parameters.items()}
        x = x.clone().requires_grad_()
        return torch.autograd.grad(loss(leaves, x), [*leaves.values(), x])

    of_parameters, of_x = grad(loss, argnums=(0, 1))(parameters, x)
    assert_same([*of_parameters.values(), of_x], expected(x))
    assert_same([jacrev(loss, argnums=1)(parameters, x)], [of_x])
    xs = torch.stack([x, x.cos()])
    by_sample = vmap(grad(loss), (None, 0))(parameters, xs)
    for index in range(2):
        assert_same([each[index] for each in by_sample.values()], expected(xs[index])[:-1])
    single = Model(CELLS[name](), last_state_only=True)
    first = lambda x: single(x)[0].sum(tuple(range(single(x)[0].dim() - 1)))  # noqa: E731
    assert_same([jacrev(first)(x)], [jacobian(first, x)])


def refusals():
    layer, x = rnn_engine.LSTM(3, 4), torch.randn(5, 2, 3)
    hidden, weight, targets = torch.randn(5, 4), torch.randn(7, 4), torch.arange(5)
    total = lambda x: layer(x)[0].square().sum()  # noqa: E731
    loss = lambda hidden: rnn_engine.linear_cross_entropy(hidden, weight, targets).loss  # noqa: E731
    forward = "forward-mode differentiation .* is not supported"
    twice = r"the gradient of a gradient .* is not supported"

    def dual(run, x):
        with forward_ad.dual_level(), torch.no_grad():
            run(forward_ad.make_dual(x, x))

    def at_once(run, x):
        x = x.clone().requires_grad_()
        out = run(x)
        torch.autograd.grad(out, x, torch.ones(2, *out.shape), is_grads_batched=True)

    def recorded_backward(run, x):
        x = x.clone().requires_grad_()
        out = run(x)
        make_fx(lambda above: torch.autograd.grad(out, x, above))(torch.ones_like(out))

    ways = {
        "jvp": (lambda run, x: jvp(run, (x,), (x,)), NotImplementedError, forward),
        "dual": (dual, NotImplementedError, forward),
        "hessian": (hessian, RuntimeError, twice),
        "jacrev of jacrev": (lambda run, x: jacrev(jacrev(run))(x), RuntimeError, twice),
        "grad of grad": (lambda run, x: grad(lambda x: grad(run)(x).sum())(x), RuntimeError, twice),
        "jacfwd of jacrev": (lambda run, x: torch.func.hessian(run)(x), NotImplementedError, forward),
        "at once": (at_once, RuntimeError, "many backward passes at once"),
        "vectorised": (lambda run, x: jacobian(run, x, vectorize=True), RuntimeError, "many backward passes at once"),
        "recorded backward": (recorded_backward, RuntimeError, "a backward pass is being recorded"),
    }
    works = {"layer": (total, x), "loss": (loss, hidden)}
    return {f"{way}, {what}": (*ways[way], *works[what]) for way in ways for what in works}


@pytest.mark.parametrize(("way", "error", "message", "run", "x"), refusals().values(), ids=refusals())
def test_what_has_no_gradient_is_refused(way, error, message, run, x):
    with pytest.raises(error, match=message):
        way(run, x)


def test_what_has_no_tangent_needs_none():
    """A frozen layer beside others in a forward-mode derivative."""
    layer, x, other = rnn_engine.LSTM(3, 4), torch.randn(5, 2, 3), torch.randn(5, 2, 4)
    value, tangent = jvp(lambda other: (layer(x)[0] * other).sum(), (other,), (torch.ones_like(other),))
    torch.testing.assert_close(value, (layer(x)[0] * other).sum())
    torch.testing.assert_close(tangent, layer(x)[0].sum())


@each_cell
def test_tensors_without_values(name):
    """Fake tensors and the meta device: shapes, types and strides are those of a call."""
    for options in ({}, {"return_cell_states": True}, {"last_state_only": True}):
        model = Model(CELLS[name](), **options)
        given = batch(model.layer, states=True)
        expected = [(each.shape, each.dtype, each.is_contiguous()) for each in recorded(model, given)]
        meta = copy.deepcopy(model).to("meta")(*(each.to("meta") for each in given))
        assert [(each.shape, each.dtype, each.is_contiguous()) for each in meta] == expected
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = model(*map(mode.from_tensor, given))
        assert [(each.shape, each.dtype, each.is_contiguous()) for each in fake] == expected


def recorded(model, given):
    with Watched() as mode:
        outputs = model(*given)
    assert len(mode.arguments) == 1
    return outputs


@each_cell
def test_the_operator_keeps_torchs_rules(name):
    """torch's own checks: schema, no aliases, shapes without values, gradients, dynamic shapes ahead of time."""
    layer = CELLS[name]()
    with Watched() as mode:
        layer(*batch(layer))
    ((tensors, *words),) = mode.arguments
    tensors = [each.detach().requires_grad_() for each in tensors]
    torch.library.opcheck(torch.ops.rnn_engine.stack.default, (tensors, *words))


class Wrapped(torch.Tensor):
    """A tensor around another: its own memory is none."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device, requires_grad=inner.requires_grad
        )

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        unwrapped = tree_map_only(Wrapped, lambda each: each.inner, (args, kwargs or {}))
        return tree_map_only(torch.Tensor, Wrapped, func(*unwrapped[0], **unwrapped[1]))


class Tagged(torch.Tensor):
    """A subclass without rules of its own."""


@each_cell
def test_subclasses(name):
    model = Model(CELLS[name](), return_cell_states=True)
    (x,) = batch(model.layer)
    x, expected = x.detach(), model(x)
    found = model(Wrapped(x))
    assert all(type(each) is Wrapped for each in found)
    assert_same([each.inner for each in found], expected)
    parameters = {key: Wrapped(p.detach()) for key, p in model.named_parameters()}
    assert_same([each.inner for each in functional_call(model, parameters, (x,))], expected)
    tagged = model(x.as_subclass(Tagged))
    assert all(type(each) is Tagged for each in tagged)
    assert_same([each.as_subclass(torch.Tensor) for each in tagged], expected)


def test_losses_by_transforms():
    hidden, weight, bias, targets = torch.randn(2, 5, 4), torch.randn(7, 4), torch.randn(7), torch.randint(7, (2, 5))
    loss = lambda h, w, b, t: rnn_engine.linear_cross_entropy(h, w, t, b).loss  # noqa: E731
    plain = lambda h, w, b, t: nn.functional.cross_entropy(nn.functional.linear(h, w, b), t)  # noqa: E731
    dims = (0, None, None, 0)
    for run in (lambda f: f, lambda f: grad(f, argnums=(0, 1, 2))):
        found, expected = (tree_leaves(vmap(run(f), dims)(hidden, weight, bias, targets)) for f in (loss, plain))
        assert_same(found, expected)


def test_what_a_loss_keeps_is_seen_by_checkpoints():
    hidden, weight = torch.randn(5, 4, requires_grad=True), torch.randn(700, 4, requires_grad=True)
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = rnn_engine.linear_cross_entropy(hidden, weight, torch.arange(5)).loss
    assert sum(tensor.shape == weight.shape for tensor in kept) == 2  # with its gradient
    first, second = (torch.autograd.grad(3 * loss, [hidden, weight], retain_graph=True) for _ in range(2))
    assert_same(first, second)
