"""Files that others made: only regular ones of a plausible size are read, and nothing is waited for."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ended import ended_at_every_moment

from nmt import reading
from nmt.reading import open_regular, read_given, read_regular, require_writable, sha256


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def hole(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (pipe, "expected a file, got a named pipe"),
        (device, "expected a file, got a device"),
        (Path.mkdir, "expected a file, got a folder"),
        (hole, "expected at most 16,777,216 bytes, got 1,099,511,627,776"),
        (lambda path: path.symlink_to(path.name), os.strerror(errno.ELOOP)),
        (lambda path: None, os.strerror(errno.ENOENT)),
    ],
)
def test_what_is_no_file_of_a_plausible_size_is_told(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    path = tmp_path / "x"
    make(path)
    for read in (read_regular, lambda path: sha256(path, reading.LARGEST_TEXT)):
        with pytest.raises(OSError, match=problem) as caught:
            read(path)
        assert caught.value.filename == str(path)


def test_what_is_exchanged_after_the_first_look_is_told_at_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, path = tmp_path / "plain", tmp_path / "x"
    plain.write_bytes(b"")
    os.mkfifo(path)
    looked_at = plain.stat()
    monkeypatch.setattr(Path, "stat", lambda self: looked_at)
    with pytest.raises(OSError, match="got a named pipe"):
        open_regular(path)


def test_a_signal_at_any_moment_closes_a_file_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    moments = sum(ended_at_every_moment(lambda: open_regular(tmp_path / "x").close()))
    assert moments > 20


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    (tmp_path / "y").symlink_to("x")
    assert read_regular(tmp_path / "y") == b"abc"
    require_writable(tmp_path / "y")
    require_writable(tmp_path / "new")
    os.mkfifo(tmp_path / "z")
    for name in ("z", "."):
        with pytest.raises(OSError, match="expected a file"):
            require_writable(tmp_path / name)


def test_what_a_user_names_may_be_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"a = 1\n" * 20_000))  # more than a pipe holds
    writer.start()
    assert read_given(path) == b"a = 1\n" * 20_000
    writer.join()
    monkeypatch.setattr(reading, "_PATIENCE_MILLISECONDS", 10)
    with pytest.raises(OSError, match="nobody writes into this pipe"):
        read_given(path)
    with pytest.raises(OSError, match="expected at most 1,000 bytes, got more"):
        read_given(Path("/dev/zero"), 1000)
