"""Contexts of the native engine (its threads and instruction set) and plans for them. Imports no torch."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rnn_engine import _core
from rnn_engine._core import (
    OWN_WORKSPACE,
    AttentionProblem,
    Context,
    DropoutProblem,
    EngineError,
    LinearProblem,
    LossProblem,
    Plan,
    attention_backward,
    attention_forward,
    attention_workspace,
    has_isa,
)
from rnn_engine.memory import across_forks
from rnn_engine.spec import CELLS, SCHEDULES, Memory, StackSpec, check_schedule

__all__ = [
    "CUDA_LIBRARY",
    "DTYPES",
    "ISAS",
    "MULTIPLY_BFLOAT16",
    "OWN_WORKSPACE",
    "STEPS",
    "STORE",
    "AttentionProblem",
    "Context",
    "DropoutProblem",
    "EngineError",
    "LinearProblem",
    "LossProblem",
    "Options",
    "Plan",
    "attention_backward",
    "attention_forward",
    "attention_workspace",
    "available_isas",
    "context",
    "cpu_count",
    "cuda_context",
    "cuda_library",
    "plan",
]

ISAS = ("amx_bf16", "avx512_bf16", "avx512", "avx2", "neon", "generic")
"""Instruction sets, best first."""

MULTIPLY_BFLOAT16 = ("amx_bf16", "avx512_bf16")
"""Those of them that multiply bfloat16 as it is, faster than float32. The others widen it first, and are slower."""

DTYPES = {"float32": 0, "float64": 1, "bfloat16": 2, "float16": 3}

STORE = Memory("store")

STEPS = "steps"
"""The schedule of what runs inside the recurrence: all layers take a step before any takes the next."""

_PLANS = 128  # remembered; one takes some kilobytes, of thousands of steps some more

CUDA_LIBRARY = "librnn_engine_cuda.so"
"""Name of the library for CUDA devices, which is installed beside the native part where it was built."""

_contexts: dict[tuple[int, str | None], Context] = {}
_cuda_contexts: dict[tuple[int, str, str | None, int, bool], Context] = {}
_lock = threading.RLock()  # a signal's handler may call a layer while its thread makes a context
across_forks(_lock)


def cpu_count() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_isas() -> tuple[str, ...]:
    """Instruction sets that this build and machine can run, best first."""
    return tuple(isa for isa in ISAS if has_isa(isa))


def context(threads: int, isa: str | None = None) -> Context:
    """The context with this many threads; made when first asked for, and kept.

    Args:
        threads: Number of threads, at least 1.
        isa: Instruction set; the environment's RNN_ENGINE_ISA, else the machine's best, if None.

    Raises:
        ValueError: The number of threads is out of bounds, or this build or machine lacks the instruction set.
    """
    key = (threads, isa or os.environ.get("RNN_ENGINE_ISA") or None)
    found = _contexts.get(key)
    if found is None:
        with _lock:
            found = _contexts.get(key) or _contexts.setdefault(key, Context(threads, key[1]))
    return found


def cuda_library() -> Path:
    """Where the library for CUDA devices is, or would be: RNN_ENGINE_CUDA_LIBRARY, else beside the native part."""
    return Path(os.environ.get("RNN_ENGINE_CUDA_LIBRARY") or Path(_core.__file__).with_name(CUDA_LIBRARY))


def cuda_context(index: int, *, emulated: bool = False) -> Context:
    """The context of a CUDA device; made when first asked for, and kept: one for each RNN_ENGINE_CUBLAS.

    Args:
        index: Number of the device.
        emulated: Whether the library is one for tests, whose device memory is the CPU's.

    Raises:
        EngineError: There is no library, no driver or no such device; the message says what to do.
    """
    path = cuda_library()
    # A forked child cannot use its parent's, and must not destroy them either.
    key = (os.getpid(), str(path), os.environ.get("RNN_ENGINE_CUBLAS"), index, emulated)
    with _lock:
        found = _cuda_contexts.get(key)
        if found is None:
            found = _cuda_contexts[key] = _make_cuda_context(path, index, emulated)
        return found


def _make_cuda_context(path: Path, index: int, emulated: bool) -> Context:
    chosen = "RNN_ENGINE_CUDA_LIBRARY names it" if os.environ.get("RNN_ENGINE_CUDA_LIBRARY") else "its place"
    if not path.is_file():
        raise EngineError(
            f"cuda:{index}: there is no {path} ({chosen}), the part of rnn_engine for CUDA devices. Build it with "
            "CUDA's nvcc in PATH: pip install . -C cmake.define.RNN_ENGINE_CUDA=ON; or set RNN_ENGINE_CUDA_LIBRARY to "
            "where it is; or stay on the CPU"
        )
    _load_cublas()
    try:
        return Context.cuda(str(path), index, -1 if emulated else index)
    except (EngineError, ValueError) as error:
        raise EngineError(
            f"cuda:{index}: {error} (library {path}). It needs an NVIDIA driver and a device with that number: "
            "nvidia-smi lists both"
        ) from None


def _load_cublas() -> None:
    """Loads cuBLAS where only cuda-pathfinder finds it, in NVIDIA's Python packages; the library for CUDA devices takes
    what is loaded. Where one is, as by torch, cuda-pathfinder loads no other."""
    if os.environ.get("RNN_ENGINE_CUBLAS"):
        return
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib  # noqa: PLC0415  (not a dependency)

        load_nvidia_dynamic_lib("cublasLt")
    except Exception:  # whatever it is: the engine has products of its own
        return


class Options(NamedTuple):
    """What a plan depends on, beside its stack, dtype and batch.

    Attributes:
        training: Whether forward keeps what backward needs.
        output: Whether y is wanted; only without `training` can it be left out.
        cell_output: Whether c of all steps of the last layer is wanted.
        input_gradient: Whether backward will be asked for x's gradient.
        prepacked: Whether forward gets packed weights; not in training.
        dropout: Probability between layers; 0 in evaluation.
        recurrent_dropout: Probability for h before U; 0 in evaluation.
        zoneout_masks: Whether the stack's zoneout draws masks; else it takes the expectation.
        memory: What training keeps for backward.
        schedule: How threads share the work, one of `rnn_engine.spec.SCHEDULES`; or `STEPS`.
        tf32: Whether float32 products on CUDA may round what they multiply to TF32.
    """

    training: bool
    output: bool = True
    cell_output: bool = False
    input_gradient: bool = False
    prepacked: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout_masks: bool = False
    memory: Memory = STORE
    schedule: str = "auto"
    tf32: bool = False


@lru_cache(maxsize=_PLANS)
def plan(
    context: Context,
    spec: StackSpec,
    dtype: str,
    steps: int,
    batch: int,
    batch_sizes: tuple[int, ...] | None,
    options: Options,
) -> Plan:
    """The plan of a call; the latest are remembered.

    Args:
        context: What it will run on.
        spec: The stack.
        dtype: "float32", "float64", "bfloat16" or, on CUDA, "float16".
        steps: T.
        batch: B.
        batch_sizes: [T] sequences still running at each step, never growing; None: all B.
        options: The call's options.

    Raises:
        ValueError: A size is out of bounds, the dtype has no kernels, there is no such schedule, or the memory budget
            is too small.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype}")
    for name, value in (("steps", steps), ("batch", batch), ("input_size", spec.input_size)):
        _check_int64(name, value)
    for hidden in spec.hidden_sizes:
        _check_int64("hidden_size", hidden)
    return Plan(
        context,
        cell=CELLS[spec.cell].index,
        dtype=DTYPES[dtype],
        steps=steps,
        batch=batch,
        input_size=spec.input_size,
        hidden_sizes=spec.hidden_sizes,
        projection=spec.proj_size,
        directions=spec.directions,
        bias=spec.bias,
        training=options.training,
        output=options.output,
        cell_output=options.cell_output,
        input_gradient=options.input_gradient,
        prepacked=options.prepacked,
        batch_sizes=batch_sizes,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        zoneout=spec.zoneout,
        zoneout_masks=options.zoneout_masks,
        memory=options.memory.index,
        budget=options.memory.budget,
        schedule=len(SCHEDULES) if options.schedule == STEPS else SCHEDULES.index(check_schedule(options.schedule)),
        tf32=options.tf32,
        residual=spec.residual,
        dropout_per_sentence=spec.dropout_mask == "sentence",
    )


def _check_int64(name: str, value: object) -> None:
    """Raises TypeError or ValueError where a number is none that the C API could take."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not -(2**63) <= value.__index__() < 2**63:
        raise ValueError(f"{name}: expected less than 2**63, got {value}")
