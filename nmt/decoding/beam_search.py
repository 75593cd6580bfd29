"""Beam search. It knows a step function, a reorder function and scores; nothing of models, text or files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from nmt.decoding.constraints import check_bounds, required, restrict
from nmt.decoding.hypotheses import Hypothesis, SearchOptions

State = TypeVar("State")
Step = Callable[[State, Tensor], tuple[Tensor, State]]
"""(state, last tokens [N] int64) -> (log-probabilities of the next token [N, V], next state)."""
Observe = Callable[[State, Sequence[int]], Sequence[int]]
"""(state after a step, numbers of the hypotheses that end with it) -> something to remember of each."""
Reorder = Callable[[State, Tensor], State]
"""(state, hypotheses to continue [B, K] int64, numbered through the whole batch) -> state of N = B * K hypotheses."""


def beam_search(
    step: Step[State],
    reorder: Reorder[State],
    state: State,
    max_lengths: Sequence[int],
    options: SearchOptions,
    observe: Observe[State] | None = None,
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[list[Hypothesis]]:
    """Search the best continuation of every sentence.

    A sentence is done, and leaves the batch, when no living hypothesis can still enter its `n_best`; or when
    `beam_size` are finished and the best living one, as far as it goes, is no better than the last of the `n_best`.
    That so many are finished is not enough: the short ones finish first, however little of the source they say. Equal
    scores are ordered by the parent's rank, then by token id: the result depends on nothing but the scores.

    Args:
        step: Advances all hypotheses by a token.
        reorder: Chooses the hypotheses to go on with.
        state: The state of one hypothesis per sentence, before bos.
        max_lengths: Longest hypothesis of each sentence, eos included; at this length eos is forced.
        options: How to search.
        observe: What to remember of hypotheses when they end; nothing for None.
        prefixes: Tokens that each sentence's hypotheses begin with, even forbidden ones, fewer than its longest length.

    Returns:
        Per sentence, its best hypotheses, best first.

    Raises:
        SearchError: If an option, a length or a prefix is out of bounds.
    """
    assert options.sampling is None, "translations are drawn by nmt.decoding.sampling"
    starts = check_bounds(options, max_lengths, prefixes)
    beams = [_Beam(limit, options) for limit in max_lengths]
    active = list(range(len(beams)))
    totals = torch.zeros(len(beams), 1, dtype=torch.float64)  # [B, K]
    history = torch.empty(len(beams), 1, 0, dtype=torch.int64)  # [B, K, t]
    tokens = torch.full((len(beams),), options.bos)  # [N]
    length = 0
    while active:
        length += 1
        log_probs, state = step(state, tokens)  # [N, V]
        only = [required(starts[index], max_lengths[index], options.eos, length) for index in active]
        log_probs = restrict(log_probs, only, history, options)
        scores, parents, choices = _candidates(log_probs, totals, only, options)

        ended = (choices == options.eos) & (scores > -math.inf)  # [B, M]
        finished = ended[:, : options.beam_size].nonzero().tolist()
        numbers = [row * history.shape[1] + int(parents[row, rank]) for row, rank in finished]
        observed = observe(state, numbers) if observe and numbers else [0] * len(numbers)
        for (row, rank), note in zip(finished, observed, strict=True):
            prefix = history[row, parents[row, rank]].tolist()
            beams[active[row]].finish(prefix, scores[row, rank].item(), note)

        totals, order = scores.masked_fill(ended, -math.inf).sort(dim=1, descending=True, stable=True)
        totals, order = totals[:, : options.beam_size], order[:, : options.beam_size]  # [B, K]
        best_living = totals[:, 0].tolist()
        going_on = [row for row, index in enumerate(active) if not beams[index].is_done(best_living[row], length)]
        if not going_on:
            break
        rows = torch.tensor(going_on)
        totals, order = totals[rows], order[rows]  # [B', K]
        parents = parents[rows].gather(1, order)
        choices = choices[rows].gather(1, order)
        state = reorder(state, rows[:, None] * history.shape[1] + parents)
        history = torch.cat([history[rows[:, None], parents], choices[:, :, None]], dim=2)
        tokens = choices.flatten()
        active = [active[row] for row in going_on]
    return [beam.best() for beam in beams]


class _Beam:
    """The finished hypotheses of one sentence."""

    def __init__(self, limit: int, options: SearchOptions) -> None:
        self.limit = limit
        self.options = options
        self.finished: list[Hypothesis] = []

    def finish(self, tokens: list[int], log_probability: float, observed: int) -> None:
        self.finished.append(Hypothesis.of(tokens, log_probability, self.options, observed))

    def best(self) -> list[Hypothesis]:
        # The sort is stable: of equal ones the first to finish, which is the shorter, comes first.
        return sorted(self.finished, key=lambda hypothesis: -hypothesis.score)[: self.options.n_best]

    def is_done(self, best_living: float, length: int) -> bool:
        """Whether the search of this sentence ends, when its best living hypothesis has this log-probability."""
        if best_living == -math.inf:
            return True
        if len(self.finished) < self.options.n_best:
            return False
        # Log-probabilities only fall: at the longest length, this is the best score that a living hypothesis can reach.
        enough = len(self.finished) >= self.options.beam_size
        reachable: float = best_living / float(length if enough else self.limit) ** self.options.length_penalty
        return self.best()[-1].score >= reachable


def _candidates(
    log_probs: Tensor, totals: Tensor, required: Sequence[int | None], options: SearchOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """Order the continuations of every sentence.

    At most one continuation of a hypothesis is eos, so the best K + 1 allowed ones of each hold every living one of the
    next beam. They are among the best K + 1 + (number of forbidden tokens) of all.

    Args:
        log_probs: [N, V].
        totals: Log-probabilities so far, [B, K] float64.
        required: Of each sentence the only token that its hypotheses may choose, if there is one.
        options: How to search.

    Returns:
        Total log-probability, parent (0..K-1) and token of each, all [B, M], best first.
    """
    batch, beam = totals.shape
    values, tokens = _top(log_probs, options.beam_size + 1 + len(options.forbidden))  # [N, C]
    free = torch.tensor([token is None for token in required]).repeat_interleave(beam)[:, None]  # [N, 1]
    for forbidden in options.forbidden:
        values.masked_fill_((tokens == forbidden) & free, -math.inf)
    scores = (totals[:, :, None] + values.view(batch, beam, -1)).flatten(1)  # [B, M], M = K * C
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    return scores, order // values.shape[1], tokens.view(batch, -1).gather(1, order)


def _top(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the best entries of each row, of equal ones those with the lower index.

    Args:
        log_probs: [N, V].
        count: How many, C; all V if that is less.

    Returns:
        Values [N, C] float64 and indices [N, C], best first, on the CPU.
    """
    size = log_probs.shape[1]
    count = min(count, size)
    values, indices = (part.cpu() for part in log_probs.topk(min(count + 1, size), dim=1))
    # torch.topk promises nothing about equal values. Inside the choice, sorting by index first mends that; where equal
    # values straddle its end, the row is sorted as a whole. That is rare enough to cost nothing.
    straddling = (values[:, -1] == values[:, -2]) & values[:, -1].isfinite() if size > count else torch.zeros(0)
    indices, by_index = indices[:, :count].sort(dim=1)
    values, by_value = values[:, :count].gather(1, by_index).sort(dim=1, descending=True, stable=True)
    indices = indices.gather(1, by_value)
    for row in straddling.nonzero()[:, 0].tolist():
        whole, whole_indices = log_probs[row].sort(descending=True, stable=True)
        values[row], indices[row] = whole[:count], whole_indices[:count]
    # What is not a number is no candidate: a network that overflows ends the search, it does not hang it.
    return values.double().nan_to_num(nan=-math.inf, neginf=-math.inf), indices
