"""From a network in torch to one in native code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nmt.model.native import NativeNetwork
from nmt.model.recurrent import CELLS
from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import NetworkShape
from rnn_engine.spec import CELLS as ENGINE_CELLS


def can_pack(model: Seq2Seq) -> bool:
    """Whether a model is one of the engine's layers in float32 on the CPU."""
    return _cell_of(model) in ENGINE_CELLS and all(
        parameter.device.type == "cpu" and parameter.dtype == torch.float32 for parameter in model.parameters()
    )


def pack(model: Seq2Seq, names: Mapping[str, Tensor], precision: str = "float32") -> NativeNetwork:
    """Make a native network of the weights that a model has now.

    Args:
        model: One that can be packed.
        names: Its parameters, by the names that they have in files.
        precision: A key of `nmt.model.native.PRECISIONS`.
    """
    encoder: Any = model.encoder.layers
    decoder: Any = model.decoder.layers
    source, target = model.vocabulary_sizes
    shape = NetworkShape(
        _cell_of(model),
        model.decoder.attention.kind,
        source,
        target,
        model.target_embedding.weight.shape[1],
        model.decoder.hidden_size,
        encoder.num_layers,
        sum(stack.num_layers for stack in decoder),
        model.decoder.attention.heads,
        model.decoder.context,
        encoder.zoneout[1],
        model.decoder.input_feeding,
        model.encoder.gives_embeddings,
        one_table=model.source_embedding is model.target_embedding,
        tied=model.output_weight is None,
    )
    tensors = {name: tensor.detach().contiguous() for name, tensor in names.items()}
    return NativeNetwork(shape, tensors, precision)


def _cell_of(model: Seq2Seq) -> str:
    layers = [model.encoder.layers, *model.decoder.layers]
    cells = {name for name, kind in CELLS.items() if all(type(layer) is kind for layer in layers)}
    return cells.pop() if cells else ""
