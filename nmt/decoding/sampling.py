"""Drawing translations token by token, instead of searching the best: written to be read, as `beam_search` is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.beam_search import Observe, Reorder, State, Step
from nmt.decoding.chance import key_of, uniform
from nmt.decoding.constraints import check_bounds, required, restrict
from nmt.decoding.hypotheses import Hypothesis, Sampling, SearchOptions

Ids = Sequence[int]


def draw_translations(
    step: Step[State],
    reorder: Reorder[State],
    state: State,
    sources: Sequence[Ids],
    max_lengths: Sequence[int],
    options: SearchOptions,
    observe: Observe[State],
    prefixes: Sequence[Ids] | None = None,
) -> list[list[Hypothesis]]:
    """Draw `n_best` translations of every sentence, each by itself.

    Args:
        step: Advances all hypotheses by a token.
        reorder: Chooses the hypotheses to go on with.
        state: The state of one hypothesis per sentence, before bos.
        sources: The ids of each sentence, of which, with the seed, what is drawn is made.
        max_lengths: Longest hypothesis of each sentence, eos included; at this length eos is forced.
        options: How to draw, with `sampling`.
        observe: What to remember of hypotheses when they end.
        prefixes: Tokens that each sentence's hypotheses begin with, even forbidden ones, fewer than its longest length.

    Returns:
        Per sentence, its hypotheses in the order of their numbers; without those that nothing could follow.

    Raises:
        SearchError: If an option, a length or a prefix is out of bounds.
    """
    starts = check_bounds(options, max_lengths, prefixes)
    sampling, each = options.sampling, options.n_best
    assert sampling is not None
    keys = [key_of(sampling.seed, source, start) for source, start in zip(sources, starts, strict=True)]
    drawn: dict[tuple[int, int], Hypothesis] = {}  # by sentence and number
    # Every hypothesis is a row of its own from here on, as if it were the only one of its sentence.
    state = reorder(state, torch.arange(len(sources))[:, None].expand(-1, each))
    active = [(sentence, number) for sentence in range(len(sources)) for number in range(each)]
    history = torch.empty(len(active), 1, 0, dtype=torch.int64)  # [N, 1, t]
    totals = torch.zeros(len(active), dtype=torch.float64)  # [N]
    tokens = torch.full((len(active),), options.bos)  # [N]
    length = 0
    while active:
        length += 1
        log_probs, state = step(state, tokens)  # [N, V]
        only = [required(starts[sentence], max_lengths[sentence], options.eos, length) for sentence, _ in active]
        allowed = restrict(log_probs, only, history, options).clone()
        free = torch.tensor([token is None for token in only], device=allowed.device)
        for forbidden in options.forbidden:
            allowed[free, forbidden] = -math.inf
        places = [uniform(keys[sentence], number, length - 1) for sentence, number in active]
        tokens = draw(allowed, sampling, torch.tensor(places, dtype=torch.float64)).cpu()  # [N]
        totals = totals + log_probs.cpu().gather(1, tokens.clamp(min=0)[:, None])[:, 0].double()
        possible = (tokens >= 0) & (totals > -math.inf)

        ended = (possible & (tokens == options.eos)).nonzero()[:, 0].tolist()
        for row, note in zip(ended, observe(state, ended) if ended else (), strict=True):
            drawn[active[row]] = Hypothesis.of(history[row, 0].tolist(), totals[row].item(), options, note)

        rows = (possible & (tokens != options.eos)).nonzero()[:, 0]
        if not len(rows):
            break
        state = reorder(state, rows[:, None])
        history = torch.cat([history[rows], tokens[rows, None, None]], dim=2)
        totals, tokens = totals[rows], tokens[rows]
        active = [active[row] for row in rows.tolist()]
    return [
        [drawn[sentence, number] for number in range(each) if (sentence, number) in drawn]
        for sentence in range(len(sources))
    ]


def draw(log_probs: Tensor, sampling: Sampling, places: Tensor) -> Tensor:
    """Draw a token of each row.

    Args:
        log_probs: [N, V]; what is not to be drawn is -inf.
        sampling: From which of them, and how.
        places: [N] float64 in [0, 1): where in the sum of what is drawn from, in the order of ids.

    Returns:
        [N] int64; -1 where there is nothing to draw from.
    """
    weights = torch.softmax(log_probs / sampling.temperature, dim=1).double()  # [N, V]; not a number: none is possible
    values, order = weights.sort(dim=1, descending=True, stable=True)
    if sampling.top_k:
        values[:, sampling.top_k :] = 0
    if sampling.top_p < 1:
        before = values.cumsum(1) - values
        needed = before < sampling.top_p * values.sum(1, keepdim=True)
        needed[:, 0] = True
        values = torch.where(needed, values, 0.0)
    sums = torch.zeros_like(weights).scatter(1, order, values).cumsum(1)
    total = sums[:, -1:]
    # The first token whose sum is beyond the place; rounding must not lead beyond the last that has any weight.
    place = torch.minimum(places.to(sums.device)[:, None] * total, total.nextafter(total.new_zeros(())))
    found = torch.searchsorted(sums, place, right=True)[:, 0]
    return torch.where(total[:, 0] > 0, found, -1)
