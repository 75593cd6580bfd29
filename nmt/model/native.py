"""A network in native code, for searching on the CPU: weights packed once. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.model.shapes import NetworkShape
from rnn_engine._core import ModelFile, Translation, all_finite
from rnn_engine.spec import CELLS

__all__ = ["PRECISIONS", "Found", "NativeNetwork", "all_finite"]

_ATTENTION = {"dot": 0, "general": 1, "additive": 2}
_CONTEXT = {"readout": 0, "upper": 1}

PRECISIONS = {"float32": 0, "int8": 1, "bfloat16": 2}
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
    coverage: memoryview[float]
    """[S] float32, attention that each source subword, eos last, got from all tokens but eos."""
    attention: memoryview[float] | None
    """[T, S] float32: what each token, eos last, looked at; None if not asked for."""


@dataclass(frozen=True)
class Forced:
    """What a network thinks of a translation that is known already."""

    log_probabilities: memoryview[float]
    """[T] float64: natural logarithms of the probability of each token, eos last."""
    attention: memoryview[float] | None
    """[T, S] float32: what each token, eos last, looked at; None if not asked for."""


class NativeNetwork:
    """A network of float32 weights that searches by itself, without torch, on as many threads as are asked for.

    Nothing in it changes: any number of threads may use it at a time.

    Args:
        shape: Its sizes.
        tensors: Its float32 parameters, by the names and of the shapes that `shape` tells, copied; or the file that
            they lie in, and are used in.
        precision: A key of `PRECISIONS`.

    Raises:
        ValueError, TypeError: A parameter is missing, or of another size or type.
    """

    def __init__(self, shape: NetworkShape, tensors: Mapping[str, Any] | ModelFile, precision: str = "float32") -> None:
        self.shapes: tuple[NetworkShape, ...] = (shape,)
        """Of the networks: one, or those of an ensemble."""
        self.precision = precision
        self._native = (
            Translation(tensors)
            if isinstance(tensors, ModelFile)
            else Translation(dict(tensors), shape_numbers(shape, precision))
        )

    @classmethod
    def join(cls, networks: Sequence[NativeNetwork]) -> NativeNetwork:
        """Make an ensemble, whose log-probabilities are the mean of those of its networks.

        It has their shortlists, if all of them have one: what is a candidate for any of them is one.

        Args:
            networks: At least one, of the same subwords, whatever their sizes.

        Raises:
            ValueError: Vocabularies have different sizes.
        """
        joined = cls.__new__(cls)
        joined._native = Translation.join([network._native for network in networks])
        joined.shapes = tuple(shape for network in networks for shape in network.shapes)
        joined.precision = " and ".join(sorted({network.precision for network in networks}))
        return joined

    def set_shortlist(self, first: bytes, candidates: bytes, frequent: bytes) -> None:
        """Set what the option `shortlist` of a search takes, before any other thread uses the network or ensemble.

        Args:
            first: int64 [source vocabulary + 1]: `candidates[first[s]:first[s + 1]]` are those of source subword s.
            candidates: int32: target ids, of each source subword the best first.
            frequent: int32: target ids, the most frequent first.

        Raises:
            ValueError: They do not fit each other, or the network.
        """
        self._native.set_shortlist(first, candidates, frequent)

    def search(
        self,
        sources: Sequence[Sequence[int]],
        max_lengths: Sequence[int],
        options: Mapping[str, Any],
        batch_size: int,
        threads: int,
        progress: Callable[[int], None] | None = None,
        prefixes: Sequence[Sequence[int]] | None = None,
    ) -> list[list[Found]]:
        """Search the best translations, or draw some; a result depends on its sentence and options alone, to the bit.

        Args:
            sources: Ids without eos, none empty.
            max_lengths: Longest translation of each, eos included; at this length eos is forced.
            options: How to search: the fields of `nmt.decoding.hypotheses.SearchOptions` but for `max_length`, which is
                in `max_lengths`, and `shortlist`: 0, or how many words of each list are enough (see `set_shortlist`).
            batch_size: Sentences that a thread has in work at a time.
            threads: Threads.
            progress: Called now and then with the number of sentences just done; what it raises ends the search.
            prefixes: Ids that the translation of each begins with, shorter than its longest.

        Returns:
            Per sentence, its best hypotheses, best first, or as they were drawn.
        """
        found = self._native.search(
            sources,
            max_lengths,
            prefixes,
            **{name: value for name, value in options.items() if name != "max_length"},
            batch_size=batch_size,
            threads=threads,
            progress=progress,
        )
        return [
            [_found(len(source) + 1, *hypothesis) for hypothesis in hypotheses]
            for source, hypotheses in zip(sources, found, strict=True)
        ]

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
            progress: Called now and then with the number of pairs just done; what it raises ends the scoring.

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


def shape_numbers(shape: NetworkShape, precision: str) -> tuple[int, ...]:
    """Describe a network of a precision as the native code does: the numbers of `rnn_translate_shape`, in order."""
    return (
        CELLS[shape.cell].index,
        _ATTENTION[shape.attention],
        PRECISIONS[precision],
        shape.source_vocabulary,
        shape.target_vocabulary,
        shape.embedding_size,
        shape.hidden_size,
        shape.encoder_layers,
        shape.decoder_layers,
        shape.attention_heads,
        _CONTEXT[shape.context],
        round(1e6 * shape.zoneout),
        int(shape.input_feeding),
        int(shape.attend_embeddings),
    )


def _found(
    size: int, tokens: tuple[int, ...], log_probability: float, score: float, coverage: bytes, attention: bytes | None
) -> Found:
    weights = None if attention is None else memoryview(attention).cast("f", (len(tokens) + 1, size))
    return Found(tokens, log_probability, score, memoryview(coverage).cast("f"), weights)
