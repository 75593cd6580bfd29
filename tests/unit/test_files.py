"""Output goes to the very file that a name stands for, whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ended import ended_at_every_moment

from nmt.files import atomic_write, remove_leftovers, write_text, write_through

OLD, NEW = b"what was there", b"new\n"


def write(path: Path, content: bytes = NEW) -> None:
    with write_through(path) as file:
        file.write(content)


def write_half(path: Path, error: BaseException) -> None:
    with write_through(path) as file:
        file.write(b"half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def mask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "old"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


@pytest.mark.parametrize("chain", [1, 2, 5])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_a_link_is_written_through(tmp_path: Path, old: Path, chain: int, relative: bool, exists: bool) -> None:
    if not exists:
        old.unlink()
    to: Path = old
    for number in range(chain):
        link = tmp_path / f"link{number}"
        link.symlink_to(os.path.relpath(to, tmp_path) if relative else to)
        to = link
    write(to)
    assert old.read_bytes() == NEW
    assert all(path.is_symlink() for path in tmp_path.glob("link*"))
    assert names(old.parent) == ["old"]


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    for one, other in ("ab", "ba"):
        (tmp_path / one).symlink_to(tmp_path / other)
    with pytest.raises(OSError, match="a") as caught:
        write(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP
    (tmp_path / "c").symlink_to(tmp_path / "gone" / "d")
    with pytest.raises(FileNotFoundError, match="no such folder; make it first") as caught:
        write(tmp_path / "c")
    assert caught.value.filename == str(tmp_path / "gone")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o666])
@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("writer", [write, lambda path: write_text(path, NEW.decode())])
def test_a_file_keeps_its_mode(old: Path, mode: int, umask: int, writer: Callable[[Path], None]) -> None:
    old.chmod(mode)
    with mask(umask):
        writer(old)
        writer(old.with_name("fresh"))
    assert old.read_bytes() == NEW
    assert stat.S_IMODE(old.stat().st_mode) == mode
    assert stat.S_IMODE(old.with_name("fresh").stat().st_mode) == 0o666 & ~umask


def test_nobody_else_sees_what_is_not_finished(old: Path) -> None:
    old.chmod(0o600)
    with write_through(old) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


def test_hard_links_stay_one_file(old: Path) -> None:
    other = old.with_name("other")
    other.hardlink_to(old)
    with write_through(old) as file:
        file.write(NEW)
        assert other.read_bytes() == OLD  # until all is there
    assert old.samefile(other)
    assert other.read_bytes() == NEW
    with pytest.raises(RuntimeError):
        write_half(old, RuntimeError())
    assert other.read_bytes() == NEW
    assert names(old.parent) == ["old", "other"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of others")
def test_a_file_of_another_owner_keeps_it(old: Path) -> None:
    os.chown(old, 12345, 23456)
    write(old)
    assert (old.stat().st_uid, old.stat().st_gid, old.read_bytes()) == (12345, 23456, NEW)


def test_a_pipe_is_written_as_it_goes(tmp_path: Path) -> None:
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    write(path)
    reader.join(10)
    assert got == [NEW]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_full_device_is_named() -> None:
    with pytest.raises(OSError, match="/dev/full") as caught:
        write(Path("/dev/full"))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "-"])
def test_the_name_of_an_open_file_means_that_file(tmp_path: Path, name: str) -> None:
    """As with `>>`: what stands in the file stays."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "out").write_bytes(OLD)
    program = (
        "from pathlib import Path; from nmt.files import write_through\n"
        f"with write_through(Path({name!r})) as file: file.write({NEW!r})"
    )
    with (tmp_path / "out").open("ab") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True, timeout=60, cwd=tmp_path)
    assert (tmp_path / "out").read_bytes() == OLD + NEW
    assert names(tmp_path) == ["link", "out"]
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("writer", [write_through, atomic_write])
def test_what_cannot_be_written_is_told_before_any_work(tmp_path: Path, writer: Callable) -> None:
    (tmp_path / "folder").mkdir()
    for path, reason, named in (
        (tmp_path / "gone" / "out", "no such folder; make it first", tmp_path / "gone"),
        (tmp_path / "folder", os.strerror(errno.EISDIR), tmp_path / "folder"),
    ):
        worked = False
        with pytest.raises(OSError, match=reason) as caught, writer(path):
            worked = True
        assert not worked
        assert caught.value.filename == str(named)
    assert names(tmp_path) == ["folder"]


def test_a_file_that_is_read_only_is_not_replaced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == old and mode & os.W_OK))  # tests may be of root
    with pytest.raises(PermissionError):
        write(old)
    assert old.read_bytes() == OLD


def test_files_of_our_own_folders_replace_links(tmp_path: Path, old: Path) -> None:
    """A model from a stranger must not make us write somewhere else."""
    link = tmp_path / "config.json"
    link.symlink_to(old)
    write_text(link, NEW.decode())
    assert (old.read_bytes(), link.read_bytes(), link.is_symlink()) == (OLD, NEW, False)


def test_temporary_names_are_short_and_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    seen = set()
    for _ in range(20):
        with atomic_write(path) as file:
            [temporary] = tmp_path.glob(".nmt-*.tmp")
            assert file.name == str(temporary)
            seen.add(temporary.name)
    assert len(seen) == 20
    assert max(map(len, seen)) < 30
    assert names(tmp_path) == [path.name]


def test_leftovers_are_files_of_processes_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / ".nmt-0123.tmp").write_text("half")
    os.mkfifo(tmp_path / ".nmt-4567.tmp")
    with atomic_write(tmp_path / "new") as file:
        remove_leftovers(tmp_path)
        assert names(tmp_path) == [Path(file.name).name]
    assert names(tmp_path) == ["new"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_whatever_ends_it(old: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(old, error())
    assert names(old.parent) == ["old"]
    assert old.read_bytes() == OLD


def test_a_signal_at_any_moment_leaves_nothing(old: Path) -> None:
    for ended in ended_at_every_moment(lambda: write(old)):
        assert names(old.parent) == ["old"]
        assert old.read_bytes() in (OLD, NEW)
        assert ended or old.read_bytes() == NEW
        old.write_bytes(OLD)
