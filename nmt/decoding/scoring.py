"""Forced decoding: what a model thinks of translations that are known already, in one pass over each batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.batching import longest_first, pad
from nmt.data.subwords import EOS
from nmt.model.encoder import EncoderOutput
from nmt.model.seq2seq import Seq2Seq

Ids = Sequence[int]

_BATCH_TOKENS = 8_192  # padded tokens of a batch, of the longer side
_ATTENTION_VALUES = 4_000_000  # attention weights in memory at a time: long targets run in stretches of fewer steps
_LOGITS = 8_000_000  # scores of the vocabulary in memory at a time


def encode_sources(model: Seq2Seq, sources: Sequence[Ids]) -> EncoderOutput:
    """Encode sources.

    Args:
        model: The network.
        sources: Subword ids of at least one sentence, longest first, without eos.

    Returns:
        The encoded sources, S = longest + 1.
    """
    lengths = torch.tensor([len(ids) + 1 for ids in sources])  # [B]
    return model.encode(torch.from_numpy(pad(sources, eos=True)).to(model.device), lengths)


@torch.inference_mode()
def log_probabilities(model: Seq2Seq, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
    """Score translations.

    Args:
        model: The network; put into evaluation mode.
        sources: Subword ids, without eos.
        targets: Those of the translation of each.

    Returns:
        The natural logarithm of each translation's probability, eos included.
    """
    totals = np.zeros(len(sources))
    for batch in _batches(sources, targets):
        for start, hidden, _ in _run(model.eval(), [sources[i] for i in batch], [targets[i] for i in batch]):
            expected, place = _expected([targets[i] for i in batch], start, len(hidden))
            rows = hidden.reshape(-1, hidden.shape[-1])[place.to(hidden.device)]  # [M, E]
            found = _pick(model, rows, expected.to(hidden.device))  # [M]
            np.add.at(totals, np.array(batch)[(place % len(batch)).numpy()], found)
    return [float(total) for total in totals]


def attention(
    model: Seq2Seq, sources: Sequence[Ids], targets: Sequence[Ids]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Tell where the model looks while it writes translations; holds the weights of one batch at a time.

    Args:
        model: The network; put into evaluation mode.
        sources: Subword ids, without eos.
        targets: Those of the translation of each.

    Yields:
        The number of each pair, in any order, and its attention weights [T, S], both with eos at their end; every row
        sums to 1.
    """
    for batch in _batches(sources, targets):
        yield from zip(batch, _attention(model, [sources[i] for i in batch], [targets[i] for i in batch]), strict=True)


@torch.inference_mode()
def _attention(model: Seq2Seq, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
    """Attention weights of a batch."""
    found = [np.empty((len(target) + 1, len(source) + 1), np.float32) for source, target in zip_pairs(sources, targets)]
    for start, _, weights in _run(model.eval(), sources, targets):
        stretch = weights.transpose(0, 1).cpu().numpy()  # [B, t, S]
        for here, row in zip(found, stretch, strict=True):
            part = here[start : start + len(row)]
            part[:] = row[: part.shape[0], : part.shape[1]]
    return found


def zip_pairs(sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[Ids, Ids]]:
    """Go through sources and targets side by side; a different number of them is a defect of the caller."""
    return zip(sources, targets, strict=True)


def _batches(sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[list[int]]:
    """Batches of like length, within each the longest source first."""
    sizes = [max(len(source), len(target)) + 1 for source, target in zip_pairs(sources, targets)]
    for batch in longest_first(sizes, _BATCH_TOKENS):
        yield sorted(batch, key=lambda index: (-len(sources[index]), index))


def _run(model: Seq2Seq, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Run a batch in stretches: yields the first step of each, hidden [t, B, E] and weights [t, B, S]."""
    encoded = encode_sources(model, sources)
    state = model.start(encoded)
    inputs = pad(targets, bos=True)  # [T, B]
    stretch = max(1, _ATTENTION_VALUES // encoded.states[:, :, 0].numel())
    for start in range(0, len(inputs), stretch):
        tokens = torch.from_numpy(inputs[start : start + stretch]).to(model.device)
        hidden, weights, state = model.decoder.run(model.target_embedding(tokens), state)
        yield start, hidden, weights


def _expected(targets: Sequence[Ids], start: int, steps: int) -> tuple[Tensor, Tensor]:
    """Tokens [M] that a stretch should answer, and where [M] in the flattened [t, B] each stands."""
    tokens, places = [], []
    for column, ids in enumerate(targets):
        answer = [*ids[start : start + steps], EOS][:steps] if start <= len(ids) else []
        tokens += answer
        places += [step * len(targets) + column for step in range(len(answer))]
    return torch.tensor(tokens, dtype=torch.int64), torch.tensor(places, dtype=torch.int64)


def _pick(model: Seq2Seq, hidden: Tensor, tokens: Tensor) -> NDArray[np.float64]:
    """Log-probability [M] of each token [M] after each vector [M, E]."""
    if not len(tokens):
        return np.zeros(0)
    chunk = max(1, _LOGITS // len(model.output_bias))
    found = []
    for start in range(0, len(tokens), chunk):
        scores = torch.log_softmax(model.logits(hidden[start : start + chunk]), dim=-1)
        found.append(scores.gather(1, tokens[start : start + chunk, None])[:, 0])
    return torch.cat(found).double().cpu().numpy()
