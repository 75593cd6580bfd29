"""Cases of `linear` for every device and type."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from masks import linear_factors

SEED = 11


@dataclass(frozen=True)
class Case:
    """T steps of B sentences, inputs of these widths, O outputs."""

    T: int
    B: int
    widths: tuple[int, ...]
    O: int  # noqa: E741  (its name everywhere)
    activation: str | None = "tanh"
    bias: bool = True
    dropout: float = 0.0
    per_sentence: bool = False
    scale: float = 1.0

    @property
    def id(self):
        """Name of the case in pytest's output."""
        flags = f"{self.activation or 'none'}{'' if self.bias else '-nobias'}"
        drops = f"-p{self.dropout:g}{'s' if self.per_sentence else ''}" if self.dropout else ""
        return f"T{self.T}-B{self.B}-I{'+'.join(map(str, self.widths))}-O{self.O}-{flags}{drops}"

    def options(self):
        """What a call is told beside its tensors."""
        return {"activation": self.activation, "dropout": self.dropout, "per_sentence": self.per_sentence}


CASES = (
    # the smallest of everything
    Case(1, 1, (1,), 1),
    Case(1, 1, (1,), 1, activation=None, bias=False, dropout=0.5),
    Case(1, 1, (2, 1), 3, activation=None),
    Case(1, 1, (5, 7), 9, dropout=0.5),
    # none at all
    Case(0, 3, (4, 2), 5, dropout=0.5),
    Case(3, 0, (4,), 5, activation=None),
    # around the widths of vectors, register blocks and panels
    Case(5, 1, (3, 4, 1), 15, bias=False),
    Case(1, 6, (16,), 16, dropout=0.3, per_sentence=True),
    Case(2, 3, (15, 17), 17, activation=None, dropout=0.3),
    Case(3, 5, (8, 9), 63, dropout=0.2),
    Case(7, 2, (33, 31), 64, dropout=0.2, per_sentence=True),
    Case(2, 13, (64, 1, 2), 65, activation=None, bias=False, dropout=0.9),
    Case(4, 7, (1, 1, 1, 1, 1, 1, 1, 1), 6),
    # rows enough to be shared by threads, beyond blocks of them, and beyond what sums and chunks of backward take
    Case(10, 10, (20, 12), 70, dropout=0.4),
    Case(33, 3, (6, 5), 10, dropout=1.0),
    Case(5, 205, (7, 3), 20, dropout=0.1, per_sentence=True),
    Case(43, 48, (3, 2), 5, activation=None),
    # columns beyond a block, k beyond a piece
    Case(2, 25, (4, 3), 530, dropout=0.25),
    Case(1, 3, (1030, 2051), 8),
    # saturated
    Case(3, 4, (10, 6), 21, scale=40.0, dropout=0.5),
)


def make(case, dtype=torch.float64):
    """Inputs, weight, bias and the gradient of the result."""
    rng = np.random.default_rng((case.T, case.B, *case.widths, case.O))
    inputs = [case.scale * rng.standard_normal((case.T, case.B, width)) for width in case.widths]
    weight = rng.standard_normal((case.O, sum(case.widths))) / math.sqrt(sum(case.widths))
    bias = rng.standard_normal(case.O) if case.bias else None
    as_leaf = lambda a: None if a is None else torch.tensor(a, dtype=dtype, requires_grad=True)  # noqa: E731
    dy = torch.tensor(rng.standard_normal((case.T, case.B, case.O)), dtype=dtype)
    return [*map(as_leaf, inputs)], as_leaf(weight), as_leaf(bias), dy


def drawn_seed():
    """The seed that a call draws after torch.manual_seed(SEED)."""
    torch.manual_seed(SEED)
    seed = int(torch.randint(2**62, ()).item())
    torch.manual_seed(SEED)
    return seed


def factors_of(case):
    """What the case's result is multiplied by, [M, O]."""
    if not case.dropout:
        return np.ones((case.T * case.B, case.O))
    drawn = linear_factors(drawn_seed(), case.T, case.B, case.O, case.dropout, case.per_sentence)
    return drawn.reshape(case.T * case.B, case.O)


def flat(tensor):
    """[M, width] in float64."""
    return None if tensor is None else tensor.detach().double().reshape(-1, tensor.shape[-1]).numpy()
