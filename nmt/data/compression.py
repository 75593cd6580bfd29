"""Compressed text, told by the end of a name: gzip, bzip2, xz, Zstandard."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import BinaryIO, Final, cast

SUFFIXES: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""What each end of a name stands for."""


def decompressing(file: BinaryIO, suffix: str) -> BinaryIO:
    """Read through a compressed file; damage shows while it is read (see `is_damage`).

    Args:
        file: The compressed data.
        suffix: One of `SUFFIXES`.
    """
    library = _library(suffix)
    if suffix == ".zst":
        return cast(BinaryIO, library.ZstdFile(file))
    if suffix == ".gz":
        return cast(BinaryIO, library.GzipFile(fileobj=file, mode="rb"))
    return cast(BinaryIO, library.BZ2File(file) if suffix == ".bz2" else library.LZMAFile(file))


def compressing(file: BinaryIO, suffix: str) -> BinaryIO:
    """Write through to a file; the same content gives the same bytes.

    Args:
        file: Receives the compressed data; stays open.
        suffix: One of `SUFFIXES`.
    """
    library = _library(suffix)
    if suffix == ".gz":  # without name and time
        return cast(BinaryIO, library.GzipFile("", "wb", fileobj=file, mtime=0))
    if suffix == ".zst":
        return cast(BinaryIO, library.ZstdFile(file, "wb", options={library.CompressionParameter.checksum_flag: 1}))
    return cast(BinaryIO, library.BZ2File(file, "wb") if suffix == ".bz2" else library.LZMAFile(file, "wb"))


def is_damage(error: BaseException) -> bool:
    """Whether an error is what the libraries say of compressed data that is damaged, or ends too early."""
    if isinstance(error, OSError):
        return error.errno is None  # not the system's, but bzip2's or gzip's
    import lzma  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    return isinstance(error, (zlib.error, lzma.LZMAError, _library(".zst").ZstdError, EOFError))


def _library(suffix: str) -> ModuleType:
    """Import what reads and writes files of such a name: most text is not compressed."""
    if suffix == ".zst" and sys.version_info < (3, 14):
        return importlib.import_module("backports.zstd")
    return importlib.import_module({".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".zst": "compression.zstd"}[suffix])
