"""What torch has no layer for, in torch operations: one MI-LSTM and one layer-norm LSTM layer, and stacks of them; and
residual stacks of its LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

MI_VECTORS = [(4, 0.0), (4, 0.0), (4, 1.0), (4, 1.0), (4, 1.0), (4, 0.0)]
LAYER_NORM_VECTORS = [(4, 0.0), (4, 1.0), (4, 1.0), (1, 1.0), (1, 0.0)]


def mi_lstm_layer(x: Tensor, weights: list[Tensor]) -> Tensor:
    """One layer on x [T, B, I], with the input projection of all steps in one product."""
    w, u, b_w, b_u, alpha, beta1, beta2, b = weights
    wx = nn.functional.linear(x, w, b_w)  # [T, B, 4H]
    shared_steps = (beta2 * wx + b).unbind(0)
    gain_steps = (alpha * wx + beta1).unbind(0)
    h = torch.zeros([x.shape[1], x.shape[2]], dtype=x.dtype, device=x.device)
    c = h
    outputs: list[Tensor] = []
    for t in range(x.shape[0]):
        uh = nn.functional.linear(h, u, b_u)  # [B, 4H]
        gates = torch.addcmul(shared_steps[t], gain_steps[t], uh).chunk(4, dim=1)
        c = torch.sigmoid(gates[1]) * c + torch.sigmoid(gates[0]) * torch.tanh(gates[2])
        h = torch.sigmoid(gates[3]) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def layer_norm_lstm_layer(x: Tensor, weights: list[Tensor]) -> Tensor:
    """One layer on x [T, B, I], with all of the input's part ahead of the steps."""
    w, u, b, gamma_ih, gamma_hh, gamma_c, beta_c = weights
    wx = nn.functional.layer_norm(nn.functional.linear(x, w), gamma_ih.shape, gamma_ih, b)  # [T, B, 4H]
    h = torch.zeros([x.shape[1], x.shape[2]], dtype=x.dtype, device=x.device)
    c = h
    outputs: list[Tensor] = []
    wx_steps = wx.unbind(0)
    for t in range(x.shape[0]):
        uh = nn.functional.layer_norm(nn.functional.linear(h, u), gamma_hh.shape, gamma_hh)  # [B, 4H]
        gates = (wx_steps[t] + uh).chunk(4, dim=1)
        c = torch.sigmoid(gates[1]) * c + torch.sigmoid(gates[0]) * torch.tanh(gates[2])
        h = torch.sigmoid(gates[3]) * torch.tanh(nn.functional.layer_norm(c, gamma_c.shape, gamma_c, beta_c))
        outputs.append(h)
    return torch.stack(outputs)


class TorchLayers(nn.Module):
    """A stack of such layers; `layer`: one of them or its script; `vectors`: widths, in H, and first values."""

    def __init__(self, size: int, layers: int, vectors: list[tuple[int, float]], layer: Callable[..., Tensor]) -> None:
        super().__init__()
        bound = size**-0.5
        self.layer = layer
        self.weights = nn.ModuleList()
        for _ in range(layers):
            matrices = [torch.empty(4 * size, size).uniform_(-bound, bound) for _ in range(2)]
            filled = [torch.full((width * size,), value) for width, value in vectors]
            self.weights.append(nn.ParameterList([*matrices, *filled]))

    def forward(self, x: Tensor) -> Tensor:
        """Runs all layers on x [T, B, H]."""
        for weights in self.weights:
            x = self.layer(x, list(weights))  # type: ignore[call-overload]
        return x


def torch_layers(cell: str, size: int, layers: int) -> list[TorchLayers]:
    """The stack of a cell, as it is and as a script."""
    vectors, layer = {
        "mi_lstm": (MI_VECTORS, mi_lstm_layer),
        "layer_norm_lstm": (LAYER_NORM_VECTORS, layer_norm_lstm_layer),
    }[cell]
    return [TorchLayers(size, layers, vectors, step) for step in (layer, torch.jit.script(layer))]


class ResidualLSTM(nn.Module):
    """torch's LSTM with the engine's face, and its residual stacks: each layer puts out its state plus its input."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        dropout: float,
        bidirectional: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.hidden_size, self.num_layers, self.bidirectional, self.residual = (
            hidden_size,
            num_layers,
            bidirectional,
            residual,
        )
        width = hidden_size * (1 + bidirectional)
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.LSTM(width if layer else input_size, hidden_size, bidirectional=bidirectional)
            for layer in range(num_layers)
        )

    def forward(self, x: Any, states: tuple[Tensor, Tensor] | None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Runs all layers on x [T, B, I], or packed rows."""
        last = []
        each = (
            [None] * self.num_layers
            if states is None
            else zip(*(s.chunk(self.num_layers) for s in states), strict=True)
        )
        for layer, (module, before) in enumerate(zip(self.layers, each, strict=True)):
            y, after = module(self._dropped(x) if layer else x, before)
            x = self._added(x, y) if layer and self.residual else y
            last.append(after)
        h, c = (torch.cat(half) for half in zip(*last, strict=True))
        return x, (h, c)

    def _dropped(self, x: Any) -> Any:
        return x._replace(data=self.drop(x.data)) if isinstance(x, PackedSequence) else self.drop(x)

    @staticmethod
    def _added(x: Any, y: Any) -> Any:
        return y._replace(data=x.data + y.data) if isinstance(y, PackedSequence) else x + y
