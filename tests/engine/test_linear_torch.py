"""`linear` and `dropout` among torch's transforms, tracers and compilers; and composed of its operations."""

import pytest
import torch
from linear_cases import SEED, Case, make
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from rnn_engine import dropout, linear

CASE = Case(3, 2, (5, 4), 6)


def both(first, second, weight, bias):
    """Both operators, one behind the other."""
    return dropout(linear([first, second], weight, bias, activation="tanh", dropout=0.5), 0.3, row_dropout=0.2)


def tensors_of(case=CASE, dtype=torch.float64):
    inputs, weight, bias, _ = make(case, dtype)
    return [each.detach() for each in (*inputs, weight, bias)]


def seeded(run, *given):
    torch.manual_seed(SEED)
    return run(*given)


def gradients(run):
    def forward_and_backward(*given):
        leaves = [each.detach().requires_grad_() for each in given]
        return torch.autograd.grad(run(*leaves).square().sum(), leaves)

    return forward_and_backward


@pytest.mark.parametrize("run", [both, gradients(both)], ids=["forward", "backward"])
def test_a_recorded_call_is_right_for_other_numbers_and_draws(run):
    first = tensors_of()
    graph = seeded(make_fx(run), *first)
    others = [each + 0.1 for each in first]
    found, expected = seeded(graph, *others), seeded(run, *others)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    names = {str(node.target) for node in graph.graph.nodes}
    assert {"rnn_engine.linear.default", "rnn_engine.dropout.default"} <= names


def test_vmap_and_grad():
    first, second, weight, bias = tensors_of()
    run = lambda *given: linear(given[:2], *given[2:], activation="tanh")  # noqa: E731
    many = torch.stack([first, first + 1])
    each = [run(x, second, weight, bias) for x in many]
    assert torch.equal(vmap(run, (0, None, None, None))(many, second, weight, bias), torch.stack(each))
    slope = grad(lambda w: run(first, second, w, bias).sum())(weight)
    w = weight.clone().requires_grad_()
    assert torch.equal(slope, *torch.autograd.grad(run(first, second, w, bias).sum(), w))
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(both, (0, None, None, None))(many, second, weight, bias)
    alike = torch.stack([first, first])
    same = vmap(both, (0, None, None, None), randomness="same")(alike, second, weight, bias)
    assert torch.equal(*same)
    other = vmap(both, (0, None, None, None), randomness="different")(alike, second, weight, bias)
    assert not torch.equal(*other)


def test_tensors_without_memory_get_shapes():
    first, second, weight, bias = (each.to("meta") for each in tensors_of())
    assert both(first, second, weight, bias).shape == (3, 2, 6)
    assert both(first, second, weight, bias).is_meta


def test_devices_that_differ_are_told():
    first, second, weight, bias = tensors_of()
    with pytest.raises(ValueError, match=r"inputs\[1\]: expected a tensor on cpu as weight, got one on meta"):
        linear([first, second.to("meta")], weight, bias)
