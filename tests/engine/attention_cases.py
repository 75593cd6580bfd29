"""Cases of attention for every device and type, and its results by name."""

from dataclasses import dataclass

import numpy as np
import torch

from rnn_engine.reference_attention import attention as reference

GRADIENTS = ("d_queries", "d_keys", "d_values")


@dataclass(frozen=True)
class Case:
    """T target steps, B sentences, S source steps, A key size, C value size; lengths are drawn if `ragged`."""

    T: int
    B: int
    S: int
    A: int
    C: int
    heads: int = 1
    ragged: bool = False
    scale: float | None = None
    dropout: float = 0.0

    @property
    def id(self):
        """Name of the case in pytest's output."""
        flags = f"{'-ragged' if self.ragged else ''}{f'-p{self.dropout}' if self.dropout else ''}"
        return f"T{self.T}-B{self.B}-S{self.S}-A{self.A}-C{self.C}-h{self.heads}{flags}"


CASES = (
    # the smallest of everything
    Case(1, 1, 1, 1, 1),
    Case(3, 2, 1, 4, 5, ragged=True),  # sources of one word
    Case(1, 3, 7, 5, 2),
    # around the widths of vectors, register blocks and panels
    Case(4, 2, 8, 7, 9),
    Case(7, 3, 15, 16, 17, ragged=True),
    Case(16, 2, 16, 17, 15, scale=3.0),
    Case(13, 3, 17, 33, 31, ragged=True),
    Case(25, 2, 65, 31, 64, dropout=0.3),
    Case(6, 2, 130, 64, 66, ragged=True, dropout=0.5),
    # around the block of queries: one, one and a bit, three
    Case(96, 1, 5, 3, 4, ragged=True),
    Case(97, 2, 21, 18, 9),
    Case(200, 2, 33, 5, 8, ragged=True, dropout=0.1),
    # heads
    Case(9, 2, 11, 12, 6, heads=3),
    Case(19, 3, 23, 48, 32, heads=16, ragged=True, dropout=0.2),
    Case(100, 2, 18, 14, 10, heads=2, ragged=True),
)


@dataclass(frozen=True)
class Given:
    """Tensors of a case: three leaves, lengths or None, and context's gradient."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    source_lengths: torch.Tensor | None
    target_lengths: torch.Tensor | None
    d_context: torch.Tensor

    @property
    def leaves(self):
        """What has gradients."""
        return self.queries, self.keys, self.values

    @property
    def inputs(self):
        """What a call is given by position."""
        return *self.leaves, self.source_lengths, self.target_lengths


def make(case, dtype=torch.float64):
    rng = np.random.default_rng((case.T, case.B, case.S, case.A, case.C))
    shapes = (case.T, case.B, case.A), (case.S, case.B, case.A), (case.S, case.B, case.C), (case.T, case.B, case.C)
    queries, keys, values, d_context = (torch.tensor(rng.standard_normal(shape), dtype=dtype) for shape in shapes)
    lengths = None, None
    if case.ragged:
        lengths = torch.tensor(rng.integers(1, case.S + 1, case.B)), torch.tensor(rng.integers(0, case.T + 1, case.B))
    for leaf in (queries, keys, values):
        leaf.requires_grad_()
    return Given(queries, keys, values, *lengths, d_context)


def options(case):
    return {"heads": case.heads, "scale": case.scale, "dropout": case.dropout}


def expected(case, given, kept=None):
    """The reference's results for these tensors, as they are."""
    arrays = [each.detach().double().numpy() for each in given.leaves]
    lengths = [None if each is None else each.tolist() for each in (given.source_lengths, given.target_lengths)]
    rest = {"kept": kept, "d_context": given.d_context.double().numpy()}
    return reference(*arrays, *lengths, heads=case.heads, scale=case.scale, **rest)
