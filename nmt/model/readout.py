"""The readout in training: the output layer together with the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.model.divergence import divergence_workspace, output_divergence
from rnn_engine import linear_cross_entropy, native
from rnn_engine.nn.devices import called_dtype, device_of


def output_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    smoothing: float,
    *,
    padding: int = -100,
    divergence: float = 0.0,
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
        divergence: Weight of how far two passes over each token, neighbours along the last dimension of targets, lie
            apart; 0: there is one pass.

    Returns:
        The loss and the plain negative log-likelihood, both summed over the tokens that are not padding, in nats, and
        the number of these tokens, on CUDA a tensor like them; only the loss carries gradients, to the first three.

    Source: Szegedy et al. 2016, section 7; Liang et al. 2021 (R-Drop), equation 2 (divergence).
    """
    fused = hidden.device.type == "cpu"
    result = linear_cross_entropy(
        hidden,
        weight,
        targets,
        bias,
        label_smoothing=smoothing,
        ignore_index=padding,
        reduction="sum",
        divergence=divergence if fused else 0.0,
    )
    loss = result.loss
    if divergence and not fused:
        one, other = (hidden[..., pass_::2, :][targets[..., pass_::2] != padding] for pass_ in (0, 1))  # [tokens, E]
        loss = loss + divergence * output_divergence(one, other, weight, bias)
    return loss, result.nll, result.tokens


def loss_workspace(weight: Tensor, tokens: int, *, divergence: bool = False) -> int:
    """Tell the bytes that `output_loss` takes beside its gradients, for so many tokens; under autocast, in its type.

    Args:
        weight: Output layer, [V, E].
        tokens: Number of vectors.
        divergence: Whether they come in pairs that are compared.
    """
    device, fused = device_of(weight), weight.device.type == "cpu"
    dtype = called_dtype(weight, device.dtypes)
    problem = native.LossProblem(
        dtype=native.DTYPES[str(dtype).removeprefix("torch.")],
        gradients=7,
        tokens=tokens,
        features=weight.shape[1],
        vocabulary=weight.shape[0],
        ignore_index=-100,
        smoothing=0.1,
        divergence=float(divergence and fused),
    )
    apart = divergence_workspace(weight, tokens // 2) if divergence and not fused else 0
    rounded = 0 if dtype == weight.dtype else dtype.itemsize * weight.numel()
    return apart + rounded + device.context(torch.get_num_threads()).loss_workspace(problem)
