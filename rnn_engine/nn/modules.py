"""Recurrent layers with the face of `torch.nn.LSTM`: arguments, state dict, call and return shapes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnn_engine.nn.autograd import Call, Outputs, run_stack
from rnn_engine.nn.devices import called_dtype, device_of, either
from rnn_engine.nn.rows import Input, Rows, rows_of
from rnn_engine.nn.states import State, cast, detached, flat_states, shaped_states
from rnn_engine.nn.stepper import Stepper
from rnn_engine.spec import CELLS, Memory, StackSpec, check_flag, check_schedule, check_size
from rnn_engine.states import pair_of, state_of

Lengths = Tensor | Sequence[int]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class _Wanted:
    """How a call runs, and what it returns beside the last states."""

    memory: Memory
    schedule: str
    output: bool
    cell_states: bool

    def returned(self, outputs: Outputs, shaped: Callable[[Tensor], Any], last: State) -> Any:
        """What the layer returns; `shaped` gives rows the form of the input."""
        y = None if outputs.y is None or not self.output else shaped(outputs.y)
        if not self.cell_states:
            return y, last
        assert outputs.cy is not None
        return y, last, shaped(outputs.cy)


class _Recurrent(nn.Module):
    """What all cells share; a cell is a subclass that names a row of `rnn_engine.spec.CELLS`."""

    cell: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        memory: str | int | Memory = "store",
        schedule: str = "auto",
        recurrent_dropout: float = 0.0,
        zoneout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype: expected {either(_DTYPES)}, got {dtype}")
        check_flag("batch_first", batch_first)
        if isinstance(hidden_size, Sequence) and not isinstance(hidden_size, str):
            hidden_size = tuple(hidden_size)
        self.spec = StackSpec(
            self.cell,
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            dropout,
            proj_size,
            recurrent_dropout,
            tuple(zoneout) if isinstance(zoneout, list) else zoneout,
        )
        self.memory: str | int | Memory = Memory.parse(memory)
        self.schedule = check_schedule(schedule)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} has no effect with num_layers=1: it acts between layers", UserWarning, stacklevel=2
            )
        self.mode = type(self).__name__
        self.input_size = input_size
        self.hidden_size = self.spec.hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.recurrent_dropout = float(recurrent_dropout)
        self.zoneout = self.spec.zoneout
        for name, shape in self.spec.parameter_shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters from U(-1/sqrt(H), 1/sqrt(H)), H that of the layer, as torch.nn.LSTM does.

        A cell's further vectors start at one or zero instead (`rnn_engine.spec.CELLS`).
        """
        cell = CELLS[self.cell]
        for lane in range(self.spec.lanes):
            bound = 1 / math.sqrt(self.spec.hidden_sizes[lane // self.spec.directions])
            for name, shape in self.spec.lane_parameters(lane).items():
                if shape is None:
                    continue
                vector = name.split("_l", 1)[0]
                if vector in (*cell.vectors, *cell.unit_vectors):
                    nn.init.constant_(getattr(self, name), 1.0 if vector in cell.ones else 0.0)
                else:
                    nn.init.uniform_(getattr(self, name), -bound, bound)

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
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "recurrent_dropout": 0.0,
            "zoneout": (0.0, 0.0),
        }
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        memory = Memory.parse(self.memory)
        if memory.policy != "store":
            text += f", memory={memory}"
        return text if self.schedule == "auto" else f"{text}, schedule={self.schedule}"

    def forward(
        self,
        input: Input,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        memory: str | int | Memory | None = None,
        schedule: str | None = None,
        last_state_only: bool = False,
        return_cell_states: bool = False,
    ) -> Any:
        """Runs the stack.

        Args:
            input: [T, B, I] ([B, T, I] with batch_first), [T, I] unbatched, or a PackedSequence of such rows.
            hx: (h0, c0), for a GRU h0 alone, each [L*D, B, R] or [L*D, B, H] ([L*D, R] unbatched; R is P with a
                projection, else H); with layers of different widths each is a sequence of L such tensors
                [D, B, width]. Zeros if not given.
            lengths: [B] steps of each sequence of a dense batch, 1 to T, in any order; all T if not given. What lies
                beyond them is not looked at, and costs nothing.
            memory: What to keep for backward, in place of the layer's own setting (`rnn_engine.spec.Memory`).
            schedule: How threads share the work, in place of the layer's own setting (`rnn_engine.spec.SCHEDULES`).
            last_state_only: Return no output: without gradients, memory then does not grow with T.
            return_cell_states: Return c of every step of the last layer too.

        Returns:
            output [T, B, D*R] in the form of the input, zero beyond a sequence's length (None with last_state_only);
            and (hn, cn) in the form of hx: the states after each sequence's last step. With return_cell_states, cell
            states [T, B, D*H] in the form of the output come third.

        Raises:
            ValueError: A shape, dtype, device or length is not what the layer expects, or the memory budget is too
                small; the message then says what would do.
            TypeError: The input is no tensor.
        """
        wanted = _Wanted(
            Memory.parse(self.memory if memory is None else memory),
            self.schedule if schedule is None else schedule,
            not last_state_only,
            return_cell_states,
        )
        dtype = self._call_dtype()
        self._check(input, dtype)
        rows = rows_of(input, lengths, self.batch_first)
        rows = replace(rows, data=rows.data.to(dtype))
        pair = pair_of(self.spec, hx)
        if pair is not None and dtype != self._weight.dtype:
            pair = cast(pair, dtype)
        states = flat_states(self.spec, pair, rows.batch, rows.data, rows.order)
        outputs = self._run(rows, states, wanted)
        last = shaped_states(self.spec, outputs.hn, outputs.cn, rows.batch, rows.original)
        return wanted.returned(outputs, rows.shaped, state_of(self.spec, last))

    @property
    def _weight(self) -> Tensor:
        """A tensor of the parameters' dtype and device."""
        return self.get_parameter("weight_ih_l0")

    def _call_dtype(self) -> torch.dtype:
        return called_dtype(self._weight, device_of(self._weight).dtypes)

    def _check(self, input: Input, dtype: torch.dtype) -> None:
        x = input.data if isinstance(input, PackedSequence) else input
        if not isinstance(x, Tensor):
            raise TypeError(f"input: expected a tensor or a PackedSequence, got {type(x).__name__}")
        if x.dim() not in (2, 3):
            raise ValueError(f"input: expected 2 or 3 dimensions, got {x.dim()} ({list(x.shape)})")
        weight = self._weight
        if x.shape[-1] != self.input_size:
            raise ValueError(f"input: expected last dimension I = {self.input_size}, got {list(x.shape)}")
        if x.dtype not in (dtype, weight.dtype):
            raise ValueError(f"input: expected {weight.dtype} as the weights, got {x.dtype}")
        if x.layout != torch.strided:
            raise ValueError(f"input: expected a dense tensor, got {x.layout}")
        if x.device != weight.device:
            raise ValueError(f"input: expected a tensor on {weight.device} as the weights, got one on {x.device}")
        device = device_of(x)
        if weight.dtype not in device.dtypes:
            raise ValueError(f"weights: expected {either(device.dtypes)} on {x.device}, got {weight.dtype}")

    def _parameter(self, name: str) -> Tensor:
        parameter: Tensor = getattr(self, name)
        return parameter

    def _parameters_in_order(self) -> list[Tensor | None]:
        return [
            None if shape is None else getattr(self, name)
            for lane in range(self.spec.lanes)
            for name, shape in self.spec.lane_parameters(lane).items()
        ]

    def _run(self, rows: Rows, states: tuple[Tensor | None, Tensor | None], wanted: _Wanted) -> Outputs:
        dropout = self.dropout if self.training and self.num_layers > 1 else 0.0
        recurrent_dropout = self.recurrent_dropout if self.training else 0.0
        zoneout_masks = self.training and any(self.zoneout)
        masks = dropout > 0 or recurrent_dropout > 0 or zoneout_masks
        call = Call(
            self.spec,
            rows.batch_sizes,
            rows.ids.tolist() if masks and rows.ids is not None else None,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            zoneout_masks=zoneout_masks,
            # Masks follow torch's generator, so that torch.manual_seed makes them repeatable.
            seed=int(torch.randint(2**62, ()).item()) if masks else 0,
            threads=torch.get_num_threads(),
            memory=wanted.memory,
            schedule=wanted.schedule,
            output=wanted.output,
            cell_output=wanted.cell_states,
        )
        return run_stack(call, rows.data, *states, self._parameters_in_order())

    def windows(self, input: Tensor, steps: int, hx: State | None = None) -> Iterator[tuple[Tensor, State]]:
        """Truncated backpropagation through time: windows of a long input, with the state carried, not its history.

        Take each window's loss and call backward before asking for the next window.

        Args:
            input: [T, B, I] ([B, T, I] with batch_first), or [T, I] unbatched.
            steps: Steps of a window, at least 1; the last window may be shorter.
            hx: State before the first step; zeros if not given.

        Yields:
            output and (hn, cn) of each window, as from `forward`; gradients end at its first step.

        Raises:
            ValueError: `steps` is less than 1, or as in `forward`.
            TypeError: `steps` is no int, or as in `forward`.

        Source:
            Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
            trajectories".
        """
        check_size("steps", steps)
        for window in torch.split(input, steps, dim=1 if self.batch_first and input.dim() == 3 else 0):
            output, state = self(window, hx)
            yield output, state
            hx = state_of(self.spec, detached(pair_of(self.spec, state)))

    def stepper(self) -> Stepper:
        """A forward-only runner with packed weights, for one step after another: see `Stepper`."""
        return Stepper(self.spec, self._parameters_in_order(), torch.get_num_threads())


class LSTM(_Recurrent):
    """Long short-term memory; a drop-in for `torch.nn.LSTM`.

    Args:
        input_size: I, width of the input.
        hidden_size: H, width of the state; or the H of each layer.
        num_layers: L, stacked layers.
        bias: Whether to have bias_ih and bias_hh.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value of each layer's output but the last's, in training.
        bidirectional: Whether to run each layer in both directions and concatenate.
        proj_size: P, width to which h is projected (Sak et al. 2014), less than H; 0: no projection.
        device: As in torch: the CPU or a CUDA device (docs/gpu.md).
        dtype: torch.float32, torch.float64, torch.bfloat16 or, on CUDA, torch.float16. The halves are what is stored;
            sums and cell states are float32. A float32 layer computes so under torch.autocast, with gradients in
            float32.
        memory: What a call keeps for its backward pass: "store", "recompute", "checkpoint", or a number of bytes such
            as "256MiB" within which the fastest mix is chosen (`rnn_engine.spec.Memory`). Results do not depend on it.
        schedule: How threads share the work: "layers", "wavefront", or "auto", whichever is predicted to be faster
            (`rnn_engine.spec.SCHEDULES`). Nor do results depend on it.
        recurrent_dropout: Probability of dropping a value of h before U, in training, with one mask for all steps of a
            sequence; dropout between layers then has one mask for all steps too (Gal & Ghahramani 2016).
        zoneout: Probabilities with which a value of c, and one of h, stays what it was a step before, in training; in
            evaluation c and h are the expectation (Krueger et al. 2016).

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


class LayerNormLSTM(_Recurrent):
    """LSTM with layer normalisation.

    Its gates are made of LN(W x; gamma_ih) + bias_ih + LN(U h'; gamma_hh) + bias_hh, each normalised over the 4H values
    of a step, and h = o*tanh(LN(c; gamma_c) + beta_c). Takes the arguments of `LSTM`. Beside an LSTM's parameters it
    has gamma_ih and gamma_hh, each [4H], and gamma_c and beta_c, each [H], for each layer and direction.

    Source:
        Ba, Kiros & Hinton 2016, "Layer normalization", equations 20 to 22; equations in csrc/cells/layer_norm.h.
    """

    cell = "layer_norm_lstm"


class LayerNormMILSTM(_Recurrent):
    """LSTM with multiplicative integration of layer-normalised products.

    As `MILSTM`, with a = LN(W x; gamma_ih) + bias_ih and r = LN(U h'; gamma_hh) + bias_hh, and
    h = o*tanh(LN(c; gamma_c) + beta_c) as in `LayerNormLSTM`. Takes the arguments of `LSTM`, and has the parameters of
    both.

    Source:
        Wu et al. 2016 and Ba, Kiros & Hinton 2016; equations in csrc/cells/layer_norm.h.
    """

    cell = "layer_norm_mi_lstm"


class GRU(_Recurrent):
    """Gated recurrent unit; a drop-in for `torch.nn.GRU`, with its equations, gate order r, z, n, and one state.

    Takes the arguments of `LSTM`, but for `proj_size`; its weights have 3H rows, and where others take and return
    (h, c), it takes and returns h. Its zoneout is (0, p_h).

    Source:
        Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
        translation", with the reset gate behind U as in torch.nn.GRU; equations in csrc/cells/gru.h.
    """

    cell = "gru"
