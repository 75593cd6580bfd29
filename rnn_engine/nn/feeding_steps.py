"""What a decoder with input feeding does between the steps of its layers, and that in reverse: calls of the engine.

Forward nothing is kept but the attentional vectors, which are the result. Backward takes `CHUNK` steps at a time: what
attention gave them is made again by one call; then a step at a time gets the gradients that the step before waits for;
those of weights, keys and values are products and sums over the whole chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_engine import native
from rnn_engine.nn.autograd import plain, value_dtype
from rnn_engine.nn.devices import NAMES, Arena, Device

CHUNK = 16
"""Steps that backward makes attention again for at a time. Fixed, as it is where sums over a target's steps are cut."""

_IDENTITY, _TANH = 0, 1


class Leaves(NamedTuple):
    """Tensors that a step reads beside the layers' states, or their gradients."""

    keys: Tensor
    """[S, B, A]."""
    values: Tensor
    """[S, B, C]."""
    weight: Tensor
    """[O, C + H]."""
    bias: Tensor | None
    """[O]."""
    query_weight: Tensor | None
    """[A, H]."""
    vector: Tensor | None
    """[A]."""


@dataclass(frozen=True)
class Step:
    """What a step computes beside its layers, without the tensors."""

    device: Device
    dtype: torch.dtype
    threads: int
    heads: int
    scale: float
    attention_dropout: float
    dropout: float
    per_sentence: bool
    attention_seed: int
    seed: int


