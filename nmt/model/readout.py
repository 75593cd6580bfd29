"""The readout in training: the output layer together with the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from rnn_engine import linear_cross_entropy, native
from rnn_engine.nn.devices import called_dtype, device_of


def output_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float, *, padding: int = -100
) -> tuple[Tensor, Tensor, int | Tensor]:
    """Score the vocabulary, and compare with targets of which a share is spread evenly over it.

    No tensor of all tokens' scores is made; `rnn_engine.linear_cross_entropy` says how, and what autocast changes.

    Args:
        hidden: Vectors from the decoder, [..., E], of the weight's type or autocast's.
        weight: Output layer, [V, E].
        bias: Output layer, [V].
        targets: Ids, [...] int64.
        smoothing: The share, in [0, 1).
        padding: Id of the targets that are left out.

    Returns:
        The loss and the plain negative log-likelihood, both summed over the tokens that are not padding, in nats, and
        the number of these tokens, on CUDA a tensor like them; only the loss carries gradients, to the first three.

    Source: Szegedy et al. 2016, section 7.
    """
    result = linear_cross_entropy(
        hidden, weight, targets, bias, label_smoothing=smoothing, ignore_index=padding, reduction="sum"
    )
    return result.loss, result.nll, result.tokens


def loss_workspace(weight: Tensor, tokens: int) -> int:
    """Tell the bytes that `output_loss` takes beside its gradients, for so many tokens; under autocast, in its type.

    Args:
        weight: Output layer, [V, E].
        tokens: Number of vectors.
    """
    device = device_of(weight)
    dtype = called_dtype(weight, device.dtypes)
    problem = native.LossProblem(
        dtype=native.DTYPES[str(dtype).removeprefix("torch.")],
        gradients=7,
        tokens=tokens,
        features=weight.shape[1],
        vocabulary=weight.shape[0],
        ignore_index=-100,
        smoothing=0.1,
    )
    rounded = 0 if dtype == weight.dtype else dtype.itemsize * weight.numel()
    return rounded + device.context(torch.get_num_threads()).loss_workspace(problem)
