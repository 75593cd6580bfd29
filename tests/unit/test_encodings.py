"""What is no UTF-8 is told, with a command that makes text of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nmt.data.encodings import guess_encoding
from nmt.data.text import CorpusError, RawLine, read_lines
from nmt.data.text_check import TextCheck

TEXTS = {
    "de": "Grüße aus München.\nDas kostet 3 Euro.\nWie schön! Straße\n",
    "ja": "これは本です。\n東京へ行きます。\n",
    "ru": "Это книга.\nПривет!\n",
    "zh": "这是一本书。\n我们去北京。\n",
    "ko": "이것은 책입니다.\n",
    "cs": "Příliš žluťoučký kůň.\n",
    "el": "Αυτό είναι ένα βιβλίο.\n",
    "pt-BR": "Não há pão.\n",
}
OF_LANGUAGES = ["utf-16", "utf-32", "utf-32-le", "utf-32-be"]
CASES = [(language, encoding) for language in TEXTS for encoding in OF_LANGUAGES]
CASES += [(language, wide) for language in ("de", "ru", "cs", "el") for wide in ("utf-16-le", "utf-16-be")]
CASES += [("ja", "cp932"), ("ja", "euc_jp"), ("zh", "gb18030"), ("ko", "cp949"), ("ru", "cp1251"), ("cs", "cp1250")]
CASES += [("de", "cp1252"), ("de", "latin-1"), ("el", "cp1253"), ("pt-BR", "cp1252")]


def check(content: bytes, language: str = "", path: Path | None = None) -> TextCheck:
    found = TextCheck(path, language)
    for line in content.removesuffix(b"\n").split(b"\n"):
        found.read(RawLine(line))
    return found


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_the_command_makes_text_of_the_file(tmp_path: Path, language: str, encoding: str) -> None:
    path = tmp_path / "it's text"
    path.write_bytes(TEXTS[language].encode(encoding))
    found = check(path.read_bytes(), language, path)
    assert found.is_other_encoding
    [warning] = found.warnings()
    assert warning.startswith(f"no UTF-8 in {found.wrong} of {found.lines} lines, the first of them line 1; ")
    name = guess_encoding(path.read_bytes(), language)
    assert name is not None
    assert path.read_bytes().decode(name) == TEXTS[language]
    command = warning.rpartition(": ")[2]
    if shutil.which("iconv"):
        subprocess.run(["sh", "-c", command.replace("TEXT", "text")], check=True, cwd=tmp_path)
        assert (tmp_path / "text").read_text(encoding="utf-8") == TEXTS[language]


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_a_corpus_that_is_no_utf_8_is_refused_with_advice(tmp_path: Path, language: str, encoding: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(TEXTS[language].encode(encoding))
    with pytest.raises(
        CorpusError, match=rf"text: line 1: expected UTF-8, got .*iconv -f [^ ]+ -t UTF-8 {path} > TEXT"
    ):
        list(read_lines(path))


@pytest.mark.parametrize("text", [*TEXTS.values(), "", "\n\n", "a\0b\n", "\x1b[1mbold\x1b[0m\n", "\ta\tb\t\n", "\0"])
def test_text_is_text(text: str) -> None:
    found = check(text.encode())
    assert (found.wrong, found.cut, found.warnings(), found.is_other_encoding) == (0, 0, [], False)


def test_damaged_lines_of_utf_8_are_counted_and_told() -> None:
    found = check(b"".join([TEXTS["de"].encode() * 9, b"b\xe4d\n", TEXTS["ja"].encode(), b"\xff\n"]))
    assert (found.wrong, found.is_other_encoding) == (2, False)
    [warning] = found.warnings()
    assert warning.startswith("no UTF-8 in 2 of 31 lines, the first of them line 28; most others are, ")
    assert warning.endswith("grep -naxv '.*' FILE")


def test_what_comes_late_is_judged_by_itself() -> None:
    found = check(b"plain\n" * 3_000 + "これは本です。\n".encode("euc_jp"), "ja")
    assert "iconv -f EUC-JP" in found.warnings()[0]


def test_lines_that_are_cut_are_told() -> None:
    found = TextCheck(None, "")
    assert found.read(RawLine(b"a")) == ("a", True)
    assert found.read(RawLine(b"b", is_cut=True)) == ("b", False)
    assert found.warnings() == [
        "more than 1,000,000 bytes in 1 of 2 lines, the first of them line 2; only the beginning of such a line is used"
    ]


@pytest.mark.parametrize(("magic", "command"), [(b"\x1f\x8b\x08", "gzip -dc"), (b"\xfd7zXZ\0", "xz -dc")])
def test_compressed_data_under_another_name(magic: bytes, command: str) -> None:
    found = check(magic + b"\xf3\xff\x01" * 9)
    assert f"{command} FILE > TEXT" in found.warnings()[0]
