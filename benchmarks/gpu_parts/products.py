"""The engine with cuBLAS beside the engine with its own products alone: both in one process."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch
from torch import Tensor

import rnn_engine
from gpu_parts.correctness import KINDS
from gpu_parts.meter import Meter, Work, judge, products_in
from rnn_engine import native

_SETTING = "RNN_ENGINE_CUBLAS"


def cublas_found() -> bool:
    """Whether there are two kinds of products to compare."""
    return native.cuda_context(0).products.startswith("cuBLAS")


def without_cublas(work: Work) -> Any:
    """What `work` returns when the engine makes all products itself."""
    before = os.environ.get(_SETTING)
    os.environ[_SETTING] = "off"  # another context for as long
    try:
        return work()
    finally:
        os.environ.pop(_SETTING)
        if before is not None:
            os.environ[_SETTING] = before


def products(meter: Meter) -> list[dict[str, Any]]:
    """A row for each type, like those of `correctness`, whose cases are too small for a library; none without cuBLAS.

    `ratio` is the root mean square error of weights' gradients by cuBLAS over that of the engine's own, against
    float64; for float64 it is the largest difference between both, relative to the largest value, over 1e-11.
    """
    rows = []
    for kind in KINDS if cublas_found() else ():
        row: dict[str, Any] = {"cell": "lstm and loss", "dtype": kind, "policy": "cuBLAS", "cases": 1}
        rows.append(judge(row, partial(_ratio, meter, kind)))
    return rows


def _ratio(meter: Meter, kind: str) -> float:
    steps, batch, inputs, hidden, vocabulary = (4, 16, 32, 32, 128) if meter.dry else (32, 64, 256, 512, 4096)
    torch.manual_seed(0)
    dtype = torch.float32 if kind == "tf32" else getattr(torch, kind)
    layer = rnn_engine.LSTM(inputs, hidden).to(dtype)
    x, weight = (torch.randn(size).to(dtype) for size in ((steps, batch, inputs), (vocabulary, hidden)))
    targets = torch.randint(vocabulary, (steps, batch))

    def gradients(to: torch.dtype) -> list[Tensor]:
        module, rows = rnn_engine.LSTM(inputs, hidden).to(meter.device, to), x.to(meter.device, to)
        module.load_state_dict(layer.state_dict())
        output = weight.to(meter.device, to).requires_grad_()
        loss = rnn_engine.linear_cross_entropy(module(rows)[0], output, targets.to(meter.device)).loss
        weights = [module.get_parameter(name) for name in ("weight_ih_l0", "weight_hh_l0")]
        found = torch.autograd.grad(loss, [*weights, output])
        return [gradient.double() for gradient in found]

    exact = without_cublas(partial(gradients, torch.float64))
    with products_in(kind):
        own, found = without_cublas(partial(gradients, dtype)), gradients(dtype)
    if dtype == torch.float64:
        return max(float((f - e).abs().max() / e.abs().max()) for f, e in zip(found, exact, strict=True)) / 1e-11
    errors = [
        sum(float(((g - e) / e.abs().max()).square().mean()) for g, e in zip(side, exact, strict=True))
        for side in (found, own)
    ]
    return float((errors[0] / errors[1]) ** 0.5)
