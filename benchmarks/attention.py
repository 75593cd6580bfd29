"""Attention beside torch's: time of forward + backward, and what is kept in between.

    python benchmarks/attention.py [--dtype bfloat16] [--ragged] [--form additive] [--shapes B,T,S,A ...] [--heads 1]
        [--threads 2] [--cpu-time] [--repeats 7] [--json FILE]

B sentences, T target steps, S source steps, width A of queries, keys and values. Peers are
F.scaled_dot_product_attention, and bmm, softmax, bmm; both on contiguous [B, heads, T, A / heads], while the engine
takes its tensors as layers leave them, [T, B, A]. With --ragged, lengths are uniform in 1 to S and 1 to T; the peers
mask the sources. Sides are measured in turn; a ratio is the median over the repeats of peer time / engine time, with
its smallest and largest value. GFLOP/s counts the seven matrix products of whole lengths: 14 B T S A. The peer of the
additive form, whose scores are w . tanh(query + key), is made of single operations.

With --cpu-time, and one thread, CPU seconds are measured, which other programs on the machine move less.

Kept is what a call saves for backward beside its inputs, with its result.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from measuring import interleaved, numbers, parser, spread, spread_text, write_json
from torch import Tensor
from torch.nn import functional

import rnn_engine
from rnn_engine import native

DEFAULT_SHAPES = [(64, 25, 25, 512), (64, 50, 50, 512), (64, 200, 200, 512)]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MINIMUM = 0.05
"""Seconds of a round, at least."""


class Inputs(NamedTuple):
    """Tensors of one side: leaves, lengths or None, and the context's gradient."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    source_lengths: Tensor | None
    target_lengths: Tensor | None
    d_context: Tensor
    heads: int
    vector: Tensor | None

    @property
    def leaves(self) -> list[Tensor]:
        """What has gradients."""
        return [each for each in (self.queries, self.keys, self.values, self.vector) if each is not None]


def engine_attention(x: Inputs) -> Tensor:
    """The engine's context, [T, B, A]."""
    form: Literal["dot", "additive"] = "dot" if x.vector is None else "additive"
    lengths = x.source_lengths, x.target_lengths
    return rnn_engine.attention(x.queries, x.keys, x.values, *lengths, form=form, vector=x.vector, heads=x.heads)


def padding(x: Inputs) -> Tensor | None:
    """Where sources have ended, bool [B, 1, 1, S]."""
    if x.source_lengths is None:
        return None
    return (torch.arange(x.keys.shape[2]) >= x.source_lengths[:, None])[:, None, None]


def torch_attention(x: Inputs) -> Tensor:
    """F.scaled_dot_product_attention, [B, heads, T, A / heads]."""
    mask = padding(x)
    return functional.scaled_dot_product_attention(x.queries, x.keys, x.values, None if mask is None else ~mask)


def bmm_attention(x: Inputs) -> Tensor:
    """The same of single operations."""
    queries, keys, values = (each.flatten(0, 1) for each in (x.queries, x.keys, x.values))
    scores = torch.bmm(queries * queries.shape[2] ** -0.5, keys.transpose(1, 2)).view(*x.queries.shape[:3], -1)
    mask = padding(x)
    if mask is not None:
        scores = scores.masked_fill(mask, -torch.inf)
    return torch.bmm(scores.softmax(-1).flatten(0, 1), values).view(x.d_context.shape)


def additive_attention(x: Inputs) -> Tensor:
    """The additive form of single operations, [B, heads, T, A / heads]."""
    assert x.vector is not None
    hidden = torch.tanh(x.queries[:, :, :, None] + x.keys[:, :, None])  # [B, heads, T, S, A / heads]
    scores = (hidden @ x.vector.to(hidden.dtype).view(x.heads, 1, -1, 1)).squeeze(-1)
    mask = padding(x)
    if mask is not None:
        scores = scores.masked_fill(mask, -torch.inf)
    return scores.softmax(-1) @ x.values


SIDES = {"engine": engine_attention, "sdpa": torch_attention, "bmm": bmm_attention, "additive": additive_attention}
SIDES_OF = {"dot": ("engine", "sdpa", "bmm"), "additive": ("engine", "additive")}


