"""The native part: thin calls into the C API (csrc/include/rnn_engine.h).

Arrays are contiguous CPU arrays, or (address, name of the dtype, number of values) of memory elsewhere. A stream is a
cudaStream_t; 0: the CPU, or CUDA's default stream.
"""

from collections.abc import Sequence
from typing import Any

Lane = Sequence[Any]
"""One (layer, direction)'s weight_ih, weight_hh, bias_ih, bias_hh, weight_hr and the cell's vectors; None if absent."""

class EngineError(RuntimeError): ...

class Problem:
    rows: int
    def __init__(
        self,
        *,
        cell: int,
        dtype: int,
        steps: int,
        batch: int,
        input_size: int,
        hidden_sizes: Sequence[int],
        projection: int,
        directions: int,
        bias: bool,
        training: bool,
        output: bool,
        cell_output: bool,
        input_gradient: bool,
        prepacked: bool,
        dropout: float,
        recurrent_dropout: float,
        zoneout: tuple[float, float],
        zoneout_masks: bool,
        seed: int,
        batch_sizes: Sequence[int] | None,
        row_ids: Sequence[int] | None,
        memory: int,
        budget: int,
        schedule: int,
        tf32: bool,
    ) -> None: ...

class Plan:
    reserve_bytes: int
    workspace_bytes: int
    forward_workspace_bytes: int
    backward_workspace_bytes: int
    steps: int
    seconds: float
    groups: int
    tile_count: int
    def __init__(self, context: Context, problem: Problem) -> None: ...
    def policies(self) -> list[int]: ...
    def buffers(self) -> list[tuple[str, str, int, int, int, int, int, int]]: ...
    def kinds(self) -> list[int]: ...
    def tile(self, index: int) -> tuple[int, int, int, int, int, list[int]]: ...
    def forward(
        self,
        weights: Sequence[Lane],
        packed: Any,
        x: Any,
        h0: Any,
        c0: Any,
        y: Any,
        cy: Any,
        hn: Any,
        cn: Any,
        reserve: Any,
        workspace: Any,
        stream: int = 0,
    ) -> None: ...
    def backward(
        self,
        weights: Sequence[Lane],
        gradients: Sequence[Lane],
        x: Any,
        h0: Any,
        c0: Any,
        y: Any,
        dy: Any,
        dcy: Any,
        dhn: Any,
        dcn: Any,
        dx: Any,
        dh0: Any,
        dc0: Any,
        reserve: Any,
        workspace: Any,
        overwrite: bool = False,
        stream: int = 0,
    ) -> None: ...

class LossProblem:
    def __init__(
        self,
        *,
        dtype: int,
        gradients: int,
        tokens: int,
        features: int,
        vocabulary: int,
        ignore_index: int,
        smoothing: float,
        tf32: bool = False,
    ) -> None: ...

class Context:
    threads: int
    def __init__(self, threads: int, isa: str | None = None) -> None: ...
    @staticmethod
    def cuda(library: str, device: int) -> Context: ...
    @property
    def isa(self) -> str: ...
    @property
    def products(self) -> str: ...
    @property
    def graphs(self) -> int: ...
    def packed_bytes(self, problem: Problem) -> int: ...
    def pack(self, problem: Problem, weights: Sequence[Lane], packed: Any, stream: int = 0) -> None: ...
    def calibrate(self, dtype: int = 0) -> None: ...
    def loss_workspace(self, problem: LossProblem) -> int: ...
    def linear_cross_entropy(
        self,
        problem: LossProblem,
        inputs: Sequence[Any],
        scale: float,
        gradients: Sequence[Any],
        workspace: Any,
        result: Any,
        stream: int = 0,
    ) -> None: ...
    def gemm(self, m: int, n: int, k: int, a: Any, b: Any, c: Any, workspace: Any) -> None: ...
    def gemm_workspace(self, n: int, k: int) -> int: ...
    def convert(self, values: Any, out: Any) -> None: ...
    def peak(self, iterations: int, dtype: int = 0) -> float: ...

def has_isa(isa: str) -> bool: ...
