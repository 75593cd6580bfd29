"""What a network makes of the validation text, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.terminal import printable


class Sample(NamedTuple):
    """A validation sentence, and what the network makes of it."""

    direction: str
    """Its languages, as in `en-de`."""
    source: str
    translation: str
    reference: str


@dataclass(frozen=True)
class Translated:
    """What came of translating a validation set."""

    bleu: Mapping[str, float]
    """BLEU, 0..100, of each pair of languages, of which there is at least one."""
    samples: Sequence[Sample] = ()


def describe_sample(sample: Sample) -> list[str]:
    """Write a sample in lines."""
    return [
        f"sample {sample.direction}: {printable(sample.source)}",
        f"  translation: {printable(sample.translation)}",
        f"  reference:   {printable(sample.reference)}",
    ]
