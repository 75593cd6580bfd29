"""Values as people write them: numbers and their bounds, bytes, devices, times.

Imports nothing heavy: every command needs it.
"""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Bounds:
    """What a number may be, on the command line, in the settings and in Python alike; whole if its bounds are."""

    least: float
    most: float

    def __str__(self) -> str:
        """Say what is expected."""
        kind = "a whole number" if self._is_whole else "a number"
        return f"{kind} from {self.least} to {self.most}"

    def check(self, name: str, value: object) -> str | None:
        """Tell what is wrong with a value.

        Args:
            name: What to call it.
            value: Anything.

        Returns:
            The message; None if the value is within the bounds.

        Raises:
            TypeError: It is no number, or no whole one where one is needed.
        """
        kind = numbers.Integral if self._is_whole else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{name}: expected {self}, got {type(value).__name__}")
        number: Any = value
        if self.least <= number <= self.most:  # nan is not
            return None
        far = self._is_whole and abs(number) > 10**15  # may have more digits than can be shown
        return f"{name}: expected {self}, got {'one far from that' if far else number}"

    @property
    def _is_whole(self) -> bool:
        return isinstance(self.least, int)


FORMAT_VERSION: Final = 1
"""Of the model folder."""

BEAM_SIZE: Final = Bounds(1, 1000)
N_BEST: Final = BEAM_SIZE
LENGTH_PENALTY: Final = Bounds(0.0, 5.0)
MIN_LENGTH: Final = Bounds(0, 10_000)
MAX_LENGTH: Final = Bounds(1, 10_000)
NGRAM: Final = Bounds(0, 100)
TEMPERATURE: Final = Bounds(0.01, 100.0)
TOP_K: Final = Bounds(0, 1_000_000)
TOP_P: Final = Bounds(0.0, 1.0)
SEED: Final = Bounds(0, 2**63 - 1)
BATCH_SIZE: Final = Bounds(1, 100_000)
SHORTLIST: Final = Bounds(0, 100_000)
THREADS: Final = Bounds(1, 1024)
WORKERS: Final = Bounds(1, 100_000)
WORKER_MEMORY: Final = Bounds(16, 1 << 20)
SHARD_ROWS: Final = Bounds(1, 1_000_000)
WIDTH: Final = Bounds(1, 8192)
LAYERS: Final = Bounds(1, 32)
HEADS: Final = Bounds(1, 16)
ZONEOUT: Final = Bounds(0.0, 0.9)
LONGEST_PIECE: Final = Bounds(1, 10_000)
LENGTH_FACTOR: Final = Bounds(0.0, 100.0)
LENGTH_EXTRA: Final = Bounds(0, 10_000)
DOUBTFUL: Final = Bounds(-1000.0, 0.0)
CHECKPOINTS: Final = Bounds(1, 10_000)

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


def subword_files(joint: bool) -> tuple[str, ...]:
    """Name the files of subword models in a model folder: one for both sides, or the source's and the target's."""
    return ("joint.spm",) if joint else ("source.spm", "target.spm")


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


def version() -> str:
    """Return the version of the installed package, or `0+source` for a source tree."""
    from importlib import metadata  # noqa: PLC0415  (slow to import, and rarely wanted)

    try:
        return metadata.version("nmt-rnn")
    except metadata.PackageNotFoundError:
        return "0+source"
