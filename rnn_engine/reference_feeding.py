"""Input feeding in float64 NumPy, step by step: the yardstick for `rnn_engine.input_feeding`.

It is made of the other references: a stack, attention and a linear layer, each for a single step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnn_engine import reference
from rnn_engine.reference_attention import attention
from rnn_engine.reference_linear import linear, linear_backward
from rnn_engine.spec import StackSpec

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attending:
    """What a step makes of its layers' output; see `rnn_engine.Attending`.

    Attributes:
        keys: [S, B, A].
        values: [S, B, C].
        source_lengths: [B]; all S if None.
        weight: [O, C + H].
        bias: [O].
        query_weight: [A, H], or None.
        vector: [A] of the additive form, or None.
        heads: Of attention.
    """

    keys: Array
    values: Array
    source_lengths: Sequence[int] | None
    weight: Array
    bias: Array
    query_weight: Array | None = None
    vector: Array | None = None
    heads: int = 1


@dataclass(frozen=True)
class Noise:
    """Masks; None: ones.

    Attributes:
        layers: Between the layers, L - 1 arrays [T, B, H].
        recurrent: What each layer's h is multiplied by before U, [B, H].
        zoneout: Where c and h of each layer stay what they were, [T, B, H] each.
        kept: What weights of attention are multiplied by, [heads, T, B, S].
        factors: What attentional vectors are multiplied by, [T, B, O].
    """

    layers: Sequence[Array] | None = None
    recurrent: Sequence[Array] | None = None
    zoneout: Sequence[tuple[Array, Array]] | None = None
    kept: Array | None = None
    factors: Array | None = None


NO_NOISE = Noise()


class _Step(NamedTuple):
    """What a step leaves for backward."""

    run: reference.Result
    query: Array
    context: Array
    vector: Array


def input_feeding(
    spec: StackSpec,
    parameters: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    states: tuple[ArrayLike, ArrayLike],
    fed: ArrayLike,
    attending: Attending,
    upstream: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    noise: Noise = NO_NOISE,
) -> dict[str, Array]:
    """Compute a_t = tanh([context_t; h_t] W^T + b) factors_t, h_t of [inputs_t; a_(t-1)], and the gradients.

    Args:
        spec: The layers.
        parameters: Theirs, by name.
        inputs: [T, B, E].
        states: h and c before the first step, [L, B, H] each.
        fed: a before the first step, [B, O].
        attending: The rest of a step.
        upstream: Gradients of a [T, B, O] and of the last h and c; zeros if None.
        noise: Masks.

    Returns:
        `vectors`, `hn` and `cn`; the gradients of what was given, by its name, of states as `h0` and `c0`.

    Source: Luong et al. 2015, section 3.3.
    """
    x, a = np.asarray(inputs, np.float64), np.asarray(fed, np.float64)
    h, c = (np.asarray(each, np.float64) for each in states)
    steps: list[_Step] = []
    for t, here in enumerate(x):
        masks = None if noise.layers is None else [each[t : t + 1] for each in noise.layers]
        zones = None if noise.zoneout is None else [tuple(each[t : t + 1] for each in pair) for pair in noise.zoneout]
        inside = reference.Noise(noise.recurrent, zones)  # type: ignore[arg-type]
        run = reference.forward(spec, parameters, np.concatenate([here, a], -1)[None], h, c, None, masks, inside)
        h, c = np.asarray(run.hn), np.asarray(run.cn)
        query = run.output if attending.query_weight is None else run.output @ attending.query_weight.T
        context = _look(attending, query, noise, t).context
        rows = [context[0], run.output[0]]
        a = linear(rows, attending.weight, attending.bias, _factors(noise, t), activation="tanh")
        steps.append(_Step(run, query, context, a))
    vectors = np.stack([step.vector for step in steps])
    d_vectors, dh, dc = upstream or (np.zeros_like(vectors), np.zeros_like(h), np.zeros_like(c))
    gradients = _backward(attending, steps, noise, (np.asarray(d_vectors, np.float64), dh, dc), x.shape[2])
    return {"vectors": vectors, "hn": h, "cn": c, **gradients}


def _factors(noise: Noise, t: int) -> Any:
    return 1.0 if noise.factors is None else noise.factors[t]


def _look(attending: Attending, query: Array, noise: Noise, t: int, d_context: ArrayLike = 0.0) -> Any:
    kept = None if noise.kept is None else noise.kept[:, t : t + 1]
    lengths: Any = attending.source_lengths
    how: dict[str, Any] = {"vector": attending.vector, "heads": attending.heads}
    return attention(query, attending.keys, attending.values, lengths, kept=kept, d_context=d_context, **how)


def _backward(
    attending: Attending, steps: list[_Step], noise: Noise, upstream: tuple[Array, ArrayLike, ArrayLike], width: int
) -> dict[str, Array]:
    d_vectors, dh, dc = upstream
    sums: dict[str, Array] = {}
    d_inputs: list[Array] = []
    d_fed: Any = 0.0
    for t in reversed(range(len(steps))):
        step, rows = steps[t], [steps[t].context[0], steps[t].run.output[0]]
        of_linear = linear_backward(
            rows, attending.weight, step.vector, d_vectors[t] + d_fed, _factors(noise, t), activation="tanh"
        )
        d_context, d_states = of_linear.inputs
        looked = _look(attending, step.query, noise, t, d_context[None])
        found = {
            "keys": looked.d_keys,
            "values": looked.d_values,
            "vector": looked.d_vector,
            "weight": of_linear.weight,
            "bias": of_linear.bias,
        }
        through = looked.d_queries[0]
        if attending.query_weight is not None:
            found["query_weight"] = through.T @ step.run.output[0]
            through = through @ attending.query_weight
        of_layers = reference.backward(step.run.tape, (d_states + through)[None], dh, dc)
        for name, value in {**found, **of_layers.parameters}.items():
            sums[name] = sums.get(name, 0.0) + value
        dh, dc = np.asarray(of_layers.dh0), np.asarray(of_layers.dc0)
        d_inputs.insert(0, of_layers.dx[0, :, :width])
        d_fed = of_layers.dx[0, :, width:]
    return {**sums, "inputs": np.stack(d_inputs), "fed": d_fed, "h0": np.asarray(dh), "c0": np.asarray(dc)}
