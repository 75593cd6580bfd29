"""Every cell, policy and type of values against the float64 reference, over the table of cases of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from cases import CASES, Case, make
from running import rounded, run_engine, run_plain, run_reference

from gpu_parts.meter import Meter, attempt
from rnn_engine.spec import CELLS

POLICIES = ("store", "recompute", "checkpoint")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class _Rounded(torch.autograd.Function):
    """A value that is stored in a type, and so is its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        ctx.dtype = dtype
        return tensor.to(dtype).to(tensor.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient.to(ctx.dtype).to(gradient.dtype), None


@dataclass(frozen=True)
class _Prepared:
    """A case in a type: its inputs, the exact results, and those of plain operations if errors are compared to them."""

    case: Case
    arrays: Any
    exact: dict[str, Any]
    usual: dict[str, torch.Tensor] | None


def correctness(meter: Meter) -> list[dict[str, Any]]:
    """A row for each cell, policy and type, TF32 too.

    `ratio` is the engine's root mean square error over that of plain float32 operations which store what the engine
    stores in that type; for float64 its largest error over 1e-11, for TF32 over 2^-5. At most 2 is right; with layer
    norm, where one row of nearly equal values decides such a sum, it is the geometric mean over tensors, at most 1.5.
    """
    rows = []
    for cell in CELLS:
        cases = [case for case in CASES if case.cell == cell]
        cases = cases[:: len(cases) // 3] if meter.dry else cases
        for dtype, tf32 in (*((dtype, False) for dtype in DTYPES), (torch.float32, True)):
            prepared = [_prepare(case, dtype, compare=dtype != torch.float64 and not tf32) for case in cases]
            torch.backends.cudnn.allow_tf32 = tf32
            for policy in POLICIES:
                name = "tf32" if tf32 else str(dtype).removeprefix("torch.")
                row: dict[str, Any] = {"cell": cell, "dtype": name, "policy": policy, "cases": len(cases)}
                attempt(row, "ratio", partial(_ratio, meter, prepared, dtype, policy))
                geometric = prepared[0].usual is not None and cell.startswith("layer_norm")
                row["right"] = row["ratio"] is not None and row["ratio"] <= (1.5 if geometric else 2.0)
                rows.append(row)
    torch.backends.cudnn.allow_tf32 = False
    return rows


def _prepare(case: Case, dtype: torch.dtype, *, compare: bool) -> _Prepared:
    arrays = make(case) if dtype == torch.float64 else rounded(make(case), dtype)
    usual = run_plain(case, arrays, stored=lambda tensor: _Rounded.apply(tensor, dtype)) if compare else None
    return _Prepared(case, arrays, run_reference(case, arrays), usual)


def _ratio(meter: Meter, prepared: list[_Prepared], dtype: torch.dtype, policy: str) -> float:
    ours, plain, ratios, worst = 0.0, 0.0, [], 0.0
    for each in prepared:
        engine = run_engine(each.case, each.arrays, dtype, memory=policy, device=meter.device)
        for name, exact in each.exact.items():
            scale = np.abs(exact).max() or 1.0
            error = (engine[name].cpu().double().numpy() - exact) / scale
            worst = max(worst, float(np.abs(error).max())) if np.isfinite(error).all() else np.inf
            if each.usual is not None:
                usual = (each.usual[name].to(dtype).double().numpy() - exact) / scale
                squares = np.mean(error**2), np.mean(usual**2)
                ours, plain = ours + squares[0], plain + squares[1]
                ratios.append(np.log(max(1e-9, np.sqrt(squares[0])) / max(1e-9, np.sqrt(squares[1]))))
    if not np.isfinite(worst) or not ratios:
        return worst / (1e-11 if dtype == torch.float64 else 2**-5)
    return float(np.exp(np.mean(ratios)) if prepared[0].case.cell.startswith("layer_norm") else np.sqrt(ours / plain))


def small_case(device: torch.device) -> None:
    """What the sanitizer watches: a training call of every cell, both directions, ragged, with masks."""
    for cell in CELLS:
        case = Case(
            cell, T=5, B=6, I=9, H=33, L=2, bidirectional=True, lengths=(5, 1, 3, 5, 2, 4), dropout=0.3,
            recurrent_dropout=0.2,
        )  # fmt: skip
        arrays = make(case)
        for dtype in DTYPES:
            for policy in POLICIES[:2]:
                run_engine(case, arrays, dtype, memory=policy, device=device)
