"""What this machine has for CUDA: the engine's library, the driver, the cards. Imports no torch.

The driver is asked through its library, libcuda, which comes with it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from rnn_engine import native

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True)
class Card:
    """A CUDA device.

    Attributes:
        index: Its number.
        name: As its maker calls it.
        memory: Bytes in all.
        capability: Compute capability, such as "9.0".
        products: Who makes the engine's large products on it, such as "cuBLAS 13.0.2" or "own products"; None if the
            engine cannot use it.
        problem: Why the engine cannot use it; None if it can.
    """

    index: int
    name: str
    memory: int
    capability: str
    products: str | None
    problem: str | None


@dataclass(frozen=True)
class Report:
    """What there is.

    Attributes:
        library: Where the engine's library for CUDA is.
        built: Whether it is there.
        driver: The CUDA version that the driver supports, such as "13.0"; None without a driver.
        problem: Why there are no cards; None if there are.
        cards: The CUDA devices.
    """

    library: str
    built: bool
    driver: str | None
    problem: str | None
    cards: tuple[Card, ...]


def report(name: str = "libcuda.so.1") -> Report:
    """Looks for all of it.

    Args:
        name: The driver's library.
    """
    library = native.cuda_library()
    found = (str(library), library.is_file())
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return Report(*found, None, f"no NVIDIA driver: {name} is not there", ())
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    text = f"{version.value // 1000}.{version.value % 1000 // 10}"
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return Report(*found, text, f"the driver reports error {code}", ())
    if not count.value:
        return Report(*found, text, "the driver finds no card", ())
    return Report(*found, text, None, tuple(_card(driver, index) for index in range(count.value)))


def _card(driver: ctypes.CDLL, index: int) -> Card:
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(128)
    major, minor = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    products = problem = None
    try:
        products = native.cuda_context(index).products
    except native.EngineError as error:
        problem = str(error)
    capability = f"{major.value}.{minor.value}"
    return Card(index, name.value.decode(errors="replace"), memory.value, capability, products, problem)
