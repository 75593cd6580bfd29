"""One table of cases for every implementation of a recurrent stack, and their inputs, made from a seed."""

from dataclasses import dataclass

import numpy as np

from rnn_engine.reference import Noise
from rnn_engine.spec import CELLS, StackSpec
from rnn_engine.states import joined


@dataclass(frozen=True)
class Case:
    """One shape of the work. `lengths` is in any order; without `states`, h0 and c0 are zero; with `cells`, c of all
    steps of the last layer is looked at too."""

    cell: str
    T: int
    B: int
    I: int  # noqa: E741  (the field's letter for the input size)
    H: int | tuple[int, ...]
    L: int = 1
    P: int = 0
    bidirectional: bool = False
    bias: bool = True
    lengths: tuple[int, ...] | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, float] = (0.0, 0.0)
    residual: bool = False
    dropout_mask: str = "value"
    states: bool = True
    cells: bool = False

    @property
    def spec(self):
        return StackSpec(
            cell=self.cell,
            input_size=self.I,
            hidden_size=self.H,
            num_layers=self.L,
            bias=self.bias,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            proj_size=self.P,
            recurrent_dropout=self.recurrent_dropout,
            zoneout=self.zoneout,
            residual=self.residual,
            dropout_mask=self.dropout_mask,
        )

    @property
    def id(self):
        """Name of the case in pytest's output."""
        flags = (
            ("both", self.bidirectional),
            ("nobias", not self.bias),
            ("ragged", self.lengths is not None),
            (f"drop{self.dropout:g}", self.dropout > 0),
            (f"recdrop{self.recurrent_dropout:g}", self.recurrent_dropout > 0),
            ("zone{:g}_{:g}".format(*self.zoneout), any(self.zoneout)),
            ("residual", self.residual),
            (self.dropout_mask, self.dropout_mask != "value"),
            ("nostate", not self.states),
            ("cells", self.cells),
        )
        widths = "_".join(map(str, self.H)) if isinstance(self.H, tuple) else self.H
        shape = f"{self.cell}-T{self.T}-B{self.B}-I{self.I}-H{widths}-L{self.L}{f'-P{self.P}' if self.P else ''}"
        return "-".join([shape, *(name for name, given in flags if given)])


