"""The output layer's loss in float64 NumPy, readable as the equations: the yardstick for `linear_cross_entropy`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Loss(NamedTuple):
    """Sums over the tokens that are not ignored, and the gradients of `loss`.

    Attributes:
        loss: Smoothed loss.
        nll: Negative log-likelihood of the targets.
        target_is_argmax: Tokens whose target is the first class with the highest logit.
        tokens: Tokens not ignored.
        divergence: KL(p || q) + KL(q || p) over the pairs, unweighted.
        d_hidden: [M, E], zeros where ignored.
        d_weight: [V, E].
        d_bias: [V].
    """

    loss: float
    nll: float
    target_is_argmax: int
    tokens: int
    divergence: float
    d_hidden: Array
    d_weight: Array
    d_bias: Array


def linear_cross_entropy(
    hidden: ArrayLike,
    weight: ArrayLike,
    targets: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    divergence: float = 0.0,
) -> Loss:
    """Compute the loss and its gradients.

        z = W x + b;  p = softmax(z);  loss = -(1 - s) log p[target] - s mean(log p);  dz = p - (1 - s) onehot - s/V

    With a divergence, to the loss of tokens 2i and 2i + 1, which predict p and q, comes

        divergence (sum p (log p - log q) + sum q (log q - log p)),

    and to dz of the first divergence (p (log p - log q - sum p (log p - log q)) + p - q), to the other's the same with
    p and q exchanged.

    Args:
        hidden: x, [M, E].
        weight: W, [V, E].
        targets: Classes, integers [M].
        bias: b, [V]; None stands for zeros.
        label_smoothing: s, 0 to 1.
        ignore_index: Tokens with this target are left out.
        divergence: Weight of how far the two passes lie apart; 0: tokens are no pairs.

    Source: Szegedy et al. 2016, section 7; Liang et al. 2021, equation 2 (divergence).
    """
    x, w, chosen = np.asarray(hidden, np.float64), np.asarray(weight, np.float64), np.asarray(targets)
    kept = np.flatnonzero(chosen != ignore_index)
    x_kept, ids, rows = x[kept], chosen[kept], np.arange(len(kept))
    z = x_kept @ w.T + (0.0 if bias is None else np.asarray(bias, np.float64))  # [kept, V]
    highest = z.max(1, keepdims=True)
    log_p = z - highest - np.log(np.exp(z - highest).sum(1, keepdims=True))
    nll = -log_p[rows, ids].sum()
    dz = np.exp(log_p) - label_smoothing / len(w)
    dz[rows, ids] -= 1 - label_smoothing
    apart = 0.0
    if divergence:
        p, others = np.exp(log_p), log_p.reshape(-1, 2, len(w))[:, ::-1].reshape(log_p.shape)
        with np.errstate(invalid="ignore"):
            above = np.where(log_p == others, 0.0, log_p - others)  # -inf in both is no difference
        far = np.where(p > 0, p * above, 0.0)
        apart = float(far.sum())
        dz += divergence * (far - p * far.sum(1, keepdims=True) + p - np.exp(others))
    d_hidden = np.zeros_like(x)
    d_hidden[kept] = dz @ w
    return Loss(
        loss=float((1 - label_smoothing) * nll - label_smoothing * log_p.mean(1).sum() + divergence * apart),
        nll=float(nll),
        target_is_argmax=int((z.argmax(1) == ids).sum()),
        tokens=len(kept),
        divergence=apart,
        d_hidden=d_hidden,
        d_weight=dz.T @ x_kept,
        d_bias=dz.sum(0),
    )
