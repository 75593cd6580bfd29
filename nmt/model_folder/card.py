"""The card of a model, `README.md` in its folder: what it is, what it was trained on, how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nmt.config import Config
from nmt.pages import render


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
    values = {"data": config.data, "model": config.model, "parameters": parameters, "sizes": vocabulary_sizes}
    counts = {name: f"{count:,}" for name, count in card.counts.items()}
    sections = {"Training data": counts, "Scores": card.scores}
    return render("nmt.model_folder", "card.md", {**values, "sections": sections, "notes": card.notes})
