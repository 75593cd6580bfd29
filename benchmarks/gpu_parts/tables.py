"""The short table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NONE = "-"
_MOST_WRONG = 8


def show(found: Mapping[str, Any]) -> None:
    """Print what matters, in few lines."""
    for line in _lines(found):
        print(line)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    machine = found["machine"]
    facts = (f"torch {machine['torch']}", machine["isa"], machine["products"], machine["date"])
    yield f"== {machine.get('chip', 'dry run')}, {', '.join(facts)}"
    for name, section in found.items():
        if isinstance(section, dict) and section.get("error"):
            yield f"{name}: failed: {section['error']}"
    rows = found.get("correctness")
    if isinstance(rows, list):
        wrong = [f"{r['cell']} {r['dtype']} {r['policy']} ({r['ratio']})" for r in rows if not r["right"]]
        yield f"right: {len(rows) - len(wrong)} of {len(rows)} (cell, dtype, policy)"
        yield from (f"  not: {each}" for each in wrong[:_MOST_WRONG])
    for row in _rows(found, "sanitizer"):
        yield f"{row['what']}: {row['error'] or 'clean'}"
    if "launch_us" in found.get("latency", {}):
        yield f"latency: {found['latency']}"
    if rows := _rows(found, "lstm"):
        yield "LSTM, forward + backward, ms (graph); kept MiB    cuDNN | store | by layers | recompute"
        for row in rows:
            sides = " | ".join(_side(row, side) for side in ("cudnn", "store", "layers", "recompute"))
            yield f"  L{row['layers']} B{row['batch']:<4}H{row['hidden']:<5}{row['type']:<9}{sides}"
    for row in _rows(found, "other_cells"):
        shape = f"L{row['layers']} B{row['batch']} H{row['hidden']} {row['type']}"
        sides = ", ".join(f"{name} {_ms(row.get(name))}" for name in ("ours", "ours graph", "torch", "torch graph"))
        yield f"{row['cell']} {shape}: {sides} ms"
    for row in _rows(found, "training"):
        text = f"{_speed(row, 'speed')} target tokens/s"
        if "speed without cuBLAS" in row:
            text += f", without cuBLAS {_speed(row, 'speed without cuBLAS')}"
        yield f"training {row['name']} {row['precision']} {row['memory']}: {text}"


def _rows(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = found.get(name)
    return rows if isinstance(rows, list) else []


def _side(row: Mapping[str, Any], side: str) -> str:
    times = _ms(row.get(f"{side} padded")), _ms(row.get(f"{side} padded graph"))
    return f"{times[0]} ({times[1]}) {_mib(row.get(f'{side} kept bytes'))}"


def _speed(row: Mapping[str, Any], side: str) -> str:
    return f"{row[side]['target_tokens_per_second']:,.0f}" if row[side] else str(row["errors"][side])


def _ms(times: Mapping[str, float] | None) -> str:
    return _NONE if times is None else f"{times['median']:.2f}"


def _mib(size: int | None) -> str:
    return _NONE if size is None else f"{size / 2**20:.0f}"
