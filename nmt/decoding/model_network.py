"""Networks in torch as what translates: in training, on CUDA, and for the search that can be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config import Config
from nmt.data.batching import longest_first
from nmt.decoding.beam_search import beam_search
from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.native import PackedNetwork
from nmt.decoding.network import BATCH_TOKENS, Ids, Progress
from nmt.decoding.quality_checks import COVERED
from nmt.decoding.sampling import draw_translations
from nmt.decoding.scoring import attention, encode_sources, log_probabilities
from nmt.model.decoder import DecoderState
from nmt.model.guest import as_guest
from nmt.model.packing import can_pack, pack
from nmt.model.seq2seq import Seq2Seq
from nmt.model.shapes import parameter_shapes
from nmt.model_folder.weights import load_model, parameters_of


class ModelNetwork:
    """A network in torch, or an ensemble (see `Network`), whose weights may change between two calls.

    On the CPU it is searched in native code, where it can be, packed anew for every search; else by `beam_search`.
    torch's settings are left as they are (see `as_guest`).

    Args:
        model: The network; put into evaluation mode whenever it is used.
        threads: CPU threads that a call uses; None for as many as torch has.
        reference: Search by `beam_search` wherever the model is.
        others: More networks of the same subwords, in the same place: log-probabilities are the mean of all.
    """

    def __init__(
        self,
        model: Seq2Seq,
        threads: int | None = None,
        *,
        reference: bool = False,
        others: Sequence[Seq2Seq] = (),
    ) -> None:
        self.model = model
        self._models = (model, *others)
        self._threads = threads
        self._reference = reference

    @classmethod
    def join(cls, networks: Sequence[ModelNetwork]) -> ModelNetwork:
        """Make an ensemble of at least one, with what the first is asked for."""
        model, *others = (model for network in networks for model in network._models)
        return cls(model, networks[0]._threads, reference=networks[0]._reference, others=others)

    @classmethod
    def load(
        cls, folder: Path, place: torch.device, threads: int | None = None, *, reference: bool = False
    ) -> tuple[Config, ModelNetwork]:
        """Read a model folder.

        Args:
            folder: The folder.
            place: Where it computes.
            threads: CPU threads that a call uses; None for as many as torch has.
            reference: Search by `beam_search` wherever the model is.

        Returns:
            Its settings, and the network.

        Raises:
            ModelError: If a file is missing, damaged, or does not fit the others.
            OSError: If a file cannot be read.
        """
        with as_guest(threads):
            config, model = load_model(folder, Seq2Seq.from_config, parameter_shapes)
            return config, cls(model.to(place), threads, reference=reference)

    precision = "float32"

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""
        return self.model.vocabulary_sizes

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""
        return sum(model.number_of_parameters for model in self._models)

    @property
    def place(self) -> str:
        """Where it computes."""
        return str(self.model.device)

    def with_threads(self, threads: int) -> Self:
        """Return the same: how many threads torch uses is a matter of the process."""
        return self

    def search(
        self,
        sources: Sequence[Ids],
        max_lengths: Sequence[int],
        options: SearchOptions,
        batch_size: int,
        progress: Progress | None = None,
        prefixes: Sequence[Ids] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search translations; see `Network.search`."""
        with as_guest(self._threads):
            if not self._reference and all(map(can_pack, self._models)):
                threads = torch.get_num_threads()
                packed = [PackedNetwork(pack(model, parameters_of(model)), threads) for model in self._models]
                return PackedNetwork.join(packed).search(sources, max_lengths, options, batch_size, progress, prefixes)
            found: list[list[Hypothesis]] = [[] for _ in sources]
            for batch in longest_first([len(ids) + 1 for ids in sources], BATCH_TOKENS, batch_size):
                limits = [max_lengths[index] for index in batch]
                starts = [prefixes[index] for index in batch] if prefixes else None
                results = self._search_batch([sources[index] for index in batch], limits, options, starts)
                for index, hypotheses in zip(batch, results, strict=True):
                    found[index] = hypotheses
                if progress is not None:
                    progress(len(batch))
            return found

    @torch.inference_mode()
    def _search_batch(
        self,
        sources: Sequence[Ids],
        max_lengths: Sequence[int],
        options: SearchOptions,
        prefixes: Sequence[Ids] | None,
    ) -> list[list[Hypothesis]]:
        """Translate a batch, the longest sentence first."""
        models = [model.eval() for model in self._models]
        device = self.model.device
        starts = tuple(model.start(encode_sources(model, sources)) for model in models)
        lengths = torch.tensor([len(ids) for ids in sources])
        places = torch.arange(starts[0].attention.shape[1])
        beyond = (places >= lengths[:, None]).to(device, starts[0].attention.dtype)  # [B, S]: what needs no attention

        def step(state: _State, tokens: Tensor) -> tuple[Tensor, _State]:
            here = tokens.to(device)
            found = [model.step(each, here) for model, each in zip(models, state.decoders, strict=True)]
            after = tuple(each for _, each in found)
            seen = _mean([each.attention for each in state.decoders])
            return _mean([log_probs for log_probs, _ in found]), _State(after, state.coverage + seen)

        def reorder(state: _State, index: Tensor) -> _State:
            here = index.to(device)
            after = (model.reorder(each, here) for model, each in zip(models, state.decoders, strict=True))
            return _State(tuple(after), state.coverage[here.flatten()])

        state = _State(starts, beyond)
        if options.sampling is None:
            found = beam_search(step, reorder, state, max_lengths, options, _uncovered, prefixes)
        else:
            found = draw_translations(step, reorder, state, sources, max_lengths, options, _uncovered, prefixes)
        return self._with_attention(sources, found) if options.attention else found

    def _with_attention(self, sources: Sequence[Ids], found: list[list[Hypothesis]]) -> list[list[Hypothesis]]:
        """Attention of what a search found, by decoding it once more: plain, if not fast."""
        pairs = [
            (source, each.tokens) for source, hypotheses in zip(sources, found, strict=True) for each in hypotheses
        ]
        weights = dict(self._attention([source for source, _ in pairs], [target for _, target in pairs]))
        numbers = itertools.count()
        return [[replace(each, attention=weights[next(numbers)]) for each in hypotheses] for hypotheses in found]

    def log_probabilities(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
        """Score translations; see `Network.log_probabilities`."""
        with as_guest(self._threads):
            parts = [log_probabilities(model, sources, targets) for model in self._models]
            return [fsum(each) / len(each) for each in zip(*parts, strict=True)]

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Tell where the network looks; see `Network.attention`."""
        found = self._attention(sources, targets)
        while True:
            with as_guest(self._threads):  # whoever takes the weights does so with settings of its own
                each = next(found, None)
            if each is None:
                return
            yield each

    def _attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The mean of the networks' attention; they take pairs in the same order."""
        for parts in zip(*(attention(model, sources, targets) for model in self._models), strict=True):
            weights = [each for _, each in parts]
            yield parts[0][0], weights[0] if len(weights) == 1 else np.mean(weights, axis=0)


@dataclass(frozen=True)
class _State:
    """Where a search stands."""

    decoders: tuple[DecoderState, ...]
    """Of each network."""
    coverage: Tensor
    """[N, S], attention that each source subword received in all steps but the last, which may write eos: that one
    looks at what is still to be said."""


def _mean(parts: Sequence[Tensor]) -> Tensor:
    """The mean of the same tensor of each network."""
    return parts[0] if len(parts) == 1 else torch.stack(list(parts)).mean(dim=0)


def _uncovered(state: _State, numbers: Sequence[int]) -> list[int]:
    """Count the source subwords of hypotheses that are not covered."""
    counts: list[int] = (state.coverage[list(numbers)] < COVERED).sum(dim=1).tolist()
    return counts
