"""Recurrent layers, forward and backward: ours beside cuDNN's and beside torch operations; time and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch_layers import torch_layers

import rnn_engine
from gpu_parts.meter import Meter, Work, attempt, products_in
from rnn_engine import native

TYPES = ("bfloat16", "float16", "float32", "tf32")
STEPS = 64
FIRST = [(layers, batch, hidden) for layers in (2, 4) for batch in (16, 64) for hidden in (512, 1024)]
ALL = [(layers, batch, hidden) for hidden in (512, 1024, 2048) for layers in (1, 2, 4) for batch in (16, 64, 128)]
TINY = [(2, 3, 8)]


@dataclass(frozen=True)
class Shape:
    """What all sides of a row have in common."""

    layers: int
    batch: int
    hidden: int
    steps: int
    type: str

    @property
    def dtype(self) -> torch.dtype:
        """Of tensors; TF32 is float32 whose products round."""
        return torch.float32 if self.type == "tf32" else getattr(torch, self.type)


def cudnn_matrix(meter: Meter, types: tuple[str, ...] = TYPES) -> Iterator[dict[str, Any]]:
    """Rows of `torch.nn.LSTM` and `rnn_engine.LSTM` (store, that by layers alone, recompute), padded and packed, eager
    and as CUDA graphs.

    Those that issue 6 names come first; the others until the time is up.
    """
    shapes = TINY if meter.dry else FIRST + [shape for shape in ALL if shape not in FIRST]
    for layers, batch, hidden in shapes:
        for kind in types:
            if meter.left() < 0:
                return
            yield lstm_row(meter, Shape(layers, batch, hidden, 5 if meter.dry else STEPS, kind))


def lstm_row(meter: Meter, shape: Shape) -> dict[str, Any]:
    """One shape: every side's times in milliseconds, and bytes kept from forward to backward."""
    sizes = shape.hidden, shape.hidden, shape.layers
    sides = {"cudnn": _placed(nn.LSTM(*sizes), meter, shape)}
    for policy in ("store", "recompute"):
        sides[policy] = _placed(rnn_engine.LSTM(*sizes, memory=policy), meter, shape)
    sides["layers"] = _placed(rnn_engine.LSTM(*sizes, schedule="layers"), meter, shape)
    row: dict[str, Any] = vars(shape).copy()
    padded, packed = _inputs(meter, shape)
    with products_in(shape.type):
        for name, module in sides.items():
            _times(row, name + " padded", meter, module, padded)
            if name in ("cudnn", "store"):
                _times(row, name + " packed", meter, module, packed)
            attempt(row, f"{name} kept bytes", partial(meter.held, partial(module, padded)))
    attempt(row, "graphs", lambda: native.cuda_context(meter.device.index or 0).graphs)
    return row


def other_cells(meter: Meter) -> Iterator[dict[str, Any]]:
    """MI-LSTM and layer-norm LSTM beside the same in torch operations, eager and as CUDA graphs."""
    engines = {"mi_lstm": rnn_engine.MILSTM, "layer_norm_lstm": rnn_engine.LayerNormLSTM}
    for layers, batch, hidden in TINY if meter.dry else [(2, 64, 512), (2, 64, 1024)]:
        for kind in ("bfloat16", "float32"):
            for cell, ours in engines.items():
                if meter.left() < 0:
                    return
                shape = Shape(layers, batch, hidden, 5 if meter.dry else STEPS, kind)
                row: dict[str, Any] = {"cell": cell, **vars(shape)}
                x, _ = _inputs(meter, shape)
                sides = {
                    "ours": _placed(ours(hidden, hidden, layers), meter, shape),
                    "torch": _placed(torch_layers(cell, hidden, layers)[0], meter, shape),
                }
                for name, module in sides.items():
                    _times(row, name, meter, module, x)
                yield row


def _times(row: dict[str, Any], name: str, meter: Meter, module: nn.Module, x: Tensor | PackedSequence) -> None:
    """Times of a training call, eager and as a CUDA graph."""
    attempt(row, name, lambda: meter.milliseconds(_training_call(module, x)))
    attempt(row, f"{name} graph", lambda: meter.milliseconds(meter.graphed(_training_call(module, x))))


def _placed(module: nn.Module, meter: Meter, shape: Shape) -> nn.Module:
    return module.to(meter.device, shape.dtype)


def _inputs(meter: Meter, shape: Shape) -> tuple[Tensor, PackedSequence]:
    """The same rows for all: of equal length, and of lengths from half to all of the steps."""
    x = torch.randn(shape.steps, shape.batch, shape.hidden).to(meter.device, shape.dtype)
    lengths = torch.linspace(shape.steps, shape.steps / 2, shape.batch).round().long()
    return x, pack_padded_sequence(x, lengths)


def _training_call(module: nn.Module, x: Tensor | PackedSequence) -> Work:
    """Forward and backward, with the gradients of the input and of all parameters."""
    rows = (x.data if isinstance(x, PackedSequence) else x).detach().clone().requires_grad_()
    given = x._replace(data=rows) if isinstance(x, PackedSequence) else rows
    leaves = [rows, *module.parameters()]

    def rows_of(result: Any) -> Tensor:
        y = result[0] if isinstance(result, tuple) and not isinstance(result, PackedSequence) else result
        data: Tensor = y.data if isinstance(y, PackedSequence) else y
        return data

    with torch.no_grad():
        upstream = torch.randn_like(rows_of(module(given)))
    return lambda: torch.autograd.grad(rows_of(module(given)), leaves, upstream)
