"""What the engine finds on this machine; imports no torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rnn_engine import native
from rnn_engine.cards import report


def describe_machine() -> dict[str, Any]:
    """Tell what there is, ready for JSON.

    Returns:
        `cores`, `instruction_sets` (best first), and `cuda`: `library`, `built`, `driver`, `problem`, and `cards`, each
        with `index`, `name`, `memory` in bytes, `capability`, `products` and `problem`.
    """
    return {
        "cores": native.cpu_count(),
        "instruction_sets": list(native.available_isas()),
        "cuda": asdict(report()),
    }
