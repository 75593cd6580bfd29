"""What a setting may call a device. Imports nothing heavy: the command line checks its options with it."""

from __future__ import annotations

import re

EXPECTED = "expected auto, cpu, cuda or cuda:N"


def is_device(text: str) -> bool:
    """Whether a text names a device, or leaves the choice to the machine."""
    return re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", text) is not None
