"""One training per folder."""

import os
import signal

import pytest

from nmt.lock import LOCK_FILE, LockError, locked


def test_the_second_is_told_who_is_first(tmp_path):
    folder = tmp_path / "a" / "model"
    with (
        locked(folder),
        pytest.raises(LockError, match=rf"at work in it \(process {os.getpid()}\)"),
        locked(folder),
    ):
        pass
    with locked(folder), locked(tmp_path / "b"):  # free again; and another folder is another lock
        assert (folder / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_a_killed_process_holds_no_lock(tmp_path):
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        with locked(tmp_path):
            os.write(writer, b"!")
            signal.pause()
        os._exit(0)
    os.read(reader, 1)
    with pytest.raises(LockError, match=f"process {process}"), locked(tmp_path):
        pass
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"), locked(tmp_path / "file" / "model"):
        pass
