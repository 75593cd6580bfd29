"""What a search is asked for, and what it finds; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nmt.values import MAX_LENGTH, MIN_LENGTH, NGRAM, SEED, TEMPERATURE, TOP_K, TOP_P

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SearchError(ValueError):
    """A search that was asked for with impossible options; the message names them."""


@dataclass(frozen=True)
class Sampling:
    """How to draw translations, token by token, as the model's probabilities say.

    What is drawn for a sentence depends on the seed, its subwords and its number among the `n_best` alone: two equal
    sentences get equal translations.
    """

    temperature: float = 1.0
    """Below 1, what is probable becomes more so; above, less. Probabilities are taken to the power of its inverse."""
    top_k: int = 0
    """Draw from so many of the most probable tokens; 0: from all."""
    top_p: float = 1.0
    """Draw from the fewest of the most probable tokens, of these, that together have this probability; at least one."""
    seed: int = 0
    """Another one draws others."""

    def check(self) -> None:
        """Raise SearchError if a value is out of bounds."""
        for name, bounds in (("temperature", TEMPERATURE), ("top_k", TOP_K), ("top_p", TOP_P), ("seed", SEED)):
            if problem := bounds.check(name, getattr(self, name)):
                raise SearchError(problem)


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
    min_length: int = 0
    """Tokens of a hypothesis at least, without eos; where a sentence's longest length is shorter, that holds."""
    max_length: int | None = None
    """Tokens of a hypothesis at most, without eos, where the lengths that a search is given allow more."""
    sampling: Sampling | None = None
    """Draw `n_best` translations, as many as `beam_size`, instead of searching the best."""
    attention: bool = False
    """Whether to keep the attention of hypotheses."""

    def check(self) -> None:
        """Raise SearchError if an option is out of bounds."""
        if self.beam_size < 1 or not 1 <= self.n_best <= self.beam_size:
            raise SearchError(f"expected 1 <= n_best <= beam_size, got {self.n_best} and {self.beam_size}")
        if self.length_penalty < 0:
            raise SearchError(f"length_penalty: expected at least 0, got {self.length_penalty}")
        for name, bounds in (("no_repeat_ngram", NGRAM), ("min_length", MIN_LENGTH), ("max_length", MAX_LENGTH)):
            value = getattr(self, name)
            if value is not None and (problem := bounds.check(name, value)):
                raise SearchError(problem)
        if self.max_length is not None and self.min_length > self.max_length:
            raise SearchError(f"min_length: expected at most max_length, {self.max_length}, got {self.min_length}")
        if self.sampling is None:
            return
        self.sampling.check()
        if self.beam_size != self.n_best:
            raise SearchError(f"beam_size: expected n_best when sampling, {self.n_best}, got {self.beam_size}")


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
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """[T, S] what each token, eos last, looked at, source subwords with eos; None unless asked for."""

    @classmethod
    def of(cls, tokens: Sequence[int], log_probability: float, options: SearchOptions, observed: int) -> Hypothesis:
        """Make a hypothesis of what has just ended, and score it."""
        score = log_probability / float(len(tokens) + 1) ** options.length_penalty
        return cls(tuple(tokens), log_probability, score, observed)
