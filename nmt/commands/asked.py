"""What several subcommands are asked for; imports no typer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.decoding.hypotheses import Sampling


@dataclass(frozen=True)
class SearchSettings:
    """How to search; None takes what the model's settings say."""

    beam_size: int | None = None
    length_penalty: float | None = None
    batch_size: int | None = None
    threads: int | None = None
    """CPU threads; None takes all that the process may use."""
    device: str = "cpu"
    """Where to translate: auto, cpu, cuda or cuda:N."""
    retry: bool | None = None
    """Whether to translate once more what looks wrong."""
    sentences: bool | None = None
    """Whether to translate the sentences of a line one by one."""
    precision: str | None = None
    """What weights are rounded to; None for float32, or what a model file holds."""
    search: str = "native"
    """Which search: native or reference."""
    shortlist: int = 0
    """Search among so many translations of each source subword; 0: among all words."""
    min_length: int = 0
    """Subwords of a translation at least."""
    max_length: int | None = None
    """And at most, of a sentence; None for what the model's settings say."""
    no_repeat_ngram: int = 0
    """So many subwords in a row come once in a translation; 0: any may come again."""
    sampling: Sampling | None = None
    """How to draw translations; None searches the best."""
    ensemble: tuple[Path, ...] = ()
    """Models that translate together with the first."""
    to: str | None = None
    """Code of the language to translate to; None where the model knows one only."""


@dataclass(frozen=True)
class TestSet:
    """A test set: one named in the model's settings, or two files."""

    name: str | None = None
    files: tuple[Path, Path] | None = None
    """Source and reference."""
