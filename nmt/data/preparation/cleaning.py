"""Which pairs are worth training on: encodes pairs, leaves out the others and counts why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from nmt.config_data import DataConfig
from nmt.data.preparation.duplicates import SeenHashes, as_hashes, hash_text
from nmt.data.preparation.parallel import parallel_sentences
from nmt.data.sentences import split_sentences
from nmt.data.subwords import Subwords
from nmt.data.text import gather

Pair = tuple[str, str]

EMPTY: Final = "left out, empty"
DUPLICATE: Final = "left out, duplicate"
TOO_LONG: Final = "left out, too long"
UNEVEN: Final = "left out, uneven lengths"
REASONS: Final = (EMPTY, DUPLICATE, TOO_LONG, UNEVEN)

CHUNK_PAIRS: Final = 10_000  # encoded at once: enough to hide the cost of a call, little memory
CHUNK_CHARACTERS: Final = 4_000_000  # fewer pairs at once where lines are long
_LOOKED_INTO: Final = 1_000  # pairs at the beginning of each chunk whose sentences are counted
_SHORT: Final = 10  # subwords: `max_ratio` does not apply to pairs up to this length


class EncodedPair(NamedTuple):
    """The subwords of a pair, without bos and eos."""

    source: list[int]
    target: list[int]


def encode_pairs(pairs: Iterable[Pair], source: Subwords, target: Subwords) -> Iterator[tuple[Pair, EncodedPair]]:
    """Encode pairs as they come, in chunks of bounded size, and yield each with its subwords."""
    for chunk in gather(pairs, _characters, CHUNK_PAIRS, CHUNK_CHARACTERS):
        yield from zip(chunk, _encode(chunk, source, target), strict=True)


def tagged(pairs: Iterable[EncodedPair], tag: Sequence[int]) -> Iterable[EncodedPair]:
    """Let each source begin with a tag, if there is one."""
    return (EncodedPair([*tag, *ids.source], ids.target) for ids in pairs) if tag else pairs


class Cleaner:
    """Turns training pairs into subwords and leaves out those that teach nothing.

    A pair is left out, for the first reason of these that applies: a side has no subwords; the same pair, letter for
    letter, came before; a side has more than `max_length` subwords; one side has more than `max_ratio` times the
    other's subwords, and more than ten. A pair that is too long is kept as several if its sentences belong together
    two by two (see `parallel_sentences`), and none of these pairs would be left out. Pairs whose sides are the same
    text are kept, and counted.

    Args:
        settings: Decide `max_length`, `max_ratio` and `remove_duplicates`.
        source: Subwords of the source.
        target: Subwords of the target.
    """

    def __init__(self, settings: DataConfig, source: Subwords, target: Subwords) -> None:
        self._settings = settings
        self._source, self._target = source, target
        self._seen = SeenHashes()
        self.counts: Counter[str] = Counter()
        """Pairs `read`, left out for each of `REASONS`, `split`, `made by splitting`, kept `copies`.

        Read pairs are those left out, those split, and those kept whole.
        """
        self.sentences: Counter[str] = Counter()
        """Pairs that were `looked into`, some of each chunk, and those with `several sentences` on both sides."""

    def clean(self, pairs: Iterable[Pair], tag: Sequence[int] = ()) -> Iterator[EncodedPair]:
        """Yield what is kept, in order; can be called again for more pairs of the same training text.

        Args:
            pairs: The text.
            tag: What each source begins with; pairs of other tags are no duplicates.
        """
        for chunk in gather(pairs, _characters, CHUNK_PAIRS, CHUNK_CHARACTERS):
            self._look_into(chunk[:_LOOKED_INTO])
            encoded = _encode(chunk, self._source, self._target)
            repeated = self._repeated(chunk, encoded, tag)
            for pair, ids, again in zip(chunk, encoded, repeated, strict=True):
                yield from tagged(self._kept(pair, ids, again), tag)

    def _look_into(self, pairs: list[Pair]) -> None:
        self.sentences["looked into"] += len(pairs)
        self.sentences["several sentences"] += sum(
            len(split_sentences(target)) > 1 and len(split_sentences(source)) > 1 for source, target in pairs
        )

    def _repeated(self, pairs: list[Pair], encoded: list[EncodedPair], tag: Sequence[int]) -> list[bool]:
        """Whether each pair came before; an empty one did not, nor does it count for others."""
        if not self._settings.remove_duplicates:
            return [False] * len(pairs)
        full = [bool(ids.source and ids.target) for ids in encoded]
        hashes = as_hashes(
            hash_text(*pair, *map(str, tag)) for pair, is_full in zip(pairs, full, strict=True) if is_full
        )
        new = iter(self._seen.add(hashes).tolist())
        return [is_full and not next(new) for is_full in full]

    def _kept(self, pair: Pair, ids: EncodedPair, repeated: bool) -> list[EncodedPair]:
        self.counts["read"] += 1
        reason = DUPLICATE if repeated else self._unusable(ids)
        if reason == TOO_LONG and (parts := self._split(pair)):
            self.counts["split"] += 1
            self.counts["made by splitting"] += len(parts)
            return parts
        if reason is not None:
            self.counts[reason] += 1
            return []
        self.counts["copies"] += pair[0].strip() == pair[1].strip()
        return [ids]

    def _unusable(self, ids: EncodedPair) -> str | None:
        shorter, longer = sorted(map(len, ids))
        if not shorter:
            return EMPTY
        if longer > self._settings.max_length:
            return TOO_LONG
        return UNEVEN if longer > max(_SHORT, self._settings.max_ratio * shorter) else None

    def _split(self, pair: Pair) -> list[EncodedPair]:
        """Sentences that may stand for a pair; none if it cannot be split for sure."""
        sentences = parallel_sentences(*pair)
        parts = _encode(sentences, self._source, self._target)
        return [] if any(map(self._unusable, parts)) else parts


def _encode(pairs: list[Pair], source: Subwords, target: Subwords) -> list[EncodedPair]:
    sides = source.encode_lines([pair[0] for pair in pairs]), target.encode_lines([pair[1] for pair in pairs])
    return list(map(EncodedPair, *sides))


def _characters(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])
