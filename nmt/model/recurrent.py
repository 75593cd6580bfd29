"""The recurrent layers that a model may be built from; only this file and output.py import the engine."""

from __future__ import annotations

import torch
from torch import nn

from rnn_engine import LSTM, MILSTM

CELLS: dict[str, type[nn.Module]] = {"lstm": LSTM, "mi_lstm": MILSTM}
"""Layer class by the name in `model.cell`. A new cell is one more row here (and one more choice in the config)."""


def recurrent(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    dropout: float = 0.0,
    bidirectional: bool = False,
) -> nn.Module:
    """Build a stack of recurrent layers with this toolkit's initial weights.

    Args:
        cell: A key of `CELLS`.
        input_size: Width of the input, I.
        hidden_size: Width of the state per direction, H.
        num_layers: Layers in the stack, L.
        dropout: Probability of dropping an output of every layer but the last.
        bidirectional: Whether a second set of layers reads the sequence from its end.

    Returns:
        A module that is called like torch.nn.LSTM, time-major.
    """
    layer = CELLS[cell](
        input_size,
        hidden_size,
        num_layers,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
    )
    initialise(layer, hidden_size)
    return layer


@torch.no_grad()
def initialise(layer: nn.Module, hidden_size: int) -> None:
    """Draw the weights of a recurrent layer.

    Every gate has its own block of rows: Glorot-uniform for the input, orthogonal for the recurrence (which then
    neither swells nor shrinks the state), and a forget gate that starts open, so that gradients reach far back from
    the first step. Parameters with other names, such as those of multiplicative integration, keep what their layer
    gave them.

    Args:
        layer: The layer; its parameters are changed in place.
        hidden_size: H, the height of a gate's block of rows; gates are ordered i, f, g, o.

    Source: Saxe et al. 2014 (orthogonal weights); Jozefowicz et al. 2015, section 2.2 (forget-gate bias 1).
    """
    names = [name for name, _ in layer.named_parameters()]
    # Multiplicative integration multiplies bias_ih by the recurrent part; its own bias is the one that opens a gate.
    opening = "bias_l" if any(name.startswith("bias_l") for name in names) else "bias_ih"
    for name, parameter in layer.named_parameters():
        if name.startswith("weight_ih"):
            for gate in torch.split(parameter, hidden_size):  # [H, I]
                nn.init.xavier_uniform_(gate)
        elif name.startswith("weight_hh"):
            for gate in torch.split(parameter, hidden_size):  # [H, H]
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            parameter.zero_()
            if name.startswith(opening):
                parameter[hidden_size : 2 * hidden_size] = 1.0
