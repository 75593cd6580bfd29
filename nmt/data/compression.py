"""Compressed text, told by the end of a name: gzip, bzip2, xz, Zstandard."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from typing import BinaryIO, Final, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""What each end of a name stands for."""


def decompressing(file: BinaryIO, suffix: str) -> BinaryIO:
    """Read through a compressed file; damage shows while it is read (see `is_damage`).

    Args:
        file: The compressed data.
        suffix: One of `SUFFIXES`.
    """
    if suffix == ".zst":
        return cast(BinaryIO, zstd.ZstdFile(file))
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    return cast(BinaryIO, bz2.BZ2File(file) if suffix == ".bz2" else lzma.LZMAFile(file))


def compressing(file: BinaryIO, suffix: str) -> BinaryIO:
    """Write through to a file; the same content gives the same bytes.

    Args:
        file: Receives the compressed data; stays open.
        suffix: One of `SUFFIXES`.
    """
    if suffix == ".gz":  # without name and time
        return cast(BinaryIO, gzip.GzipFile("", "wb", fileobj=file, mtime=0))
    if suffix == ".zst":
        return cast(BinaryIO, zstd.ZstdFile(file, "wb", options={zstd.CompressionParameter.checksum_flag: 1}))
    return cast(BinaryIO, bz2.BZ2File(file, "wb") if suffix == ".bz2" else lzma.LZMAFile(file, "wb"))


def is_damage(error: BaseException) -> bool:
    """Whether an error is what the libraries say of compressed data that is damaged, or ends too early."""
    if isinstance(error, OSError):
        return error.errno is None  # not the system's, but bzip2's or gzip's
    return isinstance(error, (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError))
