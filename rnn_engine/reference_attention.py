"""Attention in float64 NumPy, readable as the equations: the yardstick for `rnn_engine.attention`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Attention(NamedTuple):
    """Results, and the gradients of sum(context * d_context).

    Attributes:
        context: [T, B, C], zeros beyond a target's length.
        weights: [T, B, S], the mean over the heads, before dropout.
        d_queries: [T, B, A].
        d_keys: [S, B, A].
        d_values: [S, B, C].
        d_vector: [A]; zeros for the dot form.
    """

    context: Array
    weights: Array
    d_queries: Array
    d_keys: Array
    d_values: Array
    d_vector: Array


def attention(
    queries: ArrayLike,
    keys: ArrayLike,
    values: ArrayLike,
    source_lengths: Sequence[int] | None = None,
    target_lengths: Sequence[int] | None = None,
    *,
    vector: ArrayLike | None = None,
    heads: int = 1,
    scale: float | None = None,
    kept: ArrayLike | None = None,
    d_context: ArrayLike = 0.0,
) -> Attention:
    """Compute attention and its gradients.

    For each sentence and head:

        z = scale q k^T;  p = softmax(z);  p' = m p;  context = p' v
        dv = p'^T dc;  e = m dc v^T;  dz = scale p (e - sum_s p e);  dq = dz k;  dk = dz^T q

    The additive form, with a vector w:

        h_ts = tanh(q_t + k_s);  z_ts = scale w . h_ts
        dw = sum dz_ts h_ts;  g_ts = dz_ts w (1 - h_ts^2);  dq_t = sum_s g_ts;  dk_s = sum_t g_ts

    Args:
        queries: q, [T, B, A].
        keys: k, [S, B, A].
        values: v, [S, B, C].
        source_lengths: [B]; all S if None.
        target_lengths: [B]; all T if None.
        vector: w, [A], of the additive form.
        heads: Each takes its columns of queries, keys and values.
        scale: If None 1 / sqrt(A / heads), for the additive form 1.
        kept: m, what dropout multiplies weights by, [heads, T, B, S]; ones if None.
        d_context: dc, [T, B, C].

    Source: Luong et al. 2015, section 3.1; Bahdanau et al. 2015, appendix A.1.2; Vaswani et al. 2017, section 3.2.
    """
    q, k, v = (np.asarray(each, np.float64) for each in (queries, keys, values))
    steps, batch, _ = q.shape
    dc = np.broadcast_to(np.asarray(d_context, np.float64), (steps, batch, v.shape[2]))
    m = np.ones((heads, steps, batch, len(k))) if kept is None else np.asarray(kept, np.float64)
    w = None if vector is None else np.asarray(vector, np.float64)
    factor = scale if scale is not None else (q.shape[2] // heads) ** -0.5 if w is None else 1.0
    gradients = (np.zeros_like(q), np.zeros_like(k), np.zeros_like(v), np.zeros(q.shape[2]))
    found = Attention(np.zeros_like(dc), np.zeros((steps, batch, len(k))), *gradients)
    for b in range(batch):
        source = slice(0, len(k) if source_lengths is None else source_lengths[b])
        target = slice(0, steps if target_lengths is None else target_lengths[b])
        for head in range(heads):
            key, value = (slice(head * n // heads, (head + 1) * n // heads) for n in (q.shape[2], v.shape[2]))
            qh, kh, vh, dch = q[target, b, key], k[source, b, key], v[source, b, value], dc[target, b, value]
            mh = m[head, target, b, source]
            h = None if w is None else np.tanh(qh[:, None] + kh)  # [T, S, A / heads]
            z = factor * (qh @ kh.T if h is None or w is None else h @ w[key])  # [T, S]
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            found.weights[target, b, source] += p / heads
            found.context[target, b, value] = (mh * p) @ vh
            e = mh * (dch @ vh.T)
            dz = factor * p * (e - (p * e).sum(1, keepdims=True))
            found.d_values[source, b, value] = (mh * p).T @ dch
            if h is None or w is None:
                found.d_queries[target, b, key] = dz @ kh
                found.d_keys[source, b, key] = dz.T @ qh
            else:
                g = dz[:, :, None] * w[key] * (1 - h**2)
                found.d_queries[target, b, key] = g.sum(1)
                found.d_keys[source, b, key] = g.sum(0)
                found.d_vector[key] += (dz[:, :, None] * h).sum((0, 1))
    return found
