"""The course of training as a picture, from MODEL/scores.jsonl alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.files import atomic_write

CURVES_FILE = "curves.png"
_PANELS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("loss, nats per target token", {"training_loss": "training", "loss": "validation"}),
    ("BLEU on the validation set", {"bleu": "validation"}),
    ("learning rate", {"learning_rate": ""}),
    ("target tokens per second", {"tokens_per_second": ""}),
)
"""Title of each panel, and what it shows: key of a row, and what to call it."""


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw loss, BLEU, learning rate and speed over the steps.

    Args:
        rows: Validations, as `ScoresFile.validations` gives them; a number that a row lacks is not drawn.
        path: Where to write the picture, as PNG.

    Raises:
        OSError: It cannot be written.
    """
    # Takes half a second to import. Without pyplot there is no window system to be found and no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 7), layout="constrained")
    for (title, lines), axes in zip(_PANELS, figure.subplots(2, 2).flat, strict=True):
        for key, label in lines.items():
            points = [(row["step"], row[key]) for row in rows if key in row]
            marker = "o" if len(points) < 30 else None
            axes.plot(*zip(*points, strict=True) if points else ([], []), label=label, marker=marker, markersize=3)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.margins(y=0.1)
        axes.set_ylim(bottom=None if "loss" in title else 0)
        if len(lines) > 1:
            axes.legend()
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)  # type: ignore[no-untyped-call]
    with atomic_write(path) as file:
        file.write(picture.getvalue())
