"""The memory that training takes and may take: the machine's, or a card's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch

from nmt.training.available import available_memory, peak_memory, resident_memory


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
        """Physical memory."""
        return resident_memory()

    def peak(self) -> int | None:
        """The same."""
        return peak_memory()

    def forget_peak(self) -> bool:
        """As Linux can."""
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
        """The same."""
        return torch.cuda.max_memory_allocated(self._device)

    def forget_peak(self) -> bool:
        """Ask the allocator."""
        torch.cuda.reset_peak_memory_stats(self._device)
        return True


def memory_of(device: torch.device) -> DeviceMemory:
    """The memory of a device."""
    return CardMemory(device) if device.type == "cuda" else HostMemory()
