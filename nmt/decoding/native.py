"""A model folder's network in native code, as what translates on the CPU; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import fsum, prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from nmt.data.subwords import BOS, EOS
from nmt.data.text import gather
from nmt.decoding.hypotheses import Hypothesis, SearchOptions
from nmt.decoding.network import BATCH_TOKENS, Ids, Progress
from nmt.decoding.quality_checks import COVERED
from nmt.model.native import Found, NativeNetwork, all_finite
from nmt.model.shapes import NetworkShape, parameter_shapes
from nmt.model_folder.files import ModelError
from nmt.model_folder.parameters import OpenModel, mapped_parameters, open_model
from nmt.model_folder.shortlist import Shortlist, read_shortlist

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nmt.brief import Settings

_BATCH: Final = 64  # pairs that are scored at once
_MOST: Final = 10_000  # pairs, and
_WEIGHTS: Final = 4_000_000  # attention weights in memory at a time


class PackedNetwork:
    """A network in native code (see `Network`). Nothing in it changes: threads may share it.

    Args:
        native: The network.
        threads: Threads that a call uses.
        shortlist: 0, or how many translations of each source subword searches choose from.
    """

    place = "cpu"

    def __init__(self, native: NativeNetwork, threads: int, shortlist: int = 0) -> None:
        self._native = native
        self._threads = threads
        self._shortlist = shortlist

    @classmethod
    def load(
        cls, folder: Path, threads: int, precision: str = "float32", shortlist: int = 0
    ) -> tuple[Settings, PackedNetwork]:
        """Read a model folder.

        Args:
            folder: The folder.
            threads: Threads that a call uses.
            precision: What weights are packed to, a key of `nmt.model.native.PRECISIONS`.
            shortlist: 0, or how many translations of each source subword searches choose from.

        Returns:
            Its settings, and the network.

        Raises:
            ModelError: If a file is missing, damaged, or does not fit the others.
            OSError: If a file cannot be read.
        """
        model = open_model(folder, parameter_shapes)
        with finite_parameters(model) as tensors:
            shape = NetworkShape.of(model.settings, model.header.vocabulary_sizes)
            native = NativeNetwork(shape, tensors, precision)
        if shortlist:
            _set_shortlist(native, read_shortlist(folder, model.header.vocabulary_sizes))
        return model.settings, cls(native, threads, shortlist)

    @classmethod
    def join(cls, networks: Sequence[PackedNetwork]) -> PackedNetwork:
        """Make an ensemble of at least one, with what the first is asked for; see `NativeNetwork.join`."""
        first = networks[0]
        return cls(NativeNetwork.join([network._native for network in networks]), first._threads, first._shortlist)

    @property
    def precision(self) -> str:
        """What its weights are rounded to, a key of `nmt.model.native.PRECISIONS`."""
        return self._native.precision

    @property
    def vocabulary_sizes(self) -> tuple[int, int]:
        """Of source and target, in subwords."""
        return self._native.shapes[0].source_vocabulary, self._native.shapes[0].target_vocabulary

    @property
    def number_of_parameters(self) -> int:
        """Trainable values, shared ones counted once."""
        return sum(prod(size) for shape in self._native.shapes for size in shape.parameters().values())

    def with_threads(self, threads: int) -> Self:
        """Return the same network, of whose calls each uses so many threads."""
        return self if threads == self._threads else type(self)(self._native, threads, self._shortlist)

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
        longest = max(map(len, sources)) + 1
        most = min(batch_size, max(1, BATCH_TOKENS // longest))
        how = {**asdict(options), "shortlist": self._shortlist}
        found = self._native.search(sources, max_lengths, how, most, self._threads, progress, prefixes)
        return [[_hypothesis(each) for each in hypotheses] for hypotheses in found]

    def log_probabilities(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[float]:
        """Score translations; see `Network.log_probabilities`."""
        most = _batch_size([*sources, *targets])
        found = self._native.score(sources, targets, (BOS, EOS), most, self._threads)
        return [fsum(each.log_probabilities) for each in found]

    def attention(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Tell where the network looks; see `Network.attention`. Holds the weights of some pairs at a time."""
        pairs = enumerate(zip(sources, targets, strict=True))
        for some in gather(pairs, lambda pair: (len(pair[1][0]) + 1) * (len(pair[1][1]) + 1), _MOST, _WEIGHTS):
            these = [source for _, (source, _) in some], [target for _, (_, target) in some]
            most = _batch_size([*these[0], *these[1]])
            found = self._native.score(*these, (BOS, EOS), most, self._threads, attention=True)
            yield from (
                (number, _as_array(each.attention))
                for (number, _), each in zip(some, found, strict=True)
                if each.attention is not None
            )


@contextmanager
def finite_parameters(model: OpenModel) -> Iterator[dict[str, memoryview[float]]]:
    """Map the parameters of a model, and check that they are finite; see `mapped_parameters`."""
    with mapped_parameters(model) as tensors:
        for name, values in tensors.items():
            if not all_finite(values):
                raise ModelError(f"{model.path}: {name}: holds values that are not finite")
        yield tensors


def _set_shortlist(native: NativeNetwork, found: Shortlist) -> None:
    try:
        native.set_shortlist(found.first, found.candidates, found.frequent)
    except ValueError as error:
        raise ModelError(f"{found.path}: damaged: {error}") from None


def _batch_size(lines: Sequence[Ids]) -> int:
    """Lines that a thread has in work at a time: fewer where they are long."""
    return min(_BATCH, max(1, BATCH_TOKENS // (max(map(len, lines), default=0) + 1)))


def _hypothesis(found: Found) -> Hypothesis:
    uncovered = sum(each < COVERED for each in found.coverage[:-1])
    weights = None if found.attention is None else _as_array(found.attention)
    return Hypothesis(found.tokens, found.log_probability, found.score, uncovered, weights)


def _as_array(values: memoryview[float]) -> NDArray[np.float32]:
    import numpy as np  # noqa: PLC0415  (translating alone does without)

    return np.asarray(values)
