"""Lines are read ahead; nobody waits for a full chunk of a slow stream."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from nmt.data.line_reader import LineReader
from nmt.data.text import CorpusError, Source, open_input, open_output


@pytest.fixture
def pipe() -> Iterator[tuple[Source, BinaryIO]]:
    """Both ends of a pipe."""
    end, start = os.pipe()
    with os.fdopen(end, "rb") as file, os.fdopen(start, "wb", buffering=0) as writer:
        yield Source(file, file), writer


def contents(chunk: list) -> list[bytes]:
    return [line.content for line in chunk]


def test_a_line_of_a_pipe_that_stays_open_does_not_wait(pipe: tuple[Source, BinaryIO]) -> None:
    source, writer = pipe
    chunks = LineReader(source, 2_000, 1_000_000).chunks()
    for text in (b"a\n", b"b\nc\n", b"d\n"):  # each is answered while the writer waits for it
        writer.write(text)
        assert contents(next(chunks)) == text.split()
    writer.write(b"e\nwithout an end")
    writer.close()
    assert [line for chunk in chunks for line in contents(chunk)] == [b"e", b"without an end"]


def test_a_quick_pipe_gives_full_chunks(pipe: tuple[Source, BinaryIO]) -> None:
    source, writer = pipe

    def write() -> None:
        writer.write(b"".join(b"%d\n" % number for number in range(10_000)))
        writer.close()

    threading.Thread(target=write).start()
    chunks = [contents(chunk) for chunk in LineReader(source, 500, 1_000_000).chunks()]
    assert [line for chunk in chunks for line in chunk] == [b"%d" % number for number in range(10_000)]
    assert len(chunks) < 30


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_gives_the_same_chunks_whenever_it_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write(b"x\n" * 25 + b"long " * 10 + b"\n" + b"x\n" * 5)
    with open_input(path) as source:
        reader = LineReader(source, 10, 40)
        assert [len(chunk) for chunk in reader.chunks()] == [10, 10, 6, 5]
        assert reader.position == source.size() == path.stat().st_size


def test_reading_stays_ahead_by_two_chunks_at_most(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x\n" * 1_000)
    with open_input(path) as source:
        reader = LineReader(source, 10, 1_000)
        chunks = reader.chunks()
        for number in range(1, 100):
            assert len(next(chunks)) == 10
            assert source.below.tell() <= 2 * (10 * number + 21)


def test_what_came_before_an_error_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    with open_output(path) as file:
        file.write(b"".join(b"%d\n" % number for number in range(50_000)))
    path.write_bytes(path.read_bytes()[:-20])
    read = []

    def read_all() -> None:
        with open_input(path) as source:
            for chunk in LineReader(source, 100, 10_000).chunks():
                read.extend(contents(chunk))

    with pytest.raises(CorpusError, match=r"text\.gz: expected gzip data, got: "):
        read_all()
    assert len(read) > 30_000
    assert read == [b"%d" % number for number in range(len(read))]


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with os.fdopen(os.dup(0), "rb") as file:  # as with `nmt translate MODEL < FOLDER`
        os.dup2(descriptor, file.fileno())
        os.close(descriptor)
        with pytest.raises(IsADirectoryError) as caught:
            list(LineReader(Source(file, file), 10, 10).chunks())
    assert caught.value.filename == "stdin"
