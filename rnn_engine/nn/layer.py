"""What recurrent layers share: the arguments, state dict, call and return shapes of `torch.nn.LSTM`."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Never

import torch
from torch import Tensor, nn

from rnn_engine.nn.batch import Input
from rnn_engine.nn.call import Lengths, Settings, run
from rnn_engine.nn.devices import either
from rnn_engine.nn.observed import observed
from rnn_engine.nn.recorded import recorded
from rnn_engine.nn.states import State, detached
from rnn_engine.nn.stepper import Stepper
from rnn_engine.spec import CELLS, Memory, StackSpec, check_flag, check_no_more, check_schedule, check_size

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Recurrent(nn.Module):
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
        residual: bool = False,
        dropout_mask: str = "value",
        **unknown: Never,
    ) -> None:
        super().__init__()
        if unknown:
            check_no_more(type(self).__name__, unknown, inspect.signature(Recurrent.__init__).parameters)
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
            residual,
            dropout_mask,
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
        self.residual = residual
        self.dropout_mask = dropout_mask
        shapes = self.spec.parameter_shapes()
        self._names = tuple(shapes)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters from U(-1/sqrt(H), 1/sqrt(H)), H that of the layer, as torch.nn.LSTM does.

        A cell's further vectors start at one or zero instead (`rnn_engine.spec.CELLS`).
        """
        cell = CELLS[self.cell]
        for pseudo_layer in range(self.spec.pseudo_layers):
            bound = 1 / math.sqrt(self.spec.hidden_sizes[pseudo_layer // self.spec.directions])
            for name, shape in self.spec.pseudo_layer_parameters(pseudo_layer).items():
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
            [
                getattr(self, name)
                for name, shape in self.spec.pseudo_layer_parameters(pseudo_layer).items()
                if shape is not None
            ]
            for pseudo_layer in range(self.spec.pseudo_layers)
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
            "residual": False,
            "dropout_mask": "value",
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
        **unknown: Never,
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
            **unknown: None: a name that is none of these is told.

        Returns:
            output [T, B, D*R] in the form of the input, zero beyond a sequence's length (None with last_state_only);
            and (hn, cn) in the form of hx: the states after each sequence's last step. With return_cell_states, cell
            states [T, B, D*H] in the form of the output come third.

        Raises:
            ValueError: A shape, dtype, device or length is not what the layer expects, or the memory budget is too
                small; the message then says what would do.
            TypeError: The input is no tensor, or an argument has a wrong name.
        """
        if not isinstance(unknown, dict):  # torch.fx has put a stand-in in the place of every argument
            raise TypeError("torch.fx.symbolic_trace: expected a module that calls the layer, got the layer")
        if unknown:
            check_no_more(type(self).__name__, unknown, inspect.signature(Recurrent.forward).parameters)
        schedule = check_schedule(self.schedule if schedule is None else schedule)
        settings = self.settings(memory, schedule, output=not last_state_only, cell_output=return_cell_states)
        parameters = self.tensors()
        called = recorded if observed(input, hx, parameters[0], parameters=parameters) else run
        y, last, cells = called(settings, parameters, input, hx, lengths)
        return (y, last, cells) if return_cell_states else (y, last)

    def settings(
        self, memory: str | int | Memory | None, schedule: str, *, output: bool = True, cell_output: bool = False
    ) -> Settings:
        """What a call as the layer now stands depends on, beside its tensors.

        Args:
            memory: What to keep for backward, in place of the layer's own setting.
            schedule: How threads share the work.
            output: Whether y is wanted.
            cell_output: Whether c of all steps is.
        """
        return Settings(
            self.spec,
            self.batch_first,
            output,
            cell_output,
            self.dropout if self.training and self.num_layers > 1 else 0.0,
            self.recurrent_dropout if self.training else 0.0,
            self.training and any(self.zoneout),
            Memory.parse(self.memory if memory is None else memory),
            schedule,
        )

    def tensors(self) -> list[Tensor]:
        """The parameters in order, or what stands in their place: `functional_call`, parametrisations, pruning."""
        registered: Mapping[str, Any] = self._parameters
        found = [registered[name] if name in registered else getattr(self, name) for name in self._names]
        if any(tensor is None for tensor in found):
            raise ValueError(f"{self._names[found.index(None)]}: expected a tensor, got None")
        return found

    def __prepare_scriptable__(self) -> Never:
        """Called by torch.jit.script, also for a model that the layer is a part of."""
        name = type(self).__name__
        raise RuntimeError(
            f"rnn_engine.{name}: torch.jit.script is not supported; torch.jit.trace, torch.export and torch.compile are"
        )

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
            hx = detached(self.spec, state)

    def stepper(self) -> Stepper:
        """A forward-only runner with packed weights, for one step after another: see `Stepper`."""
        return Stepper(self.spec, self.tensors(), torch.get_num_threads())
