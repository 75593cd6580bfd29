"""Attention as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from nmt.decoding.translation import AttentionMap
from nmt.files import write_through

LARGEST: Final = 200
"""Subwords of either side at most: more cannot be read in a picture."""
_CELL = 0.28  # inches of a subword


class PlotError(ValueError):
    """A picture that cannot be drawn; the message says what was expected."""


def draw_attention(attention: AttentionMap, path: Path) -> None:
    """Draw a heat map: a column for each source subword, a row for each target subword.

    Args:
        attention: What to draw.
        path: Where; the suffix, .png or .svg, tells the format.

    Raises:
        PlotError: There are too many subwords.
        OSError: The file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    rows, columns = attention.weights.shape
    if max(rows, columns) > LARGEST:
        raise PlotError(f"{path}: expected at most {LARGEST} subwords on either side to draw, got {columns} and {rows}")
    import matplotlib  # noqa: PLC0415  (takes a second, and nothing else needs it)
    from matplotlib.figure import Figure  # noqa: PLC0415

    size = [1.5 + _CELL * count for count in (columns, rows)]
    # Text stays text in SVG, so that a viewer's own fonts show any script. Fixed ids: the same picture, the same file.
    style = matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nmt"})
    with style, warnings.catch_warnings(), write_through(path) as file:
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # PNG shows a box for such a character
        figure = Figure(figsize=(size[0], size[1]), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(attention.weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
        axes.set_xticks(range(columns), [_plain(piece) for piece in attention.source], rotation=90)
        axes.set_yticks(range(rows), [_plain(piece) for piece in attention.target])
        axes.xaxis.tick_top()
        axes.tick_params(labelsize=8, length=0)
        figure.colorbar(image, ax=axes, label="attention weight", fraction=0.03)
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)


def _plain(piece: str) -> str:
    """Keep signs that mean something to matplotlib from doing so."""
    return piece.replace("\\", "\\\\").replace("$", "\\$")
