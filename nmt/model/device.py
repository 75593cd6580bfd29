"""Where the network computes: on how many threads of the CPU, or on a CUDA device that torch and the engine can use."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nmt.process import count_threads, give_back_memory
from rnn_engine import EngineError, memory, native


class DeviceError(RuntimeError):
    """A device that cannot be used; the message says what is missing and what to do."""


def use_device(setting: str, *, tf32: bool | None = None) -> torch.device:
    """Choose a device, and how its float32 products round.

    Args:
        setting: "cpu", "cuda" (the first), "cuda:N", or "auto": the first CUDA device if it can be used, else the CPU.
        tf32: Whether float32 products on CUDA may round what they multiply to TF32, torch's and the engine's; None
            leaves that as it is.

    Returns:
        The device.

    Raises:
        DeviceError: It cannot be used.
    """
    if setting == "cpu":
        return torch.device("cpu")
    try:
        _check_cuda(index := int(setting.partition(":")[2] or 0))
    except DeviceError:
        if setting == "auto":
            return torch.device("cpu")
        raise
    if tf32 is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return torch.device("cuda", index)


def _check_cuda(index: int) -> None:
    name, instead = f"cuda:{index}", "or choose the device cpu"
    if not torch.version.cuda:
        raise DeviceError(
            f"device {name}: torch {torch.__version__} is built without CUDA; install one that is (pytorch.org says "
            f"how), {instead}"
        )
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device {name}: torch finds no NVIDIA driver or no card; `nvidia-smi` should list both; {instead}"
        )
    if index >= torch.cuda.device_count():
        raise DeviceError(f"device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    try:
        native.cuda_context(index)
    except EngineError as error:
        raise DeviceError(f"device {error}") from None


def use_threads(threads: int | None) -> int:
    """Set the number of CPU threads of torch and, with it, of the engine; see `count_threads`."""
    threads = count_threads(threads)
    torch.set_num_threads(threads)
    return threads


def release_memory() -> None:
    """Give back to the system what networks that are gone had of the CPU's memory, blocks of the engine's among it."""
    gc.collect()
    memory.pool.clear()
    give_back_memory()


@contextmanager
def settled_objects() -> Iterator[None]:
    """Keep the garbage collector from all objects that there are, as long as the context lasts: torch's are many."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
