"""What differs between devices for the adapter: contexts, memory, streams, and how a tensor is handed to the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnn_engine import native
from rnn_engine.memory import pool
from rnn_engine.ragged import Ragged

CPU = torch.device("cpu")
"""Said wherever a tensor is made: the default device (`torch.set_default_device`) may be another."""

_SMALL = 16384  # values; torch has such tensors at hand
NAMES = {getattr(torch, name): name for name in (*native.DTYPES, "int64", "uint8")}
"""Names of torch's types, as the engine's plans have them."""


Arena = Any
"""A block of memory, as the engine takes it: an array or a tensor. It is free again once this object goes."""


class Device(Protocol):
    """A device as the adapter sees it.

    Attributes:
        name: As `rnn_engine.plan` and errors call it.
        dtypes: Types that it has kernels for.
        packs: Whether weights packed once save time.
        feeds: Whether layers can run step by step, with other calls between the steps.
        waits: Whether a call has done its work when it returns, so that its numbers can be looked at.
    """

    name: str
    dtypes: tuple[torch.dtype, ...]
    packs: bool
    feeds: bool
    waits: bool

    @property
    def fastest(self) -> torch.dtype:
        """The type in which it multiplies fastest, of float32 and bfloat16."""

    def context(self, threads: int) -> native.Context:
        """The engine's context; `threads` are the CPU's."""

    @property
    def tf32(self) -> bool:
        """Whether float32 products of layers may round what they multiply to TF32."""

    @property
    def matmul_tf32(self) -> bool:
        """The same of other products."""

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor."""

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of zeros."""

    def workspace(self, size: int) -> Arena:
        """At least `size` bytes, aligned for the engine, that go back within a step; None where none need be given."""

    def stream(self) -> int:
        """The cudaStream_t on which a call's work goes; 0 on the CPU."""

    def cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """The same values in another type, without history."""

    def indices(self, indices: NDArray[np.int64]) -> Tensor:
        """Indices as a tensor of the device."""

    def gather(self, dense: Tensor, ragged: Ragged) -> Tensor:
        """`Ragged.gather` into a new tensor."""

    def spread(self, rows: Tensor, ragged: Ragged, places: Sequence[int]) -> Tensor:
        """`Ragged.spread` into a new tensor, [*places, width]."""


class Cpu:
    """The linked library, and the engine's pool of blocks."""

    name = "cpu"
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64, torch.bfloat16)
    packs = True
    feeds = True
    waits = True
    tf32 = matmul_tf32 = False

    @property
    def fastest(self) -> torch.dtype:
        """See `Device`, as for the rest."""
        return torch.bfloat16 if native.context(1).isa in native.MULTIPLY_BFLOAT16 else torch.float32

    def context(self, threads: int) -> native.Context:
        """Of that many of the process's threads."""
        return native.context(threads)

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Uninitialised; a large one lies in the pool, aligned, in pages that the system need not clear again."""
        if math.prod(shape) < _SMALL:
            return torch.empty(shape, dtype=dtype, device=CPU)
        if dtype == torch.bfloat16:  # NumPy has none
            return torch.from_numpy(pool.array(tuple(shape), "int16")).view(dtype).data  # no view to autograd
        return torch.from_numpy(pool.array(tuple(shape), NAMES[dtype]))

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Filled by NumPy: torch's own fill would wake its threads, which would then be in the way of the engine's."""
        zeros = self.new(shape, dtype)
        zeros.numpy().fill(0)
        return zeros

    def workspace(self, size: int) -> Arena:
        """A block of the pool; where it is small the native part has one of its own."""
        return pool.array((size,)) if size > native.OWN_WORKSPACE else None

    def stream(self) -> int:
        """None: the call has done its work when it returns."""
        return 0

    def cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """Between float32 and bfloat16 by the engine's threads: torch's would spin after it, and delay the engine's."""
        if tensor.numel() < _SMALL or {tensor.dtype, dtype} != {torch.float32, torch.bfloat16}:
            return tensor.to(dtype)
        out = self.new(tensor.shape, dtype)
        self.context(torch.get_num_threads()).convert(tensor.detach().contiguous(), out)
        return out

    def indices(self, indices: NDArray[np.int64]) -> Tensor:
        """The same memory."""
        return torch.from_numpy(indices)

    def gather(self, dense: Tensor, ragged: Ragged) -> Tensor:
        """Done by NumPy, for the same reason as `zeros`."""
        rows = self.new((len(ragged.places), dense.shape[1]), dense.dtype)
        ragged.gather(_array_of(dense), _array_of(rows))
        return rows

    def spread(self, rows: Tensor, ragged: Ragged, places: Sequence[int]) -> Tensor:
        """Done by NumPy, too."""
        width = rows.shape[1]
        dense = self.new((*places, width), rows.dtype)
        ragged.spread(_array_of(rows), _array_of(dense).reshape(-1, width))
        return dense


def _array_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor's memory as an array; bfloat16, which NumPy has not, as int16."""
    tensor = tensor.detach().resolve_neg()
    array: NDArray[Any] = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


