"""Cases of linear_cross_entropy for every device and type, and its results by name."""

import math
from dataclasses import dataclass

import numpy as np
import torch

IGNORED = -100


@dataclass(frozen=True)
class Case:
    """M tokens, E features, V classes; every `ignore`-th target is left out (0: none)."""

    M: int
    E: int
    V: int
    smoothing: float = 0.1
    bias: bool = True
    ignore: int = 0
    scale: float = 1.0

    @property
    def id(self):
        """Name of the case in pytest's output."""
        flags = f"{'' if self.bias else '-nobias'}{f'-ignore{self.ignore}' if self.ignore else ''}"
        return f"M{self.M}-E{self.E}-V{self.V}-s{self.smoothing:g}{flags}"


CASES = (
    # the smallest of everything
    Case(1, 1, 1),
    Case(1, 1, 1, smoothing=0.0, bias=False),
    Case(1, 5, 7),
    Case(5, 1, 3, bias=False),
    Case(9, 4, 1),
    Case(3, 2, 2, smoothing=1.0),
    # around the widths of vectors, register blocks and panels
    Case(4, 3, 4),
    Case(7, 8, 9, smoothing=0.0),
    Case(15, 16, 17, bias=False),
    Case(16, 17, 15),
    Case(17, 15, 16),
    Case(33, 31, 65),
    Case(65, 63, 33, smoothing=0.0, ignore=3),
    Case(64, 64, 64),
    # around the blocks of classes, the chunks of tokens, and the pieces of k
    Case(12, 5, 95),
    Case(12, 5, 96),
    Case(12, 5, 97, bias=False),
    Case(21, 257, 193),
    Case(255, 7, 101),
    Case(256, 3, 50),
    Case(257, 6, 289, smoothing=0.0),
    Case(600, 9, 120, ignore=2),
    Case(700, 65, 40, ignore=5, bias=False),
    # tokens left out: all, all but one
    Case(20, 4, 6, ignore=1),
    Case(2, 4, 6, ignore=2),
    # logits far apart
    Case(50, 20, 300, scale=40.0),
)


def make(case, dtype=torch.float64):
    rng = np.random.default_rng((case.M, case.E, case.V))
    hidden = case.scale * rng.standard_normal((case.M, case.E))
    weight = rng.standard_normal((case.V, case.E)) / math.sqrt(case.E)
    bias = rng.standard_normal(case.V) if case.bias else None
    targets = rng.integers(0, case.V, case.M)
    if case.ignore:
        targets[:: case.ignore] = IGNORED
    as_leaf = lambda a: None if a is None else torch.tensor(a, dtype=dtype, requires_grad=True)  # noqa: E731
    return as_leaf(hidden), as_leaf(weight), as_leaf(bias), torch.tensor(targets)


def gradients_of(hidden, weight, bias):
    tensors = {"d_hidden": hidden, "d_weight": weight, "d_bias": bias}
    return {name: tensor.grad for name, tensor in tensors.items() if tensor is not None}


def numbers(found, *leaves):
    sums = {"loss": found.loss.detach(), "nll": found.nll, "target_is_argmax": found.target_is_argmax}
    return sums | gradients_of(*leaves)
