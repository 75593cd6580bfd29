"""The memory that training takes and may take: a card's, or what machine, container and own limits leave."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch

_STATUS = Path("/proc/self/status")
_UNLIMITED = 2**60  # control groups without a limit give a number beyond this


class DeviceMemory(Protocol):
    """The memory of the device that a network is on, in bytes; None where nothing is known."""

    def available(self) -> int | None:
        """What the process may still take."""

    def resident(self) -> int | None:
        """What it has now."""

    def peak(self) -> int | None:
        """The most that it had since `forget_peak`."""

    def forget_peak(self) -> bool:
        """Begin anew with what there is now; False where that cannot be done."""


class HostMemory:
    """The machine's."""

    def available(self) -> int | None:
        """See `DeviceMemory`, as for the rest."""
        return available_memory()

    def resident(self) -> int | None:
        """Physical memory of the process."""
        return _fields(_STATUS).get("VmRSS")

    def peak(self) -> int | None:
        """Most physical memory of the process."""
        return _fields(_STATUS).get("VmHWM")

    def forget_peak(self) -> bool:
        """Ask Linux to begin anew; other systems cannot."""
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            return True
        return False


class CardMemory:
    """A CUDA device's, as torch's allocator has it; a few hundred megabytes of CUDA's own are not in it.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def available(self) -> int | None:
        """What the card has free, and what the allocator keeps for reuse."""
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)

    def resident(self) -> int | None:
        """Tensors' bytes."""
        return torch.cuda.memory_allocated(self._device)

    def peak(self) -> int | None:
        """Most bytes of tensors."""
        return torch.cuda.max_memory_allocated(self._device)

    def forget_peak(self) -> bool:
        """Ask the allocator."""
        torch.cuda.reset_peak_memory_stats(self._device)
        return True


def memory_of(device: torch.device) -> DeviceMemory:
    """The memory of a device."""
    return CardMemory(device) if device.type == "cuda" else HostMemory()


def available_memory(system: Path = Path("/")) -> int | None:
    """Tell the bytes that the process may still take.

    Args:
        system: Where the kernel's files are, for tests.

    Returns:
        The least of what the machine has, what every control group around the process leaves, and what is left of the
        address space (`ulimit -v`); None if nothing is known.
    """
    found = [*_machine(system), *_groups(system), *_address_space(system)]
    return max(0, min(found)) if found else None


def _fields(path: Path) -> dict[str, int]:
    """Read lines such as `VmRSS:   1234 kB`, as bytes."""
    fields = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            parts = value.split()
            if len(parts) == 2 and parts[1] == "kB" and parts[0].isdecimal():
                fields[name] = 1024 * int(parts[0])
    return fields


def _machine(system: Path) -> Iterator[int]:
    fields = _fields(system / "proc/meminfo")
    if "MemAvailable" in fields:
        yield fields["MemAvailable"]


def _groups(system: Path) -> Iterator[int]:
    """What is left in the process's control groups, of version 2 and 1."""
    try:
        rows = [line.split(":", 2) for line in (system / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for row in rows:
        if len(row) != 3 or (row[1] and "memory" not in row[1].split(",")):
            continue
        old = bool(row[1])
        root = system / "sys/fs/cgroup" / ("memory" if old else "")
        limit, used = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        inner = root / row[2].lstrip("/")
        # Inside a container the path may be that of the host; the container's own group is then the root.
        for folder in {inner, *(parent for parent in inner.parents if parent.is_relative_to(root)), root}:
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None and most < _UNLIMITED:
                yield most - now + _cache(folder / "memory.stat")


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _cache(path: Path) -> int:
    """Bytes of files that the kernel only keeps because nobody needs the memory."""
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(value)
    return 0


def _address_space(system: Path) -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  (not everywhere)

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _fields(system / "proc/self/status").get("VmSize")
    if limit != resource.RLIM_INFINITY and used is not None:
        yield limit - used
