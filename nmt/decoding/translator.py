"""Text in, text out: one line in gives exactly one line out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from nmt.config import Config
from nmt.data.subwords import EOS, load_subwords
from nmt.decoding.search import SearchError, SearchOptions, beam_search
from nmt.decoding.splitting import Piece, split_line
from nmt.model.decoder import DecoderState
from nmt.model.folder import load_model
from nmt.model.seq2seq import Seq2Seq
from nmt.model.threads import use_threads


class SubwordModel(Protocol):
    """What the translator needs of a subword model."""

    def encode(self, text: str) -> list[int]:
        """Turn a text into ids, without bos and eos."""

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into a text."""


@dataclass(frozen=True)
class _Source:
    """A piece of an input line, ready for the model."""

    line: int
    piece: Piece
    ids: list[int]


class Translator:
    """Translates text with a model.

    Args:
        model: The network; put into evaluation mode whenever it translates.
        source_subwords: The source's subword model.
        target_subwords: The target's subword model.
        config: The settings; `decoding` gives the defaults, `data.max_length` the longest piece.
    """

    def __init__(
        self, model: Seq2Seq, source_subwords: SubwordModel, target_subwords: SubwordModel, config: Config
    ) -> None:
        self.model = model
        self.source_subwords = source_subwords
        self.target_subwords = target_subwords
        self.config = config

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> Self:
        """Read a model folder.

        Args:
            folder: The folder.
            threads: CPU threads; None takes every core that the process may use.

        Returns:
            The translator.

        Raises:
            ModelError: If the model is missing, damaged, or does not fit its config.
            SubwordError: If a subword model is missing or damaged.
        """
        use_threads(threads)
        config, model = load_model(folder)
        return cls(model, *load_subwords(folder), config)

    def translate(
        self,
        lines: Sequence[str],
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Translate lines.

        Empty lines stay empty. A line longer than `data.max_length` subwords is cut, at sentence ends where possible;
        its pieces are translated one by one and joined.

        Args:
            lines: The lines.
            beam_size: Hypotheses per sentence; None takes the config's, as for the two that follow.
            length_penalty: Exponent of the length by which log-probabilities are divided.
            batch_size: Sentences searched at once.
            progress: Called after every batch with the number of pieces just translated.

        Returns:
            A translation for each line, in order, without line breaks.

        Raises:
            SearchError: If a setting is out of bounds.
        """
        defaults = self.config.decoding
        options = SearchOptions(
            beam_size=defaults.beam_size if beam_size is None else beam_size,
            length_penalty=defaults.length_penalty if length_penalty is None else length_penalty,
        )
        batch_size = defaults.batch_size if batch_size is None else batch_size
        if batch_size < 1:
            raise SearchError(f"batch_size: expected at least 1, got {batch_size}")
        sources = [source for number, line in enumerate(lines) for source in self._prepare(number, line)]
        translated = [""] * len(sources)
        # Long ones first: a batch holds sentences of like length, and one too large for the memory fails at the start.
        order = sorted(range(len(sources)), key=lambda index: (-len(sources[index].ids), index))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            results = self.search([sources[index].ids for index in batch], options)
            for index, ids in zip(batch, results, strict=True):
                translated[index] = _one_line(self.target_subwords.decode(ids))
            if progress is not None:
                progress(len(batch))
        return _join(len(lines), sources, translated)

    @torch.inference_mode()
    def search(self, sources: Sequence[Sequence[int]], options: SearchOptions) -> list[list[int]]:
        """Translate ids.

        Args:
            sources: Subword ids of at least one sentence, longest first, none empty, without eos.
            options: How to search.

        Returns:
            Ids of the best translation of each, without eos.
        """
        model, decoding = self.model.eval(), self.config.decoding
        device = model.device
        lengths = torch.tensor([len(ids) + 1 for ids in sources])  # [B]
        padded = np.zeros((len(sources), len(sources[0]) + 1), dtype=np.int64)  # [B, S]
        for row, ids in zip(padded, sources, strict=True):
            row[: len(ids) + 1] = [*ids, EOS]
        encoded = model.encode(torch.from_numpy(padded.T.copy()).to(device), lengths)
        limits = [int(decoding.max_length_factor * len(ids)) + decoding.max_length_extra + 1 for ids in sources]

        def step(state: DecoderState, tokens: Tensor) -> tuple[Tensor, DecoderState]:
            return model.step(state, tokens.to(device))

        def reorder(state: DecoderState, index: Tensor) -> DecoderState:
            return model.reorder(state, index.to(device))

        found = beam_search(step, reorder, model.start(encoded), limits, options)
        return [list(hypotheses[0].tokens) if hypotheses else [] for hypotheses in found]

    def _prepare(self, number: int, line: str) -> list[_Source]:
        """Cut a line into pieces within the limit; those without any subword are left out."""
        text = _one_line(line)
        ids = self.source_subwords.encode(text)
        if len(ids) <= self.config.data.max_length:
            return [_Source(number, Piece(text, ""), ids)] if ids else []
        pieces = split_line(text, self.config.data.max_length, lambda part: len(self.source_subwords.encode(part)))
        sources = [_Source(number, piece, self.source_subwords.encode(piece.text)) for piece in pieces]
        return [source for source in sources if source.ids]


def _one_line(text: str) -> str:
    """Replace line breaks of every kind by spaces."""
    return " ".join(text.splitlines()).strip()


def _join(count: int, sources: Sequence[_Source], translated: Sequence[str]) -> list[str]:
    """Put the translated pieces of each of `count` lines together again."""
    lines = [""] * count
    for source, text in zip(sources, translated, strict=True):
        lines[source.line] += text + source.piece.joint
    return [line.strip() for line in lines]
