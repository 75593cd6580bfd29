"""Zipped formats: read within bounds, never unpacked to the disk, and written with some of their files replaced."""

from __future__ import annotations

import io
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from nmt.documents.document import DocumentError, Limits

_END: Final = b"PK\x05\x06"  # of the list of files, which stands in the last 64 KiB
_END_SEARCHED: Final = 22 + (1 << 16)
_LARGEST_LIST: Final = 4 << 20  # bytes; of it Python makes objects that are ten times as large
_TRICK: Final = re.compile(r"^/|^[A-Za-z]:|\\|\0|(^|/)\.\.(/|$)")
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class Package:
    """A zipped document.

    Args:
        content: All of it.
        name: What it is called in errors.
        limits: How large it may be.

    Raises:
        DocumentError: It is no zip file, damaged, too large when unpacked, encrypted, or has names that lead elsewhere.
    """

    def __init__(self, content: bytes, name: str, limits: Limits) -> None:
        self._name, self._limits, self._parsed = name, limits, 0
        self._check_list(content)
        with self._telling():
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        self._infos = self._zip.infolist()
        self._check_names()
        self._check_sizes(len(content))

    @property
    def names(self) -> list[str]:
        """The files, in order."""
        return [info.filename for info in self._infos]

    def __contains__(self, name: object) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """Unpack a file that is to be taken apart.

        Raises:
            DocumentError: It is missing or damaged, or all that was read is more than `Limits.parsed`.
        """
        if name not in self:
            raise DocumentError(f"{self._name}: expected a file {name} in it, got none")
        self._parsed += self._zip.getinfo(name).file_size
        if self._parsed > self._limits.parsed:
            raise DocumentError(f"{self._name}: expected at most {self._limits.parsed:,} bytes of text, got more")
        with self._telling(name):
            return self._zip.read(name)

    def written(self, changed: Mapping[str, bytes]) -> bytes:
        """Pack all files again, in the same order and manner.

        Args:
            changed: Files with other content than before.

        Raises:
            DocumentError: A file is damaged.
        """
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as packed:
            packed.comment = self._zip.comment
            for info in self._infos:
                new = zipfile.ZipInfo(info.filename, info.date_time)
                new.compress_type, new.external_attr = info.compress_type, info.external_attr
                new.create_system, new.comment = info.create_system, info.comment
                if info.filename in changed:
                    packed.writestr(new, changed[info.filename])
                    continue
                with self._telling(info.filename), self._zip.open(info) as source, packed.open(new, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 16)
        return out.getvalue()

    def _check_list(self, content: bytes) -> None:
        """Look at the list's length before Python reads it."""
        tail = content[-_END_SEARCHED:]
        at = tail.find(_END)
        while at >= 0:
            size = tail[at + 12 : at + 16]
            if len(size) == 4 and int.from_bytes(size, "little") > _LARGEST_LIST:
                raise DocumentError(f"{self._name}: expected at most {self._limits.entries:,} files in it, got more")
            at = tail.find(_END, at + 1)

    def _check_names(self) -> None:
        if len(self._infos) > self._limits.entries:
            raise DocumentError(
                f"{self._name}: expected at most {self._limits.entries:,} files in it, got {len(self._infos):,}"
            )
        seen = set()
        for info in self._infos:
            # Python ends the name at a NUL and makes slashes of backslashes; the original name is what others may read.
            for name in (info.filename, info.orig_filename):
                if _TRICK.search(name):
                    raise DocumentError(f"{self._name}: expected names of files inside it, got {name!r}")
            if info.filename in seen:
                raise DocumentError(f"{self._name}: expected each name once, got {info.filename!r} twice")
            seen.add(info.filename)
            if info.flag_bits & 1:
                raise DocumentError(f"{self._name}: is protected by a password; save it without one")
            if info.compress_type not in _PACKED:
                raise DocumentError(f"{self._name}: {info.filename!r}: expected deflated data, got another method")

    def _check_sizes(self, size: int) -> None:
        total = sum(info.file_size for info in self._infos)
        if total > self._limits.unpacked:
            raise DocumentError(
                f"{self._name}: expected at most {self._limits.unpacked:,} bytes unpacked, got {total:,}"
            )
        if total > self._limits.free and total > self._limits.ratio * size:
            raise DocumentError(
                f"{self._name}: expected to be at most {self._limits.ratio} times as large unpacked, "
                f"got {size:,} bytes that become {total:,}"
            )

    @contextmanager
    def _telling(self, name: str = "") -> Iterator[None]:
        """Say of what is damaged that it is."""
        try:
            yield
        except DocumentError:
            raise
        except _DAMAGE as error:
            place = f"{name!r} in it: " if name else ""
            raise DocumentError(f"{self._name}: {place}expected a whole zip file, got: {error}") from None
