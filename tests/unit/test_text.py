from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.data.line_reader import LineReader
from nmt.data.text import LONGEST_LINE, CorpusError, open_input, open_output, raw_lines, read_lines, read_pairs

SUFFIXES = ["", ".gz", ".bz2", ".xz", ".zst"]


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_lf_ends_a_line(tmp_path: Path, content: bytes, lines: list[str], suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write(content)
    assert (path.read_bytes() == content) == (not suffix)
    assert list(read_lines(path)) == lines
    with open_input(path) as source:
        chunks = list(LineReader(source, 2, 100).chunks())
    assert [line.content.decode() for chunk in chunks for line in chunk] == lines


def test_invalid_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"fine\nbad \xff\n")
    with pytest.raises(CorpusError, match=r"text: line 2: expected UTF-8, got byte 0xff at position 4"):
        list(read_lines(path))


@pytest.mark.parametrize(("suffix", "kind"), [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".zst", "Zstandard")])
@pytest.mark.parametrize("harm", [lambda _: b"none", lambda content: content[:-9], flip_a_bit])
def test_damaged_archives_are_named(tmp_path: Path, suffix: str, kind: str, harm: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write("".join(f"{number}\n" for number in range(1000)).encode())
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(CorpusError, match=rf"text\{suffix}: after line \d+: expected {kind} data, got: ."):
        list(read_lines(path))
    message = rf"text\{suffix}: expected {kind} data, got: ."
    with open_input(path) as source, pytest.raises(CorpusError, match=message):
        list(LineReader(source, 10, 1000).chunks())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"12345678\n", [(b"12345678", False)]),
        (b"12345678\r\n", [(b"12345678", False)]),
        (b"12345678", [(b"12345678", False)]),
        (b"123456789\nx", [(b"12345678", True), (b"x", False)]),
        (b"12345678\r9\nx\n", [(b"12345678", True), (b"x", False)]),
        (b"0" * 300_000 + b"\nx\n", [(b"00000000", True), (b"x", False)]),
        (b"0" * 65_546 + b"\n\n", [(b"00000000", True), (b"", False)]),
        ("1234567ä\nx".encode(), [(b"1234567", True), (b"x", False)]),
        ("123456ä8\nx".encode(), [(b"123456", True), (b"x", False)]),
    ],
)
def test_a_long_line_is_cut_before_a_character_and_the_rest_skipped(
    content: bytes, expected: list[tuple[bytes, bool]]
) -> None:
    assert list(raw_lines(io.BytesIO(content), longest=8)) == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_does_not_grow_with_a_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.writelines([b"\0" * 1_000_000] * 30 + [b"\nend\n"])
    tracemalloc.start()
    with open_input(path) as source:
        lines = [(len(line.content), line.is_cut) for chunk in LineReader(source, 9, 9).chunks() for line in chunk]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == [(LONGEST_LINE, True), (3, False)]
    assert peak < 12_000_000  # xz alone takes 8
    with pytest.raises(CorpusError, match=r"line 1: expected at most 1,000,000 bytes, got more"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_written_to_the_end_is_nowhere(tmp_path: Path, suffix: str) -> None:
    def write_half() -> None:
        with open_output(tmp_path / f"text{suffix}") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert not list(tmp_path.iterdir())


def test_pairs(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("x\n\n")
    assert list(read_pairs(tmp_path / "a", tmp_path / "b")) == [("1", "x"), ("2", "")]


@pytest.mark.parametrize(("source", "target"), [("1\n2\n3\n", "x\n"), ("1\n", "x\ny\nz\n"), ("", "x\n")])
def test_misaligned_files_are_named_with_both_counts(tmp_path: Path, source: str, target: str) -> None:
    (tmp_path / "a").write_text(source)
    (tmp_path / "b").write_text(target)
    with pytest.raises(CorpusError) as caught:
        list(read_pairs(tmp_path / "a", tmp_path / "b"))
    message = str(caught.value)
    assert message == (
        f"expected as many source as target lines, got {source.count(chr(10))} in {tmp_path / 'a'} "
        f"and {target.count(chr(10))} in {tmp_path / 'b'}"
    )


@pytest.mark.parametrize("name", [f"pairs.tsv{suffix}" for suffix in SUFFIXES])
def test_columns_are_pairs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = b'1\tx\r\n2\t\n\ty\tz\tmore\n "q\t"r\n'
    with open_output(path) as file:
        file.write(content)
    assert list(read_pairs(path)) == [("1", "x"), ("2", ""), ("", "y"), (' "q', '"r')]


@pytest.mark.parametrize("bad", ["no tab", ""])
def test_a_line_of_one_column_is_named(tmp_path: Path, bad: str) -> None:
    (tmp_path / "p.tsv").write_text(f"1\tx\n{bad}\n")
    with pytest.raises(CorpusError, match=r"p\.tsv: line 2: expected source and target separated by a tab"):
        list(read_pairs(tmp_path / "p.tsv"))


def test_pairs_are_in_one_file_or_two(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one file or two, got 3"):
        list(read_pairs(*[tmp_path / "a"] * 3))


def test_an_error_of_reading_names_the_file() -> None:
    """As of a disk: here, of memory that is not there."""
    with open_input(Path("/proc/self/mem")) as source, pytest.raises(OSError, match="/proc/self/mem"):
        source.file.read(100)


def test_a_device_is_no_text():
    with pytest.raises(OSError, match="expected text, got a device"), open_input(Path("/dev/zero")):
        pass
    with open_input(Path("/dev/null")) as source:
        assert source.file.read() == b""
