"""Values, the phrases that say them, and which values are held out of training.

The space of values is split before any sentence is made: a value belongs to training, validation or test by a hash of
its name, so no value of a held-out line occurs in any training line.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Literal, TypeVar

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
HELD_OUT_SHARE = 0.04  # of all values, for each of validation and test
ALWAYS_TRAINED_BELOW = 100  # whole numbers that everything else is composed of

Value = TypeVar("Value")


class UnsuitableError(Exception):
    """What was drawn cannot be said, or belongs to another split: something else must be drawn."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One value, or two, as said in both languages."""

    slot: str
    """Key of `frames.FRAMES`: the sentences that this phrase fits."""
    german: dict[str, str]
    """Text of each placeholder of the German frame; `x` at least."""
    english: dict[str, str]
    """The same for the English frame."""
    keys: tuple[str, ...] = field(default=())
    """Names of the values, by which they are split."""


def phrase(slot: str, german: str, english: str, *keys: str) -> Phrase:
    """Make a phrase with the single placeholder `x`."""
    return Phrase(slot, {"x": german}, {"x": english}, keys)


def number_key(number: Decimal | int) -> str:
    """Name a number, the same in every kind of phrase: counts, amounts and measures share one split."""
    return f"number {Decimal(number).normalize():f}"


def split_of(key: str) -> Split:
    """Tell which split a value belongs to.

    Args:
        key: The value's name: its kind, a blank, and the value itself.

    Returns:
        `train` for what all others are composed of, the small numbers and the quarters of an hour on the clock;
        otherwise by a hash of the name.
    """
    kind, _, value = key.partition(" ")
    if kind == "number" and "." not in value and abs(int(value)) < ALWAYS_TRAINED_BELOW:
        return "train"
    if kind == "clock" and int(value.partition(":")[2]) % 15 == 0:
        return "train"
    position = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
    if position < HELD_OUT_SHARE:
        return "valid"
    return "test" if position < 2 * HELD_OUT_SHARE else "train"


def draw(
    rng: random.Random,
    split: Split,
    make: Callable[[random.Random], Value | None],
    key: Callable[[Value], str],
    attempts: int = 2000,
) -> Value:
    """Draw values until one belongs to the split.

    Args:
        rng: Source of randomness.
        split: The split wanted.
        make: Draws one value of any split; None counts as an attempt.
        key: The value's name.
        attempts: Values to draw at most.

    Returns:
        The first that fits.

    Raises:
        UnsuitableError: None of them does.
    """
    for _ in range(attempts):
        value = make(rng)
        if value is not None and split_of(key(value)) == split:
            return value
    raise UnsuitableError
