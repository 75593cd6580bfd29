"""Chance that is counted, not kept: what is drawn for a sentence depends on no neighbours, batches or processors.

The numbers are those of the search in native code (`csrc/translate/sampling.cpp`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

_MASK32: Final = (1 << 32) - 1
_MASK64: Final = (1 << 64) - 1
_PRIMES: Final = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def key_of(seed: int, source: Sequence[int], prefix: Sequence[int]) -> int:
    """Make the key of a sentence, 64 bits.

    Args:
        seed: 64 bits.
        source: Its ids, without eos.
        prefix: Ids that its translations begin with.
    """
    return xxh64(struct.pack("<3Q", seed, *(xxh64(struct.pack(f"<{len(ids)}i", *ids)) for ids in (source, prefix))))


def uniform(key: int, number: int, step: int) -> float:
    """Draw a number in [0, 1), of 53 bits.

    Args:
        key: Of the sentence, see `key_of`.
        number: Of the translation, among those of its sentence.
        step: Tokens before.
    """
    first, second, *_ = philox((step & _MASK32, step >> 32, number, 0), (key & _MASK32, key >> 32))
    return ((first << 32 | second) >> 11) * 2.0**-53


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the four words of 32 bits that belong to a counter and a key.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox4x32-10.
    """
    c0, c1, c2, c3 = counter
    low, high = key
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ low, p1 & _MASK32, p0 >> 32 ^ c3 ^ high, p0 & _MASK32
        low, high = (low + 0x9E3779B9) & _MASK32, (high + 0xBB67AE85) & _MASK32
    return c0, c1, c2, c3


def xxh64(data: bytes) -> int:
    """Return the digest of bytes, with seed 0.

    Source: Yann Collet, the specification of xxHash.
    """
    one, two, three, four, five = _PRIMES
    result, place = five, len(data) // 32 * 32
    if place:
        lanes = [(one + two) & _MASK64, two, 0, -one & _MASK64]
        for words in struct.iter_unpack("<4Q", data[:place]):
            lanes = [_mix(lane, word) for lane, word in zip(lanes, words, strict=True)]
        result = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            result = ((result ^ _mix(0, lane)) * one + four) & _MASK64
    result = (result + len(data)) & _MASK64
    while len(data) - place >= 8:
        (word,) = struct.unpack_from("<Q", data, place)
        result = (_rotate(result ^ _mix(0, word), 27) * one + four) & _MASK64
        place += 8
    if len(data) - place >= 4:
        (word,) = struct.unpack_from("<I", data, place)
        result = (_rotate(result ^ word * one & _MASK64, 23) * two + three) & _MASK64
        place += 4
    for byte in data[place:]:
        result = _rotate(result ^ byte * five & _MASK64, 11) * one & _MASK64
    result = (result ^ result >> 33) * two & _MASK64
    result = (result ^ result >> 29) * three & _MASK64
    return result ^ result >> 32


def _mix(lane: int, word: int) -> int:
    return _rotate((lane + word * _PRIMES[1]) & _MASK64, 31) * _PRIMES[0] & _MASK64


def _rotate(value: int, bits: int) -> int:
    value &= _MASK64
    return (value << bits | value >> (64 - bits)) & _MASK64
