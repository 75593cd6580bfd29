"""Every cell, policy and type of values against the float64 reference, over the table of cases of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from cases import CASES, Case, make
from running import rounded, run_engine, run_plain, run_reference

from gpu_parts.meter import Meter, judge, products_in
from rnn_engine.spec import CELLS

POLICIES = ("store", "recompute", "checkpoint")
KINDS = ("float64", "float32", "tf32", "bfloat16", "float16")
EPSILON = {torch.bfloat16: 2**-8, torch.float16: 2**-11}
"""Errors below it say nothing."""


class _Rounded(torch.autograd.Function):
    """A value that is stored rounded, and so is its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, kind: str) -> torch.Tensor:
        ctx.kind = kind
        return _nearest(tensor, kind)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _nearest(gradient, ctx.kind), None


def _nearest(tensor: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "tf32":  # 10 bits instead of 23
        return ((tensor.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)
    return tensor.to(getattr(torch, kind)).to(tensor.dtype)


@dataclass(frozen=True)
class _Prepared:
    """A case in a type: its inputs, the exact results, and those of plain operations, which float64 is not held to."""

    case: Case
    arrays: Any
    exact: dict[str, Any]
    usual: dict[str, torch.Tensor] | None


def correctness(meter: Meter) -> list[dict[str, Any]]:
    """A row for each cell, policy and type, TF32 too.

    `ratio` is the engine's root mean square error, over all cases and relative to each tensor's largest value, over
    that of plain float32 operations which round what the engine stores (for TF32, to what it multiplies). With layer
    norm, where one row of nearly equal values decides such a sum, it is the geometric mean over tensors. For float64 it
    is the largest error over 1e-11. At most 2 is right.
    """
    rows: list[dict[str, Any]] = []
    for cell in CELLS:
        cases = [case for case in CASES if case.cell == cell]
        cases = cases[8::30] if meter.dry else cases  # small, and of different kinds
        for kind in KINDS:
            with products_in(kind) as dtype:
                prepared = [_prepare(case, kind, dtype) for case in cases]
                for policy in POLICIES:
                    row: dict[str, Any] = {"cell": cell, "dtype": kind, "policy": policy, "cases": len(cases)}
                    rows.append(judge(row, partial(_ratio, meter, prepared, dtype, policy)))
    return rows


def _prepare(case: Case, kind: str, dtype: torch.dtype) -> _Prepared:
    exact = dtype == torch.float64
    arrays = make(case) if exact else rounded(make(case), dtype)
    usual = None if exact else run_plain(case, arrays, stored=lambda tensor: _Rounded.apply(tensor, kind))
    return _Prepared(case, arrays, run_reference(case, arrays), usual)


def _ratio(meter: Meter, prepared: list[_Prepared], dtype: torch.dtype, policy: str) -> float:
    ours, plain, ratios, worst = 0.0, 0.0, [], 0.0
    least = EPSILON.get(dtype, 1e-9)
    for each in prepared:
        engine = run_engine(each.case, each.arrays, dtype, memory=policy, device=meter.device)
        for name, exact in each.exact.items():
            difference = engine[name].cpu().double().numpy() - exact
            if not np.isfinite(difference).all():
                return float("inf")
            worst = max(worst, float(np.abs(difference).max() / max(1.0, np.abs(exact).max())))
            if each.usual is None:
                continue
            scale = np.abs(exact).max() or 1.0
            usual = each.usual[name].to(dtype).double().numpy() - exact
            squares = np.mean((difference / scale) ** 2), np.mean((usual / scale) ** 2)
            ours, plain = ours + squares[0], plain + squares[1]
            ratios.append(np.log(max(least, np.sqrt(squares[0])) / max(least, np.sqrt(squares[1]))))
    if not ratios:
        return worst / 1e-11
    return float(np.exp(np.mean(ratios)) if prepared[0].case.cell.startswith("layer_norm") else np.sqrt(ours / plain))


def small_case(device: torch.device) -> None:
    """What the sanitizer watches: a training call of every cell, both directions, ragged, with masks."""
    for cell in CELLS:
        case = Case(
            cell, T=4, B=5, I=9, H=17, L=2, bidirectional=True, lengths=(4, 1, 3, 4, 2), dropout=0.3,
            recurrent_dropout=0.2,
        )  # fmt: skip
        arrays = make(case)
        for kind in KINDS[1:]:
            with products_in(kind) as dtype:
                for policy in POLICIES[:2]:
                    run_engine(case, arrays, dtype, memory=policy, device=device)
