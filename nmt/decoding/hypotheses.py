"""What a search is asked for, and what it finds; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


class SearchError(ValueError):
    """A search that was asked for with impossible options; the message names them."""


@dataclass(frozen=True)
class SearchOptions:
    """How to search."""

    beam_size: int = 5
    """Hypotheses kept per sentence, K; 1 is greedy search."""
    length_penalty: float = 1.0
    """The log-probability of a hypothesis is divided by its length (eos included) to this power."""
    n_best: int = 1
    """Results per sentence, at most `beam_size`; fewer come when fewer were finished."""
    bos: int = 2
    """Token before the first."""
    eos: int = 3
    """Token that ends a hypothesis."""
    forbidden: tuple[int, ...] = (0, 1, 2)
    """Tokens never chosen."""
    no_repeat_ngram: int = 0
    """No n-gram of this many tokens comes twice in a hypothesis; 0 allows them all."""

    def check(self) -> None:
        """Raise SearchError if an option is out of bounds."""
        if self.beam_size < 1 or not 1 <= self.n_best <= self.beam_size:
            raise SearchError(f"expected 1 <= n_best <= beam_size, got {self.n_best} and {self.beam_size}")
        if self.no_repeat_ngram < 0:
            raise SearchError(f"no_repeat_ngram: expected at least 0, got {self.no_repeat_ngram}")
        if self.length_penalty < 0:
            raise SearchError(f"length_penalty: expected at least 0, got {self.length_penalty}")


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation."""

    tokens: tuple[int, ...]
    """Without bos and eos."""
    log_probability: float
    """Natural logarithm, eos included."""
    score: float
    """The log-probability after length normalisation."""
    observed: int = 0
    """What the search was asked to remember of it."""
