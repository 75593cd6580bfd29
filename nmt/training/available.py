"""How much memory the process may still take: of the machine, its container, and its own limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_UNLIMITED = 2**60  # control groups without a limit give a number beyond this


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


def peak_memory() -> int | None:
    """Tell the most physical memory that the process ever had, in bytes; None where the system does not say."""
    return _fields(Path("/proc/self/status")).get("VmHWM")


def resident_memory() -> int | None:
    """Tell the physical memory that the process has now."""
    return _fields(Path("/proc/self/status")).get("VmRSS")


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
