"""The card of a model, `README.md` in its folder: what it is, what it was trained on, how well it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nmt.config import Config
from nmt.files import write_text
from nmt.pages import render
from nmt.reading import read_regular
from nmt.values import version

_SCORES, _USE = "## Scores", "## Use"


@dataclass(frozen=True)
class ModelCard:
    """What the card tells beside the config."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """What the model was trained on, such as {"training pairs": 29000}."""
    scores: Mapping[str, str] = field(default_factory=dict)
    """Results by name, such as {"validation perplexity": "5.10"}."""
    notes: str = ""
    """Free text."""


def render_card(config: Config, parameters: int, vocabulary_sizes: tuple[int, int], card: ModelCard) -> str:
    """Write the card's text (Markdown) for a model.

    Args:
        config: The settings.
        parameters: Trainable values of the network.
        vocabulary_sizes: Of source and target, in subwords.
        card: Counts, scores and notes.

    Returns:
        The text.
    """
    values = {
        "data": config.data,
        "model": config.model,
        "license": _cell(config.license),
        "targets": _listed(config.data.target_languages),
        "directions": _cell(", ".join(f"{source} to {target}" for source, target in config.data.directions)),
        "texts": _cell("; ".join(" and ".join(path.name for path in corpus) for corpus in _corpora(config))),
        "date": datetime.now(UTC).date(),
        "version": version(),
        "parameters": parameters,
        "sizes": vocabulary_sizes,
    }
    counts = {name: f"{count:,}" for name, count in card.counts.items()}
    sections = {"Training data": counts, "Scores": card.scores}
    return render("nmt.model_folder", "card.md", {**values, "sections": sections, "notes": card.notes})


def _corpora(config: Config) -> Iterator[tuple[Path, ...]]:
    return (corpus for part in config.data.parts for corpus in part.train)


def _listed(codes: Sequence[str]) -> str:
    *most, last = codes
    return f"{', '.join(most)} and {last}" if most else last


def note_score(path: Path, name: str, result: str) -> None:
    """Write a result into the table of scores of a card, over an earlier one of that name.

    Args:
        path: The card; left as it is if it is not laid out like ours.
        name: What was scored, and by what.
        result: What came of it.

    Raises:
        OSError: The card cannot be read or written.
    """
    try:
        lines = read_regular(path).decode("utf-8").splitlines()
    except ValueError:  # no text: not a card of ours
        return
    row, begin = f"| {_cell(name)} | {_cell(result)} |", f"| {_cell(name)} | "
    kept = [line for line in lines if not line.startswith(begin)]
    if _SCORES not in kept:
        if _USE not in kept:
            return
        place = kept.index(_USE)
        kept[place:place] = [_SCORES, "", "| | |", "|---|---|", ""]
    end = kept.index(_SCORES)
    while end + 1 < len(kept) and (kept[end + 1].startswith("|") or not kept[end + 1]):
        end += 1
    while not kept[end]:
        end -= 1
    write_text(path, "\n".join([*kept[: end + 1], row, *kept[end + 1 :]]) + "\n")


def _cell(text: str) -> str:
    """Write a text into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
