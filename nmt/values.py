"""Values as people write them: numbers of bytes, devices, times. Imports nothing heavy: every command needs it."""

from __future__ import annotations

import math
import re

DEVICES = "expected auto, cpu, cuda or cuda:N"
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(value: object) -> int | None:
    """Read a number of bytes.

    Args:
        value: A number, or a text such as "256MiB" or "1.5GB".

    Returns:
        The bytes; None if it is neither, or less than one byte.
    """
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)", value)
        if match is None or (match[2] or "B") not in _UNITS:
            return None
        value = int(float(match[1]) * _UNITS[match[2] or "B"])
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return None
    return value


def shown_bytes(size: float) -> str:
    """Write bytes in the binary unit that suits them, as in 12.3 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.2f} GiB"


def is_device(text: str) -> bool:
    """Whether a text names a device, or leaves the choice to the machine."""
    return re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", text) is not None


def duration(seconds: float) -> str:
    """Write a time as 1:02:03, or as 2:03 below an hour; unknown ones as -:--."""
    if not math.isfinite(seconds):
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
