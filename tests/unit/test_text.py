from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.data.text import CorpusError, open_input, open_output, read_chunks, read_lines, read_pairs


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
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_only_lf_ends_a_line(tmp_path: Path, content: bytes, lines: list[str], suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write(content)
    assert (path.read_bytes() == content) == (not suffix)
    assert list(read_lines(path)) == lines
    with open_input(path) as file:
        assert [line for chunk in read_chunks(file, 2, 100) for line in chunk] == lines


def test_invalid_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"fine\nbad \xff\n")
    with pytest.raises(CorpusError, match=r"text: line 2: expected UTF-8, got byte 0xff at position 4"):
        list(read_lines(path))


@pytest.mark.parametrize(("suffix", "kind"), [(".gz", "gzip"), (".zst", "Zstandard")])
@pytest.mark.parametrize("harm", [lambda _: b"none", lambda content: content[:-9], flip_a_bit])
def test_damaged_archives_are_named(tmp_path: Path, suffix: str, kind: str, harm: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write("".join(f"{number}\n" for number in range(1000)).encode())
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(CorpusError, match=rf"text\{suffix}: after line \d+: expected {kind} data, got: ."):
        list(read_lines(path))
    with pytest.raises(CorpusError, match=rf"text\{suffix}: expected {kind} data, got: ."), open_input(path) as file:
        list(read_chunks(file, 10, 1000))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
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


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz", "pairs.tsv.zst"])
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
