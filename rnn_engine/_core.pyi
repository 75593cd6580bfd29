"""The native part: thin calls into the C API (csrc/include/rnn_engine.h).

Arrays are contiguous: of NumPy, or tensors of torch on the context's device. A stream is a cudaStream_t; 0: the CPU, or
CUDA's default stream.
"""

from collections.abc import Callable, Sequence
from typing import Any, overload

Shape = tuple[int, ...]

OWN_WORKSPACE: int
"""Bytes of workspace that a call on the CPU need not be given."""

class EngineError(RuntimeError): ...

class Plan:
    dtype: str
    training: bool
    y_shape: Shape | None
    cy_shape: Shape | None
    h_shape: Shape
    c_shape: Shape
    reserve_bytes: int
    workspace_bytes: int
    forward_workspace_bytes: int
    backward_workspace_bytes: int
    packed_bytes: int
    steps: int
    seconds: float
    groups: int
    tile_count: int
    def __init__(
        self,
        context: Context,
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
        batch_sizes: Sequence[int] | None,
        dropout: float,
        recurrent_dropout: float,
        zoneout: tuple[float, float],
        zoneout_masks: bool,
        memory: int,
        budget: int,
        schedule: int,
        tf32: bool,
        residual: bool,
        dropout_per_sentence: bool,
    ) -> None: ...
    def policies(self) -> list[int]: ...
    def buffers(self) -> list[tuple[str, str, int, int, int, int, int, int]]: ...
    def kinds(self) -> list[int]: ...
    def tile(self, index: int) -> tuple[int, int, int, int, int, list[int]]: ...
    def forward(
        self,
        weights: list[Any],
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
        seed: int = 0,
        row_ids: Any = None,
        stream: int = 0,
        before_step: Callable[[int], object] | None = None,
    ) -> None: ...
    def backward(
        self,
        weights: list[Any],
        gradients: list[Any],
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
        seed: int = 0,
        row_ids: Any = None,
        stream: int = 0,
        before_step: Callable[[int], object] | None = None,
    ) -> None: ...
    def pack(self, weights: list[Any], packed: Any, stream: int = 0) -> None: ...

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
        divergence: float = 0.0,
    ) -> None: ...

class AttentionProblem:
    def __init__(
        self,
        *,
        dtype: int,
        form: int,
        steps: int,
        batch: int,
        source_steps: int,
        key_size: int,
        value_size: int,
        heads: int,
        scale: float,
        dropout: float,
        first_step: int = 0,
        tf32: bool = False,
    ) -> None: ...

class LinearProblem:
    def __init__(
        self,
        *,
        dtype: int,
        activation: int,
        steps: int,
        batch: int,
        outputs: int,
        input_sizes: Sequence[int],
        dropout: float,
        per_sentence: bool,
        first_step: int = 0,
        tf32: bool = False,
    ) -> None: ...

class DropoutProblem:
    def __init__(
        self,
        *,
        dtype: int,
        steps: int,
        batch: int,
        features: int,
        scale: float,
        dropout: float,
        row_dropout: float,
        per_sentence: bool,
    ) -> None: ...

Rows = tuple[Any, int]
"""An array, from the first value of its rows to the last, and the values from one row to the next."""

class Context:
    threads: int
    def __init__(self, threads: int, isa: str | None = None) -> None: ...
    @staticmethod
    def cuda(library: str, number: int, device: int) -> Context: ...
    @property
    def isa(self) -> str: ...
    @property
    def products(self) -> str: ...
    @property
    def graphs(self) -> int: ...
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
    def linear_workspace(self, problem: LinearProblem) -> tuple[int, int]: ...
    def linear(
        self,
        problem: LinearProblem,
        inputs: Sequence[Rows],
        weight: Any,
        bias: Any,
        y: Any,
        seed: int,
        workspace: Any,
        stream: int = 0,
    ) -> None: ...
    def linear_backward(
        self,
        problem: LinearProblem,
        inputs: Sequence[Rows],
        weight: Any,
        y: Any,
        dy: Any,
        seed: int,
        d_inputs: Sequence[Any],
        d_weight: Any,
        d_bias: Any,
        workspace: Any,
        overwrite: bool = False,
        stream: int = 0,
    ) -> None: ...
    def dropout(self, problem: DropoutProblem, input: Rows, out: Any, seed: int, stream: int = 0) -> None: ...
    def gemm(self, m: int, n: int, k: int, a: Any, b: Any, c: Any, workspace: Any) -> None: ...
    def gemm_workspace(self, n: int, k: int) -> int: ...
    def convert(self, values: Any, out: Any) -> None: ...
    def peak(self, iterations: int, dtype: int = 0) -> float: ...

def attention_workspace(context: Context, problem: AttentionProblem, gradients: int) -> int:
    """Bytes of workspace of forward (`gradients` = 0), or of a backward call for these gradients."""

def attention_forward(
    context: Context,
    problem: AttentionProblem,
    inputs: tuple[Any, ...],
    outputs: tuple[Any, ...],
    workspace: Any,
    seed: int = 0,
    stream: int = 0,
) -> None:
    """From queries, keys, values, vector and two arrays of lengths to context, logarithms and weights."""

def attention_backward(
    context: Context,
    problem: AttentionProblem,
    inputs: tuple[Any, ...],
    logarithms: Any,
    d_context: Any,
    gradients: tuple[Any, ...],
    workspace: Any,
    seed: int = 0,
    stream: int = 0,
) -> None:
    """To the gradients of queries, keys, values and vector."""

def has_isa(isa: str) -> bool: ...
def all_finite(values: Any) -> bool:
    """Whether no float32 value of an array is infinite or not a number."""

class ModelFile:
    """A model file (csrc/include/rnn_translate_file.h); ValueError if it cannot be opened."""

    def __init__(self, path: bytes) -> None: ...
    def sections(self) -> list[tuple[str, int, int, int]]:
        """(name, type, rows, columns) of each section."""

    def read(self, name: str) -> bytes | None:
        """The bytes of a section that is no matrix."""

def make_model_file(
    tensors: dict[str, Any],
    parts: Sequence[tuple[str, int, bytes]],
    shape: Sequence[int],
) -> bytes:
    """Contents of a file with some sections (name, type, content) and the network of these tensors, of such a shape."""

class Translation:
    """A translation network and its search (csrc/include/rnn_translate.h)."""

    @overload
    def __init__(self, file: ModelFile, isa: str | None = None) -> None: ...
    @overload
    def __init__(self, tensors: dict[str, Any], shape: Sequence[int], isa: str | None = None) -> None:
        """`shape`: the numbers of rnn_translate_shape in their order."""
    @staticmethod
    def join(parts: Sequence[Translation]) -> Translation: ...
    def set_shortlist(self, first: bytes, candidates: bytes, frequent: bytes) -> None: ...
    def search(
        self,
        sources: Sequence[Sequence[int]],
        max_lengths: Sequence[int],
        prefixes: Sequence[Sequence[int]] | None = None,
        *,
        beam_size: int,
        n_best: int,
        length_penalty: float,
        no_repeat_ngram: int,
        min_length: int,
        bos: int,
        eos: int,
        forbidden: Sequence[int],
        sampling: dict[str, Any] | None = None,
        attention: bool = False,
        shortlist: int = 0,
        batch_size: int,
        threads: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[tuple[tuple[int, ...], float, float, bytes, bytes | None]]]: ...
    def score(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        bos: int,
        eos: int,
        attention: bool,
        batch_size: int,
        threads: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[bytes, bytes | None]]: ...
