"""What may come next in a translation, whether it is searched or drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from nmt.decoding.hypotheses import SearchError, SearchOptions

Ids = Sequence[int]


def check_bounds(options: SearchOptions, max_lengths: Sequence[int], prefixes: Sequence[Ids] | None) -> Sequence[Ids]:
    """Check what is asked for; returns the prefix of each sentence, empty for none.

    Raises:
        SearchError: If an option, a length or a prefix is out of bounds.
    """
    options.check()
    if any(length < 1 for length in max_lengths):
        raise SearchError(f"max_lengths: expected at least 1, got {min(max_lengths)}")
    starts = prefixes or [()] * len(max_lengths)
    for limit, prefix in zip(max_lengths, starts, strict=True):
        if len(prefix) >= limit or options.eos in prefix:
            raise SearchError(f"prefix: expected fewer than {limit} tokens, none of them eos, got {list(prefix)}")
    return starts


def required(prefix: Ids, limit: int, eos: int, length: int) -> int | None:
    """The only token with which hypotheses may reach a length, if there is one."""
    if length <= len(prefix):
        return prefix[length - 1]
    return eos if length == limit else None


def restrict(log_probs: Tensor, required: Sequence[int | None], history: Tensor, options: SearchOptions) -> Tensor:
    """Rule out what no continuation may be, but for forbidden tokens.

    Args:
        log_probs: [N, V].
        required: Of each sentence the only token that its hypotheses may choose, if there is one.
        history: Tokens so far, [B, K, t].
        options: How to search.

    Returns:
        [N, V]; the same tensor if there is nothing to rule out.
    """
    blocking = 0 < options.no_repeat_ngram <= history.shape[2]
    too_short = history.shape[2] < options.min_length
    if not blocking and not too_short and all(token is None for token in required):
        return log_probs
    restricted = log_probs.clone()
    if blocking:
        _forbid_repetition(restricted, history.flatten(0, 1).to(log_probs.device), options.no_repeat_ngram)
    if too_short:
        restricted[:, options.eos] = -math.inf
    before, after = (each.view(*history.shape[:2], -1) for each in (log_probs, restricted))  # [B, K, V]
    for row, token in enumerate(required):
        if token is not None:
            after[row] = -math.inf
            after[row, :, token] = before[row, :, token]
    return restricted


def _forbid_repetition(log_probs: Tensor, history: Tensor, size: int) -> None:
    """Rule out, in place, every token [N, V] that would repeat an n-gram of this size in its history [N, t], t >= n."""
    seen = history.unfold(1, size, 1)  # [N, t - n + 1, n]
    latest = history[:, None, history.shape[1] - size + 1 :]  # [N, 1, n - 1]
    again = (seen[:, :, :-1] == latest).all(dim=2)  # [N, t - n + 1]
    rows, places = again.nonzero(as_tuple=True)
    log_probs[rows, seen[rows, places, -1]] = -math.inf
