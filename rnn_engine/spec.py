"""What a stack of recurrent layers is made of: cells, shapes, parameters. Imports neither torch nor the native part.

Symbols: I input size, H hidden size, L layers, D directions (1 or 2). Gate order i, f, g, o.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CellName = Literal["lstm", "mi_lstm"]


@dataclass(frozen=True)
class CellSpec:
    """One row of the table of cells.

    Attributes:
        name: Name in settings and errors.
        index: Value in `csrc/include/rnn_engine.h`.
        vectors: Names of the cell's further parameters, each [4H], beside the weights and biases of an LSTM.
        bias_vectors: Those of `vectors` that are left out with `bias=False`.
        ones: Those of `vectors` that start at one; the other vectors and the MI-LSTM's biases start at zero.
    """

    name: str
    index: int
    vectors: tuple[str, ...] = ()
    bias_vectors: tuple[str, ...] = ()
    ones: tuple[str, ...] = ()


CELLS: dict[str, CellSpec] = {
    "lstm": CellSpec("lstm", 0),
    "mi_lstm": CellSpec(
        "mi_lstm",
        1,
        vectors=("alpha", "beta1", "beta2", "bias"),
        bias_vectors=("bias",),
        ones=("alpha", "beta1", "beta2"),
    ),
}


@dataclass(frozen=True)
class StackSpec:
    """A stack of recurrent layers, as the constructor of `torch.nn.LSTM` describes it.

    Attributes:
        cell: Name of the cell, a key of `CELLS`.
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bias: Whether the layers have biases.
        bidirectional: Whether each layer runs in both directions.
        dropout: Probability of dropping a value between layers, in training.

    Raises:
        ValueError: A field is out of bounds.
    """

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    bidirectional: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {self.cell!r}")
        for name in ("input_size", "hidden_size", "num_layers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if isinstance(self.dropout, bool) or not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout: expected a probability in [0, 1], got {self.dropout}")

    @property
    def directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def lanes(self) -> int:
        """L*D: number of (layer, direction) pairs."""
        return self.num_layers * self.directions

    def suffix(self, lane: int) -> str:
        """Suffix of the parameter names of one (layer, direction): `_l0`, `_l0_reverse`, `_l1`, ..."""
        layer, direction = divmod(lane, self.directions)
        return f"_l{layer}" + ("_reverse" if direction else "")

    def lane_parameters(self, lane: int) -> dict[str, tuple[int, ...] | None]:
        """Names and shapes of one (layer, direction)'s parameters, in the engine's order.

        Returns:
            weight_ih [4H, I or D*H], weight_hh [4H, H], bias_ih [4H], bias_hh [4H], then the cell's vectors [4H];
            the shape is None for those that `bias=False` leaves out.
        """
        cell, gates, suffix = CELLS[self.cell], 4 * self.hidden_size, self.suffix(lane)
        input_size = self.input_size if lane < self.directions else self.directions * self.hidden_size
        shapes: dict[str, tuple[int, ...] | None] = {
            "weight_ih": (gates, input_size),
            "weight_hh": (gates, self.hidden_size),
            "bias_ih": (gates,) if self.bias else None,
            "bias_hh": (gates,) if self.bias else None,
        }
        for vector in cell.vectors:
            shapes[vector] = (gates,) if self.bias or vector not in cell.bias_vectors else None
        return {name + suffix: shape for name, shape in shapes.items()}

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all parameters, in the order of `torch.nn.LSTM`'s state dict."""
        return {
            name: shape
            for lane in range(self.lanes)
            for name, shape in self.lane_parameters(lane).items()
            if shape is not None
        }
