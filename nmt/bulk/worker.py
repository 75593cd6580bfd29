"""The process on each core: a translator of one thread, which imports no torch."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.bulk.rows import Wanted, make
from nmt.bulk.shards import Made, Shard
from nmt.decoding.translation import Translation, TranslationSettings
from nmt.decoding.translator import Translator


@dataclass(frozen=True)
class Work:
    """What all workers do."""

    models: tuple[Path, ...]
    """A model, or several that translate together; a file that `nmt export` wrote is mapped, so that all share it."""
    settings: TranslationSettings
    wanted: Wanted
    precision: str | None = None
    shortlist: int = 0
    memory: int | None = None
    """Bytes of its own that a worker may have; None for any number."""

    def load(self) -> Translator:
        """Open the model, for one thread."""
        models: Path | Sequence[Path] = self.models[0] if len(self.models) == 1 else self.models
        return Translator.load(models, 1, "cpu", self.precision, "native", self.shortlist)


class Worker:
    """Translates shards, one after the other.

    Args:
        work: What to do.
    """

    def __init__(self, work: Work) -> None:
        if work.memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (work.memory, work.memory))
        self._work, self._translator = work, work.load()

    def make(self, shard: Shard) -> Made:
        """Make a row of each row of a shard.

        Raises:
            MemoryError: It takes more than there is.
        """

        def translate(texts: Sequence[str]) -> list[Translation]:
            return self._translator.translate_detailed(texts, self._work.settings)

        return make(shard, translate, self._work.wanted, self._translator.config.data.source_language)