def make_inputs(side: str, shape: tuple[int, ...], arguments: argparse.Namespace) -> Inputs:
    """The same numbers in a side's layout."""
    batch, steps, source_steps, width = shape
    torch.manual_seed(0)
    lengths: tuple[Tensor | None, Tensor | None] = (None, None)
    if arguments.ragged:
        lengths = torch.randint(1, source_steps + 1, (batch,)), torch.randint(1, steps + 1, (batch,))
    tensors = [torch.randn(count, batch, width) for count in (steps, source_steps, source_steps, steps)]
    tensors = [tensor.to(DTYPES[arguments.dtype]) for tensor in tensors]
    if side != "engine":
        by_heads = [tensor.view(*tensor.shape[:2], arguments.heads, -1).permute(1, 2, 0, 3) for tensor in tensors]
        tensors = [tensor.contiguous() for tensor in by_heads]
    queries, keys, values = (tensor.requires_grad_() for tensor in tensors[:3])
    vector = torch.randn(width).requires_grad_() if arguments.form == "additive" else None
    return Inputs(queries, keys, values, *lengths, tensors[3], arguments.heads, vector)


def step(side: str, inputs: Inputs) -> None:
    """One forward and backward pass."""
    for leaf in inputs.leaves:
        leaf.grad = None
    torch.autograd.backward(SIDES[side](inputs), inputs.d_context)


def kept_bytes(side: str, inputs: Inputs) -> int:
    """What forward saves for backward beside its inputs, and its result."""
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        note(SIDES[side](inputs))
    given = {tensor.untyped_storage().data_ptr() for tensor in inputs if isinstance(tensor, Tensor)}
    return sum(count for address, count in found.items() if address not in given)


def measure(shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of a shape."""
    sides = SIDES_OF[arguments.form]
    inputs = {side: make_inputs(side, shape, arguments) for side in sides}
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rounds = interleaved([partial(step, side, inputs[side]) for side in sides], arguments.repeats, MINIMUM, clock)
    times = dict(zip(sides, rounds, strict=True))
    batch, steps, source_steps, width = shape
    row: dict[str, Any] = {"shape": shape, "form": arguments.form, "heads": arguments.heads, "ragged": arguments.ragged}
    for side in sides:
        row |= {f"{side}_ms": statistics.median(times[side]) * 1e3, f"{side}_kept": kept_bytes(side, inputs[side])}
        if side != "engine":
            row |= spread(times[side], times["engine"], f"over_{side}")
    return row | {"gflops": 14e-9 * batch * steps * source_steps * width / statistics.median(times["engine"])}


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    line = f"{','.join(map(str, row['shape'])):>16} {row['gflops']:8.0f}"
    for side in SIDES_OF[row["form"]]:
        line += f" {row[f'{side}_ms']:9.2f} {row[f'{side}_kept'] / 1e6:8.2f}"
        line += "" if side == "engine" else f" {spread_text(row, f'over_{side}')}"
    return line


def main() -> None:
    """Measures all shapes and prints the table."""
    options = parser(__doc__, repeats=7)
    options.add_argument("--dtype", choices=DTYPES, default="float32")
    options.add_argument("--form", choices=SIDES_OF, default="dot")
    options.add_argument("--heads", type=int, default=1)
    options.add_argument("--cpu-time", action="store_true", help="measure CPU seconds; with --threads 1")
    options.add_argument("--ragged", action="store_true", help="lengths uniform in 1 to S, and 1 to T")
    options.add_argument("--shapes", nargs="+", type=numbers, default=DEFAULT_SHAPES, metavar="B,T,S,A")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    isa, rows = native.context(arguments.threads).isa, []
    print(f"{isa}, {arguments.dtype}, {arguments.threads} threads, torch {torch.__version__}", file=sys.stderr)
    heading = f"{'(B, T, S, A)':>16} {'GFLOP/s':>8}"
    for side in SIDES_OF[arguments.form]:
        heading += f" {f'{side} ms':>9} {'kept MB':>8}" + ("" if side == "engine" else f" {'ratio (min-max)':>19}")
    print(heading)
    for shape in arguments.shapes:
        rows.append(measure(shape, arguments))
        print(line_of(rows[-1]), flush=True)
    write_json(arguments.json, rows, threads=arguments.threads, dtype=arguments.dtype, cpu_time=arguments.cpu_time)


if __name__ == "__main__":
    main()
