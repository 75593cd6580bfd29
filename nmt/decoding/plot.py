"""Attention as a picture."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Final

from nmt.decoding.translation import AttentionMap
from nmt.files import write_through

LARGEST: Final = 200
"""Subwords of either side at most: more cannot be read in a picture."""
_CELL = 0.28  # inches of a subword


class PlotError(ValueError):
    """A picture that cannot be drawn; the message says what was expected."""


def draw_attention(attention: AttentionMap, path: Path) -> str:
    """Draw a heat map: a column for each source subword, a row for each target subword.

    Args:
        attention: What to draw.
        path: Where; the suffix, .png or .svg, tells the format.

    Returns:
        The characters that no font of this machine has: the picture shows their numbers, as in U+72AC.

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
    text = {character for piece in (*attention.source, *attention.target) for character in piece}
    fonts, missing = ([], set()) if kind == "svg" else _fonts(text)
    families = [*matplotlib.rcParams["font.family"], *fonts]
    style = matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nmt", "font.family": families})
    with style, warnings.catch_warnings(), write_through(path) as file:
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # for SVG the viewer's fonts count
        figure = Figure(figsize=(size[0], size[1]), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(attention.weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
        axes.set_xticks(range(columns), [_plain(piece, missing) for piece in attention.source], rotation=90)
        axes.set_yticks(range(rows), [_plain(piece, missing) for piece in attention.target])
        axes.xaxis.tick_top()
        axes.tick_params(labelsize=8, length=0)
        figure.colorbar(image, ax=axes, label="attention weight", fraction=0.03)
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return "".join(sorted(missing))


def _fonts(text: set[str]) -> tuple[list[str], set[str]]:
    """Find fonts for what the usual one lacks.

    Args:
        text: The characters.

    Returns:
        Their names, and the characters that none has.
    """
    from matplotlib import font_manager  # noqa: PLC0415

    missing = text - _characters(font_manager.findfont(font_manager.FontProperties()))
    names = []
    for font in sorted(
        font_manager.fontManager.ttflist, key=lambda font: (font.style != "normal", font.name, font.fname)
    ):
        if not missing:
            break
        if found := missing & _characters(font.fname):
            names.append(font.name)
            missing -= found
    return names, missing


@lru_cache
def _characters(path: str) -> frozenset[str]:
    """The characters that a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    if "LastResort" in path:  # has a box for everything
        return frozenset()
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def _plain(piece: str, missing: set[str]) -> str:
    """Keep signs that mean something to matplotlib from doing so; write what no font has as its number."""
    piece = "".join(f"U+{ord(character):04X}" if character in missing else character for character in piece)
    return piece.replace("\\", "\\\\").replace("$", "\\$")
