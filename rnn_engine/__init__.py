"""A recurrent engine: LSTM layers and their variants, with own kernels, for torch and for NumPy.

`LSTM`, `MILSTM`, `LayerNormLSTM` and `LayerNormMILSTM` stand in for `torch.nn.LSTM`, `GRU` for `torch.nn.GRU`;
`arrays.Stack` runs the same stacks forward without torch. Names are loaded when they are first used, so that importing
this package imports neither torch nor the native part.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnn_engine.arrays import Stack
    from rnn_engine.native import EngineError, available_isas
    from rnn_engine.nn.attention import attention
    from rnn_engine.nn.cross_entropy import CrossEntropy, linear_cross_entropy
    from rnn_engine.nn.dropout import dropout
    from rnn_engine.nn.feeding import Attending, input_feeding
    from rnn_engine.nn.linear import linear
    from rnn_engine.nn.modules import GRU, LSTM, MILSTM, LayerNormLSTM, LayerNormMILSTM
    from rnn_engine.nn.stepper import Stepper
    from rnn_engine.planning import Plan, plan
    from rnn_engine.spec import CELLS, CellSpec, Memory, StackSpec

_HOMES = {
    "GRU": "rnn_engine.nn.modules",
    "Attending": "rnn_engine.nn.feeding",
    "LSTM": "rnn_engine.nn.modules",
    "MILSTM": "rnn_engine.nn.modules",
    "LayerNormLSTM": "rnn_engine.nn.modules",
    "LayerNormMILSTM": "rnn_engine.nn.modules",
    "attention": "rnn_engine.nn.attention",
    "CrossEntropy": "rnn_engine.nn.cross_entropy",
    "dropout": "rnn_engine.nn.dropout",
    "input_feeding": "rnn_engine.nn.feeding",
    "linear": "rnn_engine.nn.linear",
    "linear_cross_entropy": "rnn_engine.nn.cross_entropy",
    "Stack": "rnn_engine.arrays",
    "Stepper": "rnn_engine.nn.stepper",
    "EngineError": "rnn_engine.native",
    "available_isas": "rnn_engine.native",
    "Plan": "rnn_engine.planning",
    "plan": "rnn_engine.planning",
    "CELLS": "rnn_engine.spec",
    "Memory": "rnn_engine.spec",
    "CellSpec": "rnn_engine.spec",
    "StackSpec": "rnn_engine.spec",
}

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "MILSTM",
    "Attending",
    "CellSpec",
    "CrossEntropy",
    "EngineError",
    "LayerNormLSTM",
    "LayerNormMILSTM",
    "Memory",
    "Plan",
    "Stack",
    "StackSpec",
    "Stepper",
    "attention",
    "available_isas",
    "dropout",
    "input_feeding",
    "linear",
    "linear_cross_entropy",
    "plan",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("nmt-rnn")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rnn_engine' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