class Cuda:
    """A library loaded at run time, torch's allocator, and torch's current stream.

    All of a call's work is on that stream, and torch's allocator hands memory out in its order: what is freed when a
    call returns, workspace and copies, is not written to before the call's work is done. Backward runs on forward's
    stream, as everywhere in torch, so neither needs what the stream is called the memory for (`Tensor.record_stream`).

    Args:
        index: Number of the CUDA device.
        device: torch's device of the tensors; that CUDA device if None. (Tests give the CPU: a library that emulates
            kernels there takes its memory, and has no streams.)
    """

    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    packs = False  # a GPU reads weights as they lie
    feeds = False
    waits = False

    def __init__(self, index: int, device: torch.device | None = None) -> None:
        self.name = f"cuda:{index}"
        self._index = index
        self._device = device or torch.device("cuda", index)

    @property
    def fastest(self) -> torch.dtype:
        """Matrix units take bfloat16 from compute capability 8.0 on."""
        real = self._device.type == "cuda"
        return torch.float32 if real and torch.cuda.get_device_capability(self._index) < (8, 0) else torch.bfloat16

    def context(self, threads: int) -> native.Context:
        """One a device; the CPU's threads are nothing to it."""
        return native.cuda_context(self._index, emulated=self._device.type != "cuda")

    @property
    def tf32(self) -> bool:
        """As for torch's own recurrent layers, however that was set: newer versions of torch refuse to answer for all
        of cuDNN once its operators were set apart."""
        own = getattr(torch.backends.cudnn, "rnn", None)
        return bool(torch.backends.cudnn.allow_tf32) if own is None else own.fp32_precision == "tf32"

    @property
    def matmul_tf32(self) -> bool:
        """As for torch's `linear`."""
        own = torch.backends.cuda.matmul
        precision = getattr(own, "fp32_precision", None)
        return bool(own.allow_tf32) if precision is None else precision == "tf32"

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """From torch's allocator."""
        return torch.empty(tuple(shape), dtype=dtype, device=self._device)

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The same, filled on the current stream."""
        return torch.zeros(tuple(shape), dtype=dtype, device=self._device)

    def workspace(self, size: int) -> Arena:
        """A tensor of bytes: torch aligns its blocks well enough."""
        return self.new((size,), torch.uint8) if size else None

    def stream(self) -> int:
        """Torch's current one."""
        if self._device.type != "cuda":
            return 0
        stream: int = torch.cuda.current_stream(self._device).cuda_stream
        return stream

    def cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """By torch, on the current stream."""
        return tensor.to(dtype)

    def indices(self, indices: NDArray[np.int64]) -> Tensor:
        """Copied in the stream's order: nobody waits."""
        host = torch.from_numpy(indices)
        return host.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else host

    def gather(self, dense: Tensor, ragged: Ragged) -> Tensor:
        """On the device."""
        return dense.detach().index_select(0, self.indices(ragged.places))

    def spread(self, rows: Tensor, ragged: Ragged, places: Sequence[int]) -> Tensor:
        """The same."""
        width = rows.shape[1]
        dense = self.zeros((*places, width), rows.dtype)
        dense.view(-1, width).index_copy_(0, self.indices(ragged.places), rows.detach())
        return dense


_CPU = Cpu()
_FACES: dict[str, Callable[[int], Device]] = {"cpu": lambda _: _CPU, "cuda": lru_cache(Cuda)}
"""By torch's type of device, from its index; tests replace rows."""


def device_of(tensor: Tensor) -> Device:
    """The device that a tensor is on.

    Raises:
        ValueError: The engine has no kernels for it.
    """
    face = _FACES.get(tensor.device.type)
    if face is None:
        raise ValueError(f"expected tensors on the CPU or on a CUDA device, got {tensor.device}")
    return face(tensor.device.index or 0)


def called_dtype(weight: Tensor, dtypes: Sequence[torch.dtype]) -> torch.dtype:
    """The type in which a call computes: the weight's; for a float32 weight under torch.autocast that one's, if the
    device has kernels for it.

    Args:
        weight: A weight.
        dtypes: Types that its device has kernels for.
    """
    if weight.dtype != torch.float32 or not torch.is_autocast_enabled(weight.device.type):
        return weight.dtype
    lower = torch.get_autocast_dtype(weight.device.type)
    return lower if lower in dtypes else weight.dtype


def called_dtype_name(weight: Tensor) -> str:
    """The name of `called_dtype`; of a weight that is nowhere, its own."""
    return NAMES[weight.dtype if weight.is_meta else called_dtype(weight, device_of(weight).dtypes)]


def either(dtypes: Sequence[torch.dtype]) -> str:
    """The types in words."""
    return f"{', '.join(map(str, dtypes[:-1]))} or {dtypes[-1]}"


__all__ = ["CPU", "NAMES", "Arena", "Cpu", "Cuda", "Device", "called_dtype", "called_dtype_name", "device_of", "either"]
