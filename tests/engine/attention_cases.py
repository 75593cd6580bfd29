"""Cases of attention for every device and type, and its results by name."""

from dataclasses import dataclass

import numpy as np
import torch

from rnn_engine.reference_attention import attention as reference

GRADIENTS = ("d_queries", "d_keys", "d_values", "d_vector")


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
    form: str = "dot"

    @property
    def id(self):
        """Name of the case in pytest's output."""
        flags = f"{'-ragged' if self.ragged else ''}{f'-p{self.dropout}' if self.dropout else ''}"
        return f"{self.form}-T{self.T}-B{self.B}-S{self.S}-A{self.A}-C{self.C}-h{self.heads}{flags}"


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
    # around the block of queries: one, one and a bit, three; the least for long sources
    Case(256, 1, 5, 3, 4, ragged=True),
    Case(257, 2, 21, 18, 9),
    Case(600, 2, 13, 5, 8, ragged=True, dropout=0.1),
    Case(50, 1, 1500, 3, 2),
    # heads
    Case(9, 2, 11, 12, 6, heads=3),
    Case(19, 3, 23, 48, 32, heads=16, ragged=True, dropout=0.2),
    Case(300, 2, 18, 14, 10, heads=2, ragged=True),
    # the additive form
    Case(1, 1, 1, 1, 1, form="additive"),
    Case(5, 3, 6, 33, 7, ragged=True, form="additive"),
    Case(17, 2, 9, 16, 12, heads=2, dropout=0.2, scale=0.7, form="additive"),
    Case(260, 3, 5, 15, 4, ragged=True, form="additive"),
    # sentences below and above a tile's 16 steps, in one call, and blocks of queries
    Case(40, 6, 35, 33, 20, heads=1, ragged=True, dropout=0.2),
    Case(300, 5, 60, 34, 36, heads=2, ragged=True),
)


@dataclass(frozen=True)
class Given:
    """Tensors of a case: leaves, lengths or None, and context's gradient."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    vector: torch.Tensor | None
    source_lengths: torch.Tensor | None
    target_lengths: torch.Tensor | None
    d_context: torch.Tensor

    @property
    def leaves(self):
        """What has gradients."""
        leaves = self.queries, self.keys, self.values
        return leaves if self.vector is None else (*leaves, self.vector)

    @property
    def inputs(self):
        """What a call is given by position."""
        return self.queries, self.keys, self.values, self.source_lengths, self.target_lengths


def make(case, dtype=torch.float64):
    rng = np.random.default_rng((case.T, case.B, case.S, case.A, case.C))
    shapes = (case.T, case.B, case.A), (case.S, case.B, case.A), (case.S, case.B, case.C), (case.T, case.B, case.C)
    queries, keys, values, d_context = (torch.tensor(rng.standard_normal(shape), dtype=dtype) for shape in shapes)
    lengths = None, None
    if case.ragged:
        lengths = torch.tensor(rng.integers(1, case.S + 1, case.B)), torch.tensor(rng.integers(0, case.T + 1, case.B))
    vector = None
    if case.form == "additive":
        vector = torch.tensor(rng.standard_normal(case.A), dtype=torch.float32 if dtype == torch.bfloat16 else dtype)
    for leaf in (queries, keys, values, vector):
        if leaf is not None:
            leaf.requires_grad_()
    return Given(queries, keys, values, vector, *lengths, d_context)


def options(case, given):
    return {
        "form": case.form,
        "vector": given.vector,
        "heads": case.heads,
        "scale": case.scale,
        "dropout": case.dropout,
    }


def expected(case, given, kept=None):
    """The reference's results for these tensors, as they are."""
    queries, keys, values, *vector = (each.detach().double().numpy() for each in given.leaves)
    lengths = [None if each is None else each.tolist() for each in (given.source_lengths, given.target_lengths)]
    rest = {"vector": vector[0] if vector else None, "kept": kept, "d_context": given.d_context.double().numpy()}
    return reference(queries, keys, values, *lengths, heads=case.heads, scale=case.scale, **rest)


def magnitudes(case, given, kept=None):
    """Sums of the absolute terms of bfloat16 results, by name: what errors of rounded weights and of rounded gradients
    of scores grow with."""
    queries, keys, values, d_context = (each.detach().double().numpy() for each in (*given.leaves[:3], given.d_context))
    lengths = (given.source_lengths, case.S), (given.target_lengths, case.T)
    sources, targets = ([whole] * case.B if each is None else each.tolist() for each, whole in lengths)
    scale = (case.A // case.heads) ** -0.5 if case.scale is None else case.scale
    found = {"context": np.zeros_like(d_context), "d_queries": np.zeros_like(queries)}
    found |= {"d_keys": np.zeros_like(keys), "d_values": np.zeros_like(values)}
    for b, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for head in range(case.heads):
            a, c = (slice(head * n // case.heads, (head + 1) * n // case.heads) for n in (case.A, case.C))
            q, k, v = queries[:target, b, a], keys[:source, b, a], values[:source, b, c]
            dc = d_context[:target, b, c]
            weights = np.exp(scale * (q @ k.T - (q @ k.T).max(1, keepdims=True, initial=-1e9)))
            weights /= weights.sum(1, keepdims=True)
            mask = np.ones_like(weights) if kept is None else kept[head, :target, b, :source]
            e = mask * (dc @ v.T)
            d_scores = np.abs(scale * weights * (e - (weights * e).sum(1, keepdims=True)))
            found["context"][:target, b, c] = (mask * weights) @ np.abs(v)
            found["d_values"][:source, b, c] = (mask * weights).T @ np.abs(dc)
            found["d_queries"][:target, b, a] = d_scores @ np.abs(k)
            found["d_keys"][:source, b, a] = d_scores.T @ np.abs(q)
    return found
