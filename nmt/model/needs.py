"""What calls of the engine beside the recurrent and the output layer need in a training step, in bytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention
from rnn_engine import native
from rnn_engine.nn.autograd import value_dtype
from rnn_engine.nn.devices import NAMES, called_dtype, device_of
from rnn_engine.nn.feeding_steps import CHUNK

_ALL_GRADIENTS = 7  # of queries, keys and values
_VECTOR = 8


def called(weight: Tensor) -> torch.dtype:
    """The type that a call computes in, that of autocast where it is on."""
    return called_dtype(weight, device_of(weight).dtypes)


def attention_needs(attention: Attention, source_steps: int, steps: int, batch: int) -> tuple[int, int]:
    """Tell what attention keeps from forward to backward, and what it takes inside a call.

    Args:
        attention: The layer.
        source_steps: S.
        steps: T.
        batch: B.

    Returns:
        The bytes of the context and of what else is kept beside the inputs, and those of the largest workspace.
    """
    weight = attention.key_projection.weight  # [A, C]
    device, dtype, heads = device_of(weight), called(weight), attention.heads
    size, width = weight.shape
    rows, additive = batch * steps, attention.vector is not None
    context = rows * width * dtype.itemsize
    problem = native.AttentionProblem(
        dtype=native.DTYPES[NAMES[dtype]],
        form=int(additive),
        steps=steps,
        batch=batch,
        source_steps=source_steps,
        key_size=size,
        value_size=width,
        heads=heads,
        scale=1.0,
        dropout=attention.dropout,
    )
    engine, gradients = device.context(torch.get_num_threads()), _ALL_GRADIENTS + (_VECTOR if additive else 0)
    workspace = max(native.attention_workspace(engine, problem, wanted) for wanted in (0, gradients))
    return context + value_dtype(dtype).itemsize * heads * rows, workspace


def stretch_of(attention: Attention, steps: int) -> int:
    """Tell how many of a target's steps attention gives their contexts at a time, with input feeding."""
    return min(steps, CHUNK) if device_of(attention.key_projection.weight).feeds else steps


def linear_workspace(layer: nn.Linear, rows: int) -> int:
    """Tell what a linear layer takes inside a call.

    Args:
        layer: The layer; with several inputs side by side it takes no more.
        rows: Vectors that it is called with.
    """
    device, dtype = device_of(layer.weight), called(layer.weight)
    problem = native.LinearProblem(
        dtype=native.DTYPES[NAMES[dtype]],
        activation=0,
        steps=rows,
        batch=1,
        outputs=layer.out_features,
        input_sizes=[layer.in_features],
        dropout=0.5,  # with the slopes of which it takes most
        per_sentence=False,
    )
    return max(device.context(torch.get_num_threads()).linear_workspace(problem))


def rounded_bytes(module: nn.Module) -> int:
    """Tell what a layer's matrices take in the type of a call, where that is not their own: a copy for each call."""
    weights = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    return sum(called(each).itemsize * each.numel() for each in weights if called(each) != each.dtype)