_SHAPES = (
    # the smallest of everything
    {"T": 1, "B": 1, "I": 1, "H": 1},
    {"T": 1, "B": 1, "I": 1, "H": 1, "bidirectional": True, "L": 2},
    {"T": 5, "B": 1, "I": 3, "H": 1},
    {"T": 1, "B": 4, "I": 5, "H": 6, "L": 2},
    {"T": 1, "B": 3, "I": 2, "H": 5, "bidirectional": True},
    # widths around the sizes of vectors and register blocks
    {"T": 3, "B": 2, "I": 7, "H": 7},
    {"T": 3, "B": 2, "I": 9, "H": 8},
    {"T": 3, "B": 3, "I": 8, "H": 9},
    {"T": 4, "B": 2, "I": 15, "H": 16},
    {"T": 3, "B": 5, "I": 16, "H": 17},
    {"T": 3, "B": 4, "I": 31, "H": 33, "L": 2},
    {"T": 2, "B": 6, "I": 65, "H": 64},
    {"T": 3, "B": 7, "I": 64, "H": 65, "bidirectional": True},
    # rows around the register blocks
    {"T": 6, "B": 1, "I": 17, "H": 33, "L": 3},
    {"T": 4, "B": 13, "I": 10, "H": 11, "L": 2},
    {"T": 3, "B": 37, "I": 6, "H": 9},
    {"T": 2, "B": 64, "I": 5, "H": 7, "bidirectional": True},
    # depth, both directions, what may be left out
    {"T": 7, "B": 3, "I": 4, "H": 5, "L": 4},
    {"T": 6, "B": 4, "I": 5, "H": 7, "L": 3, "bidirectional": True},
    {"T": 5, "B": 3, "I": 4, "H": 6, "bias": False},
    {"T": 5, "B": 3, "I": 4, "H": 9, "L": 2, "bidirectional": True, "bias": False},
    {"T": 5, "B": 2, "I": 3, "H": 8, "L": 2, "states": False},
    # lengths: sorted, unsorted, with a single step, all equal but shorter than T
    {"T": 6, "B": 3, "I": 4, "H": 5, "lengths": (6, 4, 1)},
    {"T": 6, "B": 4, "I": 4, "H": 9, "L": 2, "lengths": (2, 6, 1, 3)},
    {"T": 7, "B": 5, "I": 5, "H": 8, "L": 2, "bidirectional": True, "lengths": (3, 7, 7, 1, 5)},
    {"T": 5, "B": 2, "I": 3, "H": 4, "bidirectional": True, "lengths": (3, 3)},
    {"T": 9, "B": 13, "I": 6, "H": 17, "lengths": (9, 1, 2, 8, 3, 7, 4, 6, 5, 5, 9, 1, 2), "bidirectional": True},
    {"T": 4, "B": 1, "I": 3, "H": 7, "L": 2, "lengths": (2,), "bias": False, "states": False},
    # dropout between layers, alone and with everything
    {"T": 5, "B": 4, "I": 6, "H": 8, "L": 2, "dropout": 0.4},
    {"T": 6, "B": 5, "I": 4, "H": 7, "L": 3, "bidirectional": True, "lengths": (6, 2, 5, 1, 4), "dropout": 0.3},
    # recurrent dropout and zoneout, alone and with everything
    {"T": 5, "B": 4, "I": 6, "H": 17, "L": 2, "recurrent_dropout": 0.4, "dropout": 0.3},
    {"T": 6, "B": 5, "I": 4, "H": 7, "bidirectional": True, "lengths": (6, 2, 5, 1, 4), "recurrent_dropout": 0.3},
    {"T": 5, "B": 3, "I": 4, "H": 9, "L": 2, "zoneout": (0.3, 0.0), "cells": True},
    {"T": 5, "B": 3, "I": 4, "H": 9, "L": 2, "zoneout": (0.0, 0.3)},
    {
        "T": 9,
        "B": 13,
        "I": 6,
        "H": 19,
        "L": 2,
        "bidirectional": True,
        "P": 7,
        "dropout": 0.3,
        "cells": True,
        "lengths": (9, 1, 2, 8, 3, 7, 4, 6, 5, 5, 9, 1, 2),
        "recurrent_dropout": 0.3,
        "zoneout": (0.4, 0.2),
    },
    {"T": 30, "B": 3, "I": 4, "H": 8, "L": 2, "recurrent_dropout": 0.2, "zoneout": (0.1, 0.2), "lengths": (30, 7, 19)},
    {
        "T": 9,
        "B": 7,
        "I": 6,
        "H": 19,
        "L": 2,
        "bidirectional": True,
        "lengths": (9, 1, 2, 8, 3, 7, 4),
        "dropout": 0.3,
        "recurrent_dropout": 0.3,
        "zoneout": (0.0, 0.2),
    },
    # a projection
    {"T": 1, "B": 1, "I": 1, "H": 2, "P": 1},
    {"T": 5, "B": 3, "I": 4, "H": 9, "P": 5},
    {"T": 4, "B": 7, "I": 6, "H": 33, "L": 2, "P": 17, "bidirectional": True, "lengths": (4, 2, 1, 3, 4, 1, 2)},
    {"T": 5, "B": 2, "I": 3, "H": 20, "L": 3, "P": 16, "bias": False, "states": False},
    {"T": 4, "B": 3, "I": 5, "H": 70, "L": 2, "P": 67, "dropout": 0.3, "cells": True},
    # layers of different widths
    {"T": 4, "B": 3, "I": 5, "H": (9, 4), "L": 2},
    {"T": 5, "B": 4, "I": 3, "H": (5, 17, 8), "L": 3, "bidirectional": True, "lengths": (2, 5, 1, 3)},
    {"T": 4, "B": 3, "I": 4, "H": (16, 7, 7, 12), "L": 4, "dropout": 0.4, "cells": True},
    {"T": 5, "B": 2, "I": 3, "H": (9, 12, 7), "L": 3, "P": 6, "lengths": (5, 3), "states": False},
    # cell states of all steps
    {"T": 1, "B": 2, "I": 2, "H": 3, "cells": True},
    {"T": 6, "B": 4, "I": 4, "H": 9, "L": 2, "lengths": (2, 6, 1, 3), "cells": True},
    {"T": 5, "B": 3, "I": 4, "H": 17, "L": 2, "bidirectional": True, "lengths": (5, 1, 4), "cells": True},
    # a long sequence
    {"T": 50, "B": 3, "I": 8, "H": 16, "L": 2},
    # one dropout mask a sentence
    {"T": 6, "B": 4, "I": 4, "H": 7, "L": 2, "lengths": (2, 6, 1, 3), "dropout": 0.4, "dropout_mask": "sentence"},
    # a residual stack, alone and with everything
    {"T": 4, "B": 3, "I": 5, "H": 9, "L": 2, "residual": True},
    {
        "T": 7,
        "B": 5,
        "I": 8,
        "H": 8,
        "L": 4,
        "residual": True,
        "lengths": (2, 7, 1, 3, 7),
        "dropout": 0.3,
        "cells": True,
    },
    {"T": 5, "B": 4, "I": 3, "H": 7, "L": 4, "residual": True, "bidirectional": True, "lengths": (2, 5, 1, 3)},
    {"T": 6, "B": 3, "I": 4, "H": 5, "L": 3, "residual": True, "bidirectional": True, "dropout": 0.3},
    {
        "T": 8,
        "B": 4,
        "I": 6,
        "H": (19, 9, 12),
        "L": 3,
        "P": 7,
        "residual": True,
        "lengths": (8, 1, 2, 8),
        "dropout": 0.3,
        "dropout_mask": "sentence",
        "recurrent_dropout": 0.3,
        "zoneout": (0.4, 0.2),
    },
)


