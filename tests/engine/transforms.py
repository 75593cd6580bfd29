"""Layers, calls and modes for the tests of what records or transforms calls."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import rnn_engine

CELLS = {
    "lstm": lambda **options: rnn_engine.LSTM(3, 4, **options),
    "two": lambda **options: rnn_engine.LSTM(3, 4, 2, bidirectional=True, batch_first=True, proj_size=2, **options),
    "widths": lambda **options: rnn_engine.MILSTM(3, (4, 6), 2, **options),
    "norm": lambda **options: rnn_engine.LayerNormLSTM(3, 4, bias=False, memory="recompute", **options),
    "gru": lambda **options: rnn_engine.GRU(3, 4, 2, bidirectional=True, **options),
}
each_cell = pytest.mark.parametrize("name", CELLS)


class Model(nn.Module):
    """A layer among operators of torch's, from a batch to tensors."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options = layer, options

    def forward(self, x, *hx):
        state = hx[0] if len(hx) == 1 else hx or None
        return tuple(each for each in tree_leaves(self.layer(x.sin(), state, **self.options)) if each is not None)


class Plain(nn.Module):
    """The same with one argument, for those who look at signatures."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        y, state = self.layer(x.sin())
        return y, tree_leaves(state)


def batch(layer, steps=5, size=2, *, states=False):
    """The arguments of a call."""
    shape = (size, steps, 3) if layer.batch_first else (steps, size, 3)
    given = [torch.randn(shape, requires_grad=True)]
    if states and isinstance(layer.hidden_size, int):
        widths = [layer.proj_size or layer.hidden_size, layer.hidden_size]
        widths = widths[:1] if isinstance(layer, rnn_engine.GRU) else widths
        given += [torch.randn(layer.spec.pseudo_layers, size, width, requires_grad=True) for width in widths]
    return given


def results_of(run, given, parameters):
    """Outputs of a call, and gradients of what it was given and of parameters."""
    outputs = run(*given)
    leaves = [*given, *parameters]
    torch.manual_seed(7)
    upstream = [torch.randn(output.shape, dtype=output.dtype) for output in outputs]
    gradients = torch.autograd.grad(outputs, leaves, upstream)
    return [*outputs, *gradients]


def assert_same(found, expected):
    torch.testing.assert_close([each.detach() for each in found], [each.detach() for each in expected])


class Watched(TorchDispatchMode):
    """Sees the operators, and looks into none."""

    def __init__(self):
        super().__init__()
        self.arguments = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.rnn_engine.stack.default:
            self.arguments.append(args)
        return func(*args, **kwargs or {})


class FunctionsWatched(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **kwargs or {})


def in_mode(mode):
    def wrap(model, given):
        def run(*given):
            with mode():
                return model(*given)

        return run

    wrap.__name__ = f"in_{mode.__name__}"
    return wrap
