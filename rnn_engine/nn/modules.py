"""Recurrent layers with the face of `torch.nn.LSTM`: arguments, state dict, call and return shapes."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnn_engine.nn.autograd import Call, run_stack
from rnn_engine.spec import CELLS, StackSpec

State = tuple[Tensor, Tensor]
_DTYPES = (torch.float32, torch.float64)


class _Recurrent(nn.Module):
    """What all cells share; a cell is a subclass that names a row of `rnn_engine.spec.CELLS`."""

    cell: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if proj_size != 0:
            raise ValueError(f"proj_size: expected 0 (projections are not supported), got {proj_size}")
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
        self.spec = StackSpec(self.cell, input_size, hidden_size, num_layers, bias, bidirectional, float(dropout))
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} has no effect with num_layers=1: it acts between layers", UserWarning, stacklevel=2
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = 0
        for name, shape in self.spec.parameter_shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.LSTM does.

        The MI-LSTM's alpha, beta1 and beta2 start at one and its bias at zero instead.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        cell = CELLS[self.cell]
        for name, parameter in self.named_parameters():
            vector = name.split("_l", 1)[0]
            if vector in cell.vectors:
                nn.init.constant_(parameter, 1.0 if vector in cell.ones else 0.0)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: kept for code written for torch.nn.LSTM."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """Parameters of each layer and direction, as in torch.nn.LSTM."""
        return [
            [getattr(self, name) for name, shape in self.spec.lane_parameters(lane).items() if shape is not None]
            for lane in range(self.spec.lanes)
        ]

    def extra_repr(self) -> str:
        """Constructor arguments that differ from their defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text

    def forward(self, input: Tensor | PackedSequence, hx: State | None = None) -> tuple[Tensor | PackedSequence, State]:
        """Runs the stack.

        Args:
            input: [T, B, I] ([B, T, I] with batch_first), [T, I] unbatched, or a PackedSequence of such rows.
            hx: (h0, c0), each [L*D, B, H] ([L*D, H] unbatched); zeros if not given.

        Returns:
            output [T, B, D*H] in the form of the input, and (hn, cn), each [L*D, B, H]: the states after each
            sequence's last step.

        Raises:
            ValueError: A shape, dtype or device is not what the layer expects.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"input: expected 2 or 3 dimensions, got {input.dim()} ({list(input.shape)})")
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(1)  # [T, 1, I]
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        steps, batch, _ = x.shape
        if hx is not None:
            expected = 3 if batched else 2
            for name, state in zip(("h0", "c0"), hx, strict=True):
                if state.dim() != expected:
                    raise ValueError(
                        f"{name}: expected {expected} dimensions for this input, "
                        f"got {state.dim()} ({list(state.shape)})"
                    )
            if not batched:
                hx = (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        self._check(x, hx, batch)
        if steps == 0 or batch == 0:
            raise ValueError(f"input: expected at least one step and one sequence, got T = {steps}, B = {batch}")
        y, hn, cn = self._run(x.reshape(steps * batch, x.shape[2]), hx, [batch] * steps, None, dense=True)
        y = y.view(steps, batch, -1)
        if not batched:
            return y.squeeze(1), (hn.squeeze(1), cn.squeeze(1))
        return (y.transpose(0, 1) if self.batch_first else y), (hn, cn)

    def _forward_packed(self, packed: PackedSequence, hx: State | None) -> tuple[PackedSequence, State]:
        data, batch_sizes, order, original = packed
        sizes: list[int] = batch_sizes.tolist()
        self._check(data, hx, sizes[0])
        if hx is not None and order is not None:
            hx = (hx[0].index_select(1, order), hx[1].index_select(1, order))
        y, hn, cn = self._run(data, hx, sizes, None if order is None else order.tolist(), dense=sizes[0] == sizes[-1])
        if original is not None:
            hn, cn = hn.index_select(1, original), cn.index_select(1, original)
        return PackedSequence(y, batch_sizes, order, original), (hn, cn)

    def _check(self, x: Tensor, hx: State | None, batch: int) -> None:
        weight = self.weight_ih_l0
        if x.shape[-1] != self.input_size:
            raise ValueError(f"input: expected last dimension I = {self.input_size}, got {list(x.shape)}")
        named = [("input", x), *([] if hx is None else [("h0", hx[0]), ("c0", hx[1])])]
        for name, tensor in named:
            if tensor.dtype != weight.dtype:
                raise ValueError(f"{name}: expected {weight.dtype} as the weights, got {tensor.dtype}")
            if tensor.device.type != "cpu" or weight.device.type != "cpu":
                raise ValueError(
                    f"{name}: expected weights and tensors on the CPU, got {weight.device}, {tensor.device}"
                )
        if weight.dtype not in _DTYPES:
            raise ValueError(f"weights: expected torch.float32 or torch.float64, got {weight.dtype}")
        expected = [self.spec.lanes, batch, self.hidden_size]
        for name, tensor in named[1:]:
            if list(tensor.shape) != expected:
                raise ValueError(f"{name}: expected [L*D, B, H] = {expected}, got {list(tensor.shape)}")

    def _run(
        self, x: Tensor, hx: State | None, batch_sizes: list[int], row_ids: list[int] | None, *, dense: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        dropout = self.dropout if self.training and self.num_layers > 1 else 0.0
        # Masks follow torch's generator, so that torch.manual_seed makes them repeatable.
        seed = int(torch.randint(2**62, ()).item()) if dropout > 0 else 0
        call = Call(self.spec, batch_sizes, row_ids, dense, dropout, seed, torch.get_num_threads())
        parameters = [
            None if shape is None else getattr(self, name)
            for lane in range(self.spec.lanes)
            for name, shape in self.spec.lane_parameters(lane).items()
        ]
        h0, c0 = hx if hx is not None else (None, None)
        return run_stack(call, x, h0, c0, parameters)


class LSTM(_Recurrent):
    """Long short-term memory; a drop-in for `torch.nn.LSTM`.

    Args:
        input_size: I, width of the input.
        hidden_size: H, width of the state.
        num_layers: L, stacked layers.
        bias: Whether to have bias_ih and bias_hh.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value of each layer's output but the last's, in training.
        bidirectional: Whether to run each layer in both directions and concatenate.
        proj_size: Must be 0.
        device: As in torch; the CPU.
        dtype: torch.float32 or torch.float64.

    Source:
        Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; equations in csrc/cells/lstm.h.
    """

    cell = "lstm"


class MILSTM(_Recurrent):
    """LSTM with multiplicative integration.

    Its gates are made of alpha*a*r + beta1*r + beta2*a + bias with a = W x + bias_ih and r = U h' + bias_hh. Takes the
    arguments of `LSTM`. Beside an LSTM's parameters it has alpha, beta1, beta2 and bias, each [4H], for each layer and
    direction.

    Source:
        Wu et al. 2016, "On multiplicative integration with recurrent neural networks", equation 4 with one alpha and
        two betas per gate element; equations in csrc/cells/mi_lstm.h.
    """

    cell = "mi_lstm"