def _fits(cell, shape):
    """A cell with a single state has no projection, and no zoneout of c."""
    return not CELLS[cell].single_state or ("P" not in shape and not shape.get("zoneout", (0,))[0])


CASES = tuple(Case(cell=cell, **shape) for cell in CELLS for shape in _SHAPES if _fits(cell, shape))
"""Every shape with every cell."""


@dataclass(frozen=True)
class Arrays:
    """Inputs of a case, float64: x [T, B, I], dy [T, B, D*R] and dcells [T, B, D*H]; h0, c0, dhn and dcn in the form of
    a stack's states; lengths int64 [B] or None; parameters by name; masks [T, B, D*R], one for each layer but the last,
    or None; masks inside the layers."""

    x: np.ndarray
    lengths: np.ndarray | None
    h0: np.ndarray | tuple
    c0: np.ndarray | tuple
    parameters: dict[str, np.ndarray]
    dy: np.ndarray
    dcells: np.ndarray
    dhn: np.ndarray | tuple
    dcn: np.ndarray | tuple
    masks: tuple[np.ndarray, ...] | None
    noise: Noise


def each(work, states):
    """`work` on the array or arrays that a state is made of, in the same form."""
    return tuple(map(work, states)) if isinstance(states, (tuple, list)) else work(states)


def named(name, states):
    """A state's array or arrays by name: {"hn": ...}, or {"hn[0]": ..., "hn[1]": ...}."""
    if not isinstance(states, (tuple, list)):
        return {name: states}
    return {f"{name}[{layer}]": piece for layer, piece in enumerate(states)}


def drawn_noise(case, rng):
    """Masks of recurrent dropout and zoneout."""
    spec, recurrent, zoneout = case.spec, None, None
    widths = [(spec.hidden_sizes[pseudo_layer // spec.directions], spec.state_sizes[pseudo_layer // spec.directions])
              for pseudo_layer in range(spec.pseudo_layers)]  # fmt: skip
    if case.recurrent_dropout:
        kept = [rng.random((case.B, state)) >= case.recurrent_dropout for _, state in widths]
        recurrent = tuple(mask / (1 - case.recurrent_dropout) for mask in kept)
    if any(case.zoneout):
        zoneout = tuple(
            tuple(rng.random((case.T, case.B, w)) < p for w, p in zip(pair, case.zoneout, strict=True))
            for pair in widths
        )
        if CELLS[case.cell].single_state:  # c is h
            zoneout = tuple((h, h) for _, h in zoneout)
    return Noise(recurrent, zoneout)


def make(case, seed=0):
    """The same arrays for the same case and seed. Beyond a sequence's length x and dy are not zero: nobody may look."""
    rng = np.random.default_rng((seed, *case.id.encode()))
    spec = case.spec
    rows, shapes = (case.T, case.B), spec.state_shapes(case.B)
    near_one = CELLS[case.cell].ones or ("none",)  # so that no term of a multiplicative cell vanishes
    parameters = {
        name: rng.uniform(-1, 1, shape) / np.sqrt(min(spec.hidden_sizes)) + name.startswith(near_one)
        for name, shape in spec.parameter_shapes().items()
    }

    def states(half, factor=1):
        return joined([rng.standard_normal(shape) * factor for shape in half])

    masks = None
    if case.dropout:
        kept = [rng.random((*rows, spec.directions * width)) >= case.dropout for width in spec.state_sizes[:-1]]
        masks = tuple(mask / (1 - case.dropout) for mask in kept)
    h0, c0 = (states(half, case.states) for half in shapes)
    return Arrays(
        x=rng.standard_normal((*rows, case.I)),
        lengths=None if case.lengths is None else np.array(case.lengths, dtype=np.int64),
        h0=h0,
        c0=h0 if CELLS[case.cell].single_state else c0,
        parameters=parameters,
        dy=rng.standard_normal((*rows, spec.output_size)),
        dcells=rng.standard_normal((*rows, spec.directions * spec.hidden_sizes[-1])) * case.cells,
        dhn=states(shapes[0]),
        dcn=states(shapes[1]),
        masks=masks,
        noise=drawn_noise(case, rng),
    )