class Between:
    """The calls between steps, on tensors that are as the engine reads them.

    Args:
        step: What is computed.
        leaves: The tensors.
        lengths: [B] int64 steps of each source, or None.
        gradients: Whether backward is what it is for.
    """

    def __init__(self, step: Step, leaves: Leaves, lengths: Tensor | None, *, gradients: bool) -> None:
        self._step, self._device, self._dtype = step, step.device, step.dtype
        self._engine = step.device.context(step.threads)
        matrices = (leaves.keys, leaves.values, leaves.weight, leaves.query_weight)
        keys, values, weight, query_weight = (plain(step.device, each, step.dtype) for each in matrices)
        vectors = (plain(step.device, each, value_dtype(step.dtype)) for each in (leaves.bias, leaves.vector))
        assert keys is not None
        assert values is not None
        assert weight is not None
        self._leaves = Leaves(keys, values, weight, *self._placed(vectors, query_weight))
        self._lengths = lengths
        (self._source, self._batch, self._keys), self._values = keys.shape, values.shape[2]
        self._states = weight.shape[1] - self._values
        self._workspace = self._make_workspace(gradients)

    @staticmethod
    def _placed(vectors: Any, query_weight: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        bias, vector = vectors
        return bias, query_weight, vector

    def _make_workspace(self, gradients: bool) -> Arena:
        """As much as the most that any call needs."""
        sizes = []
        for steps in (1, CHUNK) if gradients else (1,):
            problem = self._attention(steps, 0)
            wanted = (0, 1, 6 if self._leaves.vector is None else 14) if gradients else (0,)
            sizes += [native.attention_workspace(self._engine, problem, each) for each in wanted]
            for linear in (self._readout(steps, 0), self._query(steps)):
                sizes += self._engine.linear_workspace(linear)[: 1 + gradients]
        return self._device.workspace(max(sizes))

    def _attention(self, steps: int, first: int) -> native.AttentionProblem:
        return native.AttentionProblem(
            dtype=native.DTYPES[NAMES[self._dtype]],
            form=int(self._leaves.vector is not None),
            steps=steps,
            batch=self._batch,
            source_steps=self._source,
            key_size=self._keys,
            value_size=self._values,
            heads=self._step.heads,
            scale=self._step.scale,
            dropout=self._step.attention_dropout,
            first_step=first,
        )

    def _linear(self, steps: int, outputs: int, sizes: Sequence[int], **more: Any) -> native.LinearProblem:
        options: dict[str, Any] = {"activation": _IDENTITY, "dropout": 0.0, "per_sentence": False, **more}
        dtype = native.DTYPES[NAMES[self._dtype]]
        return native.LinearProblem(
            dtype=dtype, steps=steps, batch=self._batch, outputs=outputs, input_sizes=sizes, **options
        )

    def _readout(self, steps: int, first: int) -> native.LinearProblem:
        """Of the attentional vectors of some steps, counted from `first`."""
        noise = {"dropout": self._step.dropout, "per_sentence": self._step.per_sentence, "first_step": first}
        sizes = [self._values, self._states]
        return self._linear(steps, len(self._leaves.weight), sizes, activation=_TANH, **noise)

    def _query(self, steps: int) -> native.LinearProblem:
        return self._linear(steps, self._keys, [self._states])

    def _inputs(self, queries: Tensor) -> tuple[Tensor | None, ...]:
        return queries, self._leaves.keys, self._leaves.values, self._leaves.vector, self._lengths, None

    def queries(self, states: Tensor) -> Tensor:
        """What the states [T, B, H] of some steps ask, [T, B, A]."""
        if self._leaves.query_weight is None:
            return states
        queries = self._device.new((*states.shape[:2], self._keys), self._dtype)
        weight, inputs = self._leaves.query_weight, [(states, self._states)]
        self._engine.linear(self._query(len(states)), inputs, weight, None, queries, 0, self._workspace)
        return queries

    def look(self, queries: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Contexts [T, B, C] of some steps, and what backward needs of them."""
        context = self._device.new((*queries.shape[:2], self._values), self._dtype)
        logarithms = self._device.new((*queries.shape[:2], self._step.heads), value_dtype(self._dtype))
        problem, inputs = self._attention(len(queries), first), self._inputs(queries)
        outputs = (context, logarithms, None)
        native.attention_forward(self._engine, problem, inputs, outputs, self._workspace, self._step.attention_seed)
        return context, logarithms

    def run(self, states: Tensor, first: int, vectors: Tensor) -> None:
        """Make the attentional vectors [1, B, O] of the states [1, B, H] of step `first`."""
        context, _ = self.look(self.queries(states), first)
        inputs = [(context, self._values), (states, self._states)]
        leaves = self._leaves
        self._engine.linear(
            self._readout(1, first), inputs, leaves.weight, leaves.bias, vectors, self._step.seed, self._workspace
        )

    def backward_readout(
        self, rows: tuple[Tensor, Tensor, Tensor, Tensor], first: int, wanted: Sequence[Tensor | None], overwrite: bool
    ) -> None:
        """Gradients of some steps' attentional vectors.

        Args:
            rows: Contexts, states, the vectors and their gradients.
            first: The first of the steps.
            wanted: Where those of contexts, states, weight and bias go.
            overwrite: What stands in the last two does not matter.
        """
        context, states, vectors, upstream = rows
        *d_inputs, d_weight, d_bias = wanted
        self._engine.linear_backward(
            self._readout(len(states), first),
            [(context, self._values), (states, self._states)],
            self._leaves.weight,
            vectors,
            upstream,
            self._step.seed,
            d_inputs,
            d_weight,
            d_bias,
            self._workspace,
            overwrite,
        )

    def backward_query(self, states: Tensor, upstream: Tensor, d_states: Tensor | None, d_weight: Any) -> None:
        """Gradients of `queries`: of the states, or added to `d_weight`."""
        problem, inputs, weight = self._query(len(states)), [(states, self._states)], self._leaves.query_weight
        assert weight is not None
        self._engine.linear_backward(
            problem, inputs, weight, None, upstream, 0, [d_states], d_weight, None, self._workspace
        )

    def backward_look(
        self, queries: Tensor, logarithms: Tensor, upstream: Tensor, first: int, wanted: Sequence[Tensor | None]
    ) -> None:
        """Gradients of `look`: `wanted` says where those of queries, keys, values and vector go."""
        problem, inputs, seed = self._attention(len(queries), first), self._inputs(queries), self._step.attention_seed
        native.attention_backward(
            self._engine, problem, inputs, logarithms, upstream, tuple(wanted), self._workspace, seed
        )


class Reverse:
    """The gradients between steps, the last step first.

    Args:
        between: The calls.
        step: What they compute.
        rows: States [T, B, H] and attentional vectors [T, B, O] of all steps.
        upstream: Gradient of the vectors, [T, B, O].
        leaves: As they were given, for the shapes of gradients.
        wanted: Which of their gradients are.
    """

    def __init__(
        self,
        between: Between,
        step: Step,
        rows: tuple[Tensor, Tensor],
        upstream: Tensor,
        leaves: Leaves,
        wanted: Sequence[bool],
    ) -> None:
        self._between, self._step, self._device = between, step, step.device
        self._states, self._vectors = rows
        self._upstream, self._leaves, self._wanted = upstream, leaves, wanted
        self.d_states = self._device.new(self._states.shape, step.dtype)
        """[T, B, H], a step's after its call."""
        sums = value_dtype(step.dtype)

        def begun(name: str, make: Callable[..., Tensor]) -> Tensor | None:
            leaf = getattr(leaves, name)
            needed = leaf is not None and wanted[Leaves._fields.index(name)]
            return make(leaf.shape, sums) if needed else None

        self._d_weight, self._d_bias = begun("weight", self._device.new), begun("bias", self._device.new)
        self._d_query_weight, self._d_vector = (begun(name, self._device.zeros) for name in ("query_weight", "vector"))
        self._d_keys: Tensor | None = None
        self._d_values: Tensor | None = None

    def before_step(self, dx: Tensor, t: int) -> None:
        """Make the gradient of step t's states; dx [T, B, E + O] holds those of the inputs of the steps after."""
        last = t == len(self._states) - 1
        if last or (t + 1) % CHUNK == 0:
            self._begin_chunk(t + 1)
        place = t % CHUNK
        here, one = self._d_vectors[place : place + 1], slice(t, t + 1)
        if last:
            here.copy_(self._upstream[one])
        else:
            add(self._upstream[t], dx[t + 1, :, -here.shape[-1] :], here[0])
        d_context = self._d_context[place : place + 1]
        rows = (self._context[place : place + 1], self._states[one], self._vectors[one], here)
        self._between.backward_readout(rows, t, [d_context, self.d_states[one], None, None], False)
        d_queries = self._d_queries[place : place + 1]
        queries, logarithms = self._queries[place : place + 1], self._logarithms[place : place + 1]
        self._between.backward_look(queries, logarithms, d_context, t, [d_queries, None, None, None])
        through = d_queries
        if self._leaves.query_weight is not None:
            through = torch.empty_like(self._states[one])
            self._between.backward_query(self._states[one], d_queries, through, None)
        add(self.d_states[t], through[0], self.d_states[t])
        if place == 0:
            self._end_chunk(t, last_chunk=t + CHUNK >= len(self._states))

    def gradients(self) -> list[Tensor | None]:
        """Of the leaves, where they are wanted."""
        found = Leaves(
            self._d_keys,  # type: ignore[arg-type]
            self._d_values,  # type: ignore[arg-type]
            self._d_weight,  # type: ignore[arg-type]
            self._d_bias,
            self._d_query_weight,
            self._d_vector,
        )
        return [
            None if gradient is None or leaf is None or not wanted else self._device.cast(gradient, leaf.dtype)
            for gradient, leaf, wanted in zip(found, self._leaves, self._wanted, strict=True)
        ]

    def _begin_chunk(self, end: int) -> None:
        """What attention gave the steps of the chunk that ends before `end`, and room for gradients."""
        first = (end - 1) // CHUNK * CHUNK
        states = self._states[first:end]
        self._queries = self._between.queries(states)
        self._context, self._logarithms = self._between.look(self._queries, first)
        new, dtype = self._device.new, self._step.dtype
        self._d_vectors = new(self._vectors[first:end].shape, dtype)
        self._d_context = new(self._context.shape, dtype)
        self._d_queries = new(self._queries.shape, dtype)

    def _end_chunk(self, first: int, *, last_chunk: bool) -> None:
        """The sums over the chunk's steps."""
        states = self._states[first : first + len(self._context)]
        vectors = self._vectors[first : first + len(self._context)]
        if self._d_weight is not None or self._d_bias is not None:
            rows = (self._context, states, vectors, self._d_vectors)
            self._between.backward_readout(rows, first, [None, None, self._d_weight, self._d_bias], last_chunk)
        if self._d_query_weight is not None:
            self._between.backward_query(states, self._d_queries, None, self._d_query_weight)
        new, dtype = self._device.new, self._step.dtype
        d_keys = new(self._leaves.keys.shape, dtype) if self._wanted[0] else None
        d_values = new(self._leaves.values.shape, dtype) if self._wanted[1] else None
        if d_keys is None and d_values is None and self._d_vector is None:
            return
        sums = [None, d_keys, d_values, self._d_vector]
        self._between.backward_look(self._queries, self._logarithms, self._d_context, first, sums)
        self._d_keys, self._d_values = _summed(self._d_keys, d_keys), _summed(self._d_values, d_values)


def _summed(sum: Tensor | None, more: Tensor | None) -> Tensor | None:
    """The sum over chunks, of halves in float32."""
    return more if sum is None or more is None else sum.to(value_dtype(sum.dtype)).add_(more)


def add(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Make a + b, by this thread alone: torch's would spin after it, and delay the engine's."""
    if a.dtype == torch.bfloat16:  # NumPy has none
        torch.add(a, b, out=out)
    else:
        np.add(a.numpy(), b.numpy(), out=out.numpy())


__all__ = ["CHUNK", "Between", "Leaves", "Reverse", "Step", "add"]
