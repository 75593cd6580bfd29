"""What a stack of recurrent layers is made of: cells, shapes, parameters. Imports neither torch nor the native part.

Symbols: I input size, H hidden size, L layers, D directions (1 or 2). Gate order i, f, g, o; of the GRU, which has 3H
where 4H stands, r, z, n.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from numbers import Real


@dataclass(frozen=True)
class CellSpec:
    """One row of the table of cells.

    Attributes:
        name: Name in settings and errors.
        index: Value in `csrc/include/rnn_engine.h`.
        vectors: Names of the cell's further parameters, each [4H], beside the weights and biases of an LSTM.
        unit_vectors: Those that are [H]; they come after `vectors`.
        bias_vectors: Those of both that are left out with `bias=False`.
        ones: Those of both that start at one; the others start at zero.
        gates: Blocks of H rows in the weights.
        single_state: Whether c is h, so that a stack has one state; it then has no projection, and no zoneout of c.
    """

    name: str
    index: int
    vectors: tuple[str, ...] = ()
    unit_vectors: tuple[str, ...] = ()
    bias_vectors: tuple[str, ...] = ()
    ones: tuple[str, ...] = ()
    gates: int = 4
    single_state: bool = False


CELLS: dict[str, CellSpec] = {
    "lstm": CellSpec("lstm", 0),
    "mi_lstm": CellSpec(
        "mi_lstm",
        1,
        vectors=("alpha", "beta1", "beta2", "bias"),
        bias_vectors=("bias",),
        ones=("alpha", "beta1", "beta2"),
    ),
    "layer_norm_lstm": CellSpec(
        "layer_norm_lstm",
        2,
        vectors=("gamma_ih", "gamma_hh"),
        unit_vectors=("gamma_c", "beta_c"),
        bias_vectors=("beta_c",),
        ones=("gamma_ih", "gamma_hh", "gamma_c"),
    ),
    "layer_norm_mi_lstm": CellSpec(
        "layer_norm_mi_lstm",
        3,
        vectors=("gamma_ih", "gamma_hh", "alpha", "beta1", "beta2", "bias"),
        unit_vectors=("gamma_c", "beta_c"),
        bias_vectors=("bias", "beta_c"),
        ones=("gamma_ih", "gamma_hh", "gamma_c", "alpha", "beta1", "beta2"),
    ),
    "gru": CellSpec("gru", 4, gates=3, single_state=True),
}


DROPOUT_MASKS = ("value", "sentence")


@dataclass(frozen=True)
class StackSpec:
    """A stack of recurrent layers, as the constructor of `torch.nn.LSTM` describes it.

    Attributes:
        cell: Name of the cell, a key of `CELLS`.
        input_size: I.
        hidden_size: H of all layers, or a tuple with the H of each.
        num_layers: L.
        bias: Whether the layers have biases.
        bidirectional: Whether each layer runs in both directions.
        dropout: Probability of dropping a value between layers, in training.
        proj_size: P, the width to which h is projected (Sak et al. 2014), less than every H; 0: no projection.
        recurrent_dropout: Probability of dropping a value of h before U, in training: one mask for all steps of a
            sequence. Dropout between layers then has one mask for all steps too (Gal & Ghahramani 2016).
        zoneout: Probabilities with which a value of c, and one of h, stays what it was a step before, in training;
            otherwise c and h are the expectation (Krueger et al. 2016).
        residual: Whether each layer above the first puts out its h plus what the layer below put out, before dropout
            (Wu et al. 2016). All layers are then equally wide.
        dropout_mask: One of `DROPOUT_MASKS`: whether dropout between layers draws a mask for every step, or one for all
            steps of a sequence.

    Raises:
        ValueError: A field is out of bounds.
        TypeError: A field is of another type.
    """

    cell: str
    input_size: int
    hidden_size: int | tuple[int, ...]
    num_layers: int = 1
    bias: bool = True
    bidirectional: bool = False
    dropout: float = 0.0
    proj_size: int = 0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, float] = (0.0, 0.0)
    residual: bool = False
    dropout_mask: str = "value"
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {self.cell!r}")
        check_size("input_size", self.input_size)
        check_size("num_layers", self.num_layers)
        check_flag("bias", self.bias)
        check_flag("bidirectional", self.bidirectional)
        if isinstance(self.hidden_size, tuple):
            if len(self.hidden_size) != self.num_layers:
                raise ValueError(
                    f"hidden_size: expected one for each of {self.num_layers} layers, got {len(self.hidden_size)}"
                )
            for size in self.hidden_size:
                check_size("hidden_size", size)
            if len(set(self.hidden_size)) == 1:  # one spelling for one stack
                object.__setattr__(self, "hidden_size", self.hidden_size[0])
        else:
            check_size("hidden_size", self.hidden_size)
        check_size("proj_size", self.proj_size, least=0)
        if self.proj_size >= min(self.hidden_sizes):
            raise ValueError(
                f"proj_size: expected less than hidden_size = {min(self.hidden_sizes)}, got {self.proj_size}"
            )
        self._check_noise()
        check_flag("residual", self.residual)
        if self.residual and len(set(self.state_sizes)) > 1:
            raise ValueError(f"residual: expected layers of one width, got hidden_size = {self.hidden_size}")
        if CELLS[self.cell].single_state:
            if self.proj_size:
                raise ValueError(f"proj_size: expected 0 for a {self.cell}, got {self.proj_size}")
            if self.zoneout[0]:
                raise ValueError(f"zoneout of c: expected 0 for a {self.cell}, which has no c, got {self.zoneout[0]}")
        # Once, since every call looks for its plan with it; of numbers alone, which have one hash in all processes.
        numbers = (CELLS[self.cell].index, *(value for value in vars(self).values() if not isinstance(value, str)))
        object.__setattr__(self, "_hash", hash(numbers))

    def __hash__(self) -> int:
        return self._hash

    def _check_noise(self) -> None:
        _check_probability("dropout", self.dropout)
        _check_probability("recurrent_dropout", self.recurrent_dropout)
        if not isinstance(self.zoneout, tuple) or len(self.zoneout) != len("ch"):
            raise ValueError(f"zoneout: expected two probabilities, for c and for h, got {self.zoneout!r}")
        for name, probability in zip(("zoneout of c", "zoneout of h"), self.zoneout, strict=True):
            _check_probability(name, probability)
        if self.dropout_mask not in DROPOUT_MASKS:
            raise ValueError(f"dropout_mask: expected one of {', '.join(DROPOUT_MASKS)}, got {self.dropout_mask!r}")

    def describe(self) -> str:
        """Cell and sizes in a few words."""
        further = f" P={self.proj_size}" if self.proj_size else ""
        further += " residual" if self.residual else ""
        return f"{self.cell} I={self.input_size} H={self.hidden_size} L={self.num_layers} D={self.directions}{further}"

    @property
    def directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def pseudo_layers(self) -> int:
        """L*D: number of (layer, direction) pairs."""
        return self.num_layers * self.directions

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """H of each layer, [L]."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,) * self.num_layers

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """R of each layer, the width of h in one direction: P with a projection, else H. [L]."""
        return (self.proj_size,) * self.num_layers if self.proj_size else self.hidden_sizes

    @property
    def output_size(self) -> int:
        """D*R of the last layer, the width of the output."""
        return self.directions * self.state_sizes[-1]

    @lru_cache(maxsize=256)  # noqa: B019  (of frozen values, and few)
    def state_shapes(self, batch: int | None) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """Shapes of the arrays that h is made of, and of those of c.

        Args:
            batch: B, or None for states without a batch dimension.

        Returns:
            For each one shape [L*D, B, width], or L shapes [D, B, width] where the layers differ in width.
        """
        middle = () if batch is None else (batch,)

        def shapes(widths: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
            if len(set(widths)) == 1:
                return ((self.pseudo_layers, *middle, widths[0]),)
            return tuple((self.directions, *middle, width) for width in widths)

        return shapes(self.state_sizes), shapes(self.hidden_sizes)

    def suffix(self, pseudo_layer: int) -> str:
        """Suffix of the parameter names of one (layer, direction): `_l0`, `_l0_reverse`, `_l1`, ..."""
        layer, direction = divmod(pseudo_layer, self.directions)
        return f"_l{layer}" + ("_reverse" if direction else "")

    def pseudo_layer_parameters(self, pseudo_layer: int) -> dict[str, tuple[int, ...] | None]:
        """Names and shapes of one (layer, direction)'s parameters, in the engine's order.

        Returns:
            weight_ih [4H, I or D*R], weight_hh [4H, R], bias_ih [4H], bias_hh [4H], weight_hr [P, H], then the cell's
            vectors [4H] and [H]; the shape is None for those that `bias=False` or the lack of a projection leave out.
        """
        cell, suffix, layer = CELLS[self.cell], self.suffix(pseudo_layer), pseudo_layer // self.directions
        hidden, state = self.hidden_sizes[layer], self.state_sizes[layer]
        gates = cell.gates * hidden
        shapes: dict[str, tuple[int, ...] | None] = {
            "weight_ih": (gates, self.directions * self.state_sizes[layer - 1] if layer else self.input_size),
            "weight_hh": (gates, state),
            "bias_ih": (gates,) if self.bias else None,
            "bias_hh": (gates,) if self.bias else None,
            "weight_hr": (self.proj_size, hidden) if self.proj_size else None,
        }
        for vector in (*cell.vectors, *cell.unit_vectors):
            width = gates if vector in cell.vectors else hidden
            shapes[vector] = (width,) if self.bias or vector not in cell.bias_vectors else None
        return {name + suffix: shape for name, shape in shapes.items()}

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters, in the order of `torch.nn.LSTM`'s state dict."""
        return {
            name: shape
            for pseudo_layer in range(self.pseudo_layers)
            for name, shape in self.pseudo_layer_parameters(pseudo_layer).items()
            if shape is not None
        }


def _check_probability(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name}: expected a probability in [0, 1], got {value!r}")


def check_no_more(owner: str, given: Iterable[str], names: Iterable[str]) -> None:
    """Raises TypeError where an argument has a name that there is none of; it says which it may have been meant for.

    Args:
        owner: What was called.
        given: Names that it does not know.
        names: Those that it knows.
    """
    for name in given:
        known = [each for each in names if each not in ("self", "unknown")]
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected {', '.join(known)}"
        raise TypeError(f"{owner}: there is no argument {name}; {hint}")


def check_flag(name: str, value: object) -> None:
    """Raises TypeError where an argument is not a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected a bool, got {type(value).__name__}")


def check_size(name: str, value: object, least: int = 1) -> None:
    """Raises TypeError where an argument is not an int, and ValueError where it is less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


SCHEDULES = ("auto", "layers", "wavefront")
"""How threads share a call's work, in the order of their values in `csrc/include/rnn_engine.h`; the results are the
same bits. "layers": all of them work at one layer after the other. "wavefront": groups of them work at several layers
or directions side by side; on CUDA, streams do. "auto": whichever of these is predicted to be faster."""


def check_schedule(schedule: str) -> str:
    """Returns a setting of `SCHEDULES`.

    Raises:
        ValueError: It is none of them.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {schedule!r}")
    return schedule


def parse_device(device: str) -> int | None:
    """The number of the CUDA device that a setting names: "cuda" is the first, "cuda:1" the second; None: "cpu".

    Raises:
        ValueError: It is neither.
    """
    if device == "cpu":
        return None
    match = re.fullmatch(r"cuda(?::([0-9]{1,4}))?", device)
    if match is None:
        raise ValueError(f"device: expected cpu, cuda or cuda:N, got {device!r}")
    return int(match[1] or 0)


MEMORY_POLICIES = ("store", "recompute", "checkpoint")
"""What is kept for backward, in the order of their values in `csrc/include/rnn_engine.h`."""

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Memory:
    """What a call keeps for its backward pass; the results are the same bits with all of them.

    Attributes:
        policy: "store": all gates and states. "recompute": h, and c every K steps; gates are recomputed in large
            products. "checkpoint": h and c every K steps, and the recurrence runs again; one-directional stacks only,
            others recompute. "budget": for each layer whichever of these is fastest within `budget`.
        budget: Bytes of reserve and workspace memory together, for "budget"; else 0.
    """

    policy: str
    budget: int = 0

    def __str__(self) -> str:
        """What `parse` reads."""
        if self.policy != "budget":
            return self.policy
        unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if self.budget % _UNITS[unit] == 0)
        return f"{self.budget // _UNITS[unit]}{unit}"

    @property
    def index(self) -> int:
        """Value in `csrc/include/rnn_engine.h`."""
        return (*MEMORY_POLICIES, "budget").index(self.policy)

    @classmethod
    def parse(cls, text: str | int | Memory) -> Memory:
        """Reads a setting.

        Args:
            text: "store", "recompute", "checkpoint", a number of bytes, or one with a unit such as "256MiB" or "1.5GB".

        Raises:
            ValueError: It is none of these.
        """
        if isinstance(text, Memory):
            return text
        if isinstance(text, str) and text in MEMORY_POLICIES:
            return cls(text)
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)", text) if isinstance(text, str) else None
        if match and (match[2] or "B") in _UNITS:
            text = int(float(match[1]) * _UNITS[match[2] or "B"])
        if isinstance(text, bool) or not isinstance(text, int) or text < 1:
            raise ValueError(
                f"memory: expected {', '.join(MEMORY_POLICIES)} or a number of bytes such as 256MiB, got {text!r}"
            )
        return cls("budget", text)
