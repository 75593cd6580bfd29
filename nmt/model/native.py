"""A network in native code, for searching on the CPU: the weights of a `Seq2Seq`, packed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.model.recurrent import CELLS
from nmt.model.seq2seq import Seq2Seq
from rnn_engine._core import Translation
from rnn_engine.spec import CELLS as ENGINE_CELLS

_ATTENTION = {True: 0, False: 1}  # whether the query is taken as it is

PRECISIONS = {"float32": 0, "int8": 1}
"""What weights may be packed to."""


@dataclass(frozen=True)
class Found:
    """A translation that a search found."""

    tokens: tuple[int, ...]
    """Without bos and eos."""
    log_probability: float
    """Natural logarithm, eos included."""
    score: float
    """After length normalisation."""
    coverage: NDArray[np.float32]
    """[S] attention that each source subword, eos last, got from all tokens but eos."""


@dataclass(frozen=True)
class Forced:
    """What a network thinks of a translation that is known already."""

    log_probabilities: memoryview[float]
    """[T] float64: natural logarithms of the probability of each token, eos last."""
    attention: memoryview[float] | None
    """[T, S] float32: what each token, eos last, looked at; None if not asked for."""


class NativeNetwork:
    """A network of float32 weights that searches by itself, without torch, on as many threads as are asked for.

    Args:
        model: Whose weights it copies.
        names: Its parameters, by the names that they have in files.
        precision: A key of `PRECISIONS`.

    Raises:
        ValueError: The model is not one that `can_run`.
    """

    def __init__(self, model: Seq2Seq, names: Mapping[str, Tensor], precision: str = "float32") -> None:
        encoder: Any = model.encoder.layers
        attention = model.decoder.attention
        source, target = model.vocabulary_sizes
        self._weights = weights_of(model)
        self._native = Translation(
            {name: tensor.detach().contiguous().numpy() for name, tensor in names.items()},
            cell=ENGINE_CELLS[_cell_of(model)].index,
            attention=_ATTENTION[isinstance(attention.query_projection, torch.nn.Identity)],
            precision=PRECISIONS[precision],
            source_vocabulary=source,
            target_vocabulary=target,
            embedding_size=model.target_embedding.weight.shape[1],
            hidden_size=model.decoder.hidden_size,
            encoder_layers=encoder.num_layers,
            decoder_layers=len(model.decoder.layers),
        )

    def is_of(self, model: Seq2Seq) -> bool:
        """Whether the weights are still those of the model."""
        return self._weights == weights_of(model)

    def search(
        self,
        sources: Sequence[Sequence[int]],
        max_lengths: Sequence[int],
        options: Mapping[str, Any],
        batch_size: int,
        threads: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Found]]:
        """Search the best translations; a result depends on its sentence and the options alone, to the bit.

        Args:
            sources: Ids without eos, none empty.
            max_lengths: Longest translation of each, eos included; at this length eos is forced.
            options: How to search: the fields of `nmt.decoding.beam_search.SearchOptions`.
            batch_size: Sentences that a thread has in work at a time.
            threads: Threads.
            progress: Called now and then with the number of sentences just done.

        Returns:
            Per sentence, its best hypotheses, best first.
        """
        found = self._native.search(
            sources,
            max_lengths,
            **options,
            batch_size=batch_size,
            threads=threads,
            progress=progress,
        )
        return [[Found(*hypothesis) for hypothesis in hypotheses] for hypotheses in found]

    def score(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        ends: tuple[int, int],
        batch_size: int,
        threads: int,
        *,
        attention: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> list[Forced]:
        """Tell how probable given translations are; a result depends on its pair alone, to the bit.

        Args:
            sources: Ids without eos.
            targets: Those of the translation of each.
            ends: Ids of bos and eos.
            batch_size: Pairs that a thread has in work at a time.
            threads: Threads.
            attention: Whether to keep the attention of all pairs: T * S values of each.
            progress: Called now and then with the number of pairs just done.

        Returns:
            What it thinks of each pair.
        """
        found = self._native.score(
            sources,
            targets,
            bos=ends[0],
            eos=ends[1],
            attention=attention,
            batch_size=batch_size,
            threads=threads,
            progress=progress,
        )
        return [
            Forced(
                memoryview(log_probabilities).cast("d"),
                None if weights is None else memoryview(weights).cast("f", (len(target) + 1, len(source) + 1)),
            )
            for (log_probabilities, weights), source, target in zip(found, sources, targets, strict=True)
        ]


def can_run(model: Seq2Seq) -> bool:
    """Whether a model is one of the engine's layers in float32 on the CPU."""
    return _cell_of(model) in ENGINE_CELLS and all(
        parameter.device.type == "cpu" and parameter.dtype == torch.float32 and not parameter.is_inference()
        for parameter in model.parameters()
    )


def weights_of(model: Seq2Seq) -> list[tuple[int, int]]:
    """What tells weights from others, and from what they were before: of each parameter the place and the version."""
    return [(parameter.data_ptr(), parameter._version) for parameter in model.parameters()]


def _cell_of(model: Seq2Seq) -> str:
    layers = [model.encoder.layers, *model.decoder.layers]
    cells = {name for name, kind in CELLS.items() if all(type(layer) is kind for layer in layers)}
    return cells.pop() if cells else ""
