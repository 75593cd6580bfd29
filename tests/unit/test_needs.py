"""What attention and linear layers are said to need in a training step is what they take."""

from __future__ import annotations

import pytest
import torch

from nmt.model.attention import Attention, AttentionMemory
from nmt.model.needs import attention_needs, linear_workspace, rounded_bytes
from nmt.training.precision import mixed
from rnn_engine import linear, native
from rnn_engine.memory import pool

S, T, B = 70, 40, 6


@pytest.fixture
def workspaces(monkeypatch):
    """Sizes of all workspaces that are asked for from now on."""
    sizes, taken = [], pool.array

    def spy(shape, *dtype):
        if not dtype:  # bytes; results have a type
            sizes.append(shape[0])
        return taken(shape, *dtype)

    monkeypatch.setattr(pool, "array", spy)
    monkeypatch.setattr(native, "OWN_WORKSPACE", 0)
    return sizes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("kind", "heads"), [("dot", 1), ("dot", 4), ("additive", 2)])
def test_attention(workspaces, precision, kind, heads):
    attention = Attention(kind, 64, 128, heads, dropout=0.1)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    queries, keys, values = (
        torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in ((T, B, 64), (S, B, 64), (S, B, 128))
    )
    memory = AttentionMemory(keys, values, torch.full((B,), S))
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.nbytes
        return tensor

    with mixed(torch.device("cpu"), precision):
        said, workspace = attention_needs(attention, S, T, B)
        attention.query_projection = torch.nn.Identity()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            context, _ = attention.look(queries, memory, weights=False)
        for given in (queries, keys, values, memory.lengths, attention.vector):
            if given is not None:
                kept.pop(given.untyped_storage().data_ptr())
        context.backward(torch.ones_like(context))
    assert sum(kept.values()) + context.nbytes == said
    assert max(workspaces) == workspace


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_linear_layers(workspaces, precision):
    layer = torch.nn.Linear(96, 80)
    with mixed(torch.device("cpu"), precision):
        said, rounded = linear_workspace(layer, T * B), rounded_bytes(layer)
        x = torch.randn(T, B, 96, requires_grad=True)
        y = linear(x, layer.weight, layer.bias, activation="tanh", dropout=0.2)
        y.backward(torch.ones_like(y))
    assert max(workspaces) == said
    assert rounded == (2 * 96 * 80 if precision == "bfloat16" else 0)
