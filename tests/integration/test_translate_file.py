"""`nmt translate-file`: what a user sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import error_of, forked

from nmt.commands.translate_file import run  # noqa: F401  (imported once, not by every fork)

MODEL = Path(__file__).parents[1] / "data" / "model-v1"


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"ab ba\r\n\r\n12\r\nba")
    return path


def test_a_document_and_its_report(letter: Path, tmp_path: Path) -> None:
    done = forked("translate-file", MODEL, letter, tmp_path / "out.txt", "--report", tmp_path / "report.jsonl")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out.txt").read_bytes().split(b"\r\n")
    assert [lines[0].strip() != b"", lines[1], lines[2], len(lines)] == [True, b"", b"12", 4]
    assert done.stderr.startswith("nmt translate-file: letter.txt: 2 lines (")
    report = json.loads((tmp_path / "report.jsonl").read_text())
    assert (report["source"], report["format"], report["lines"]) == (str(letter), "txt", 2)
    assert sum(report["statuses"].values()) == 2


def test_several_documents_into_a_folder(letter: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.docx").write_bytes(b"no zip")
    (folder := tmp_path / "out").mkdir()
    done = forked("translate-file", MODEL, tmp_path / "bad.docx", letter, folder)
    assert done.returncode == 1
    assert "error: bad.docx: expected a document of the kind that it is called (.docx), got text" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_terms_of_a_glossary_are_kept(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Foobar\n\nab **Foobar** ba\n")
    (tmp_path / "terms.tsv").write_text("Foobar\n")
    done = forked(
        "translate-file", MODEL, tmp_path / "page.md", tmp_path / "out.md", "--glossary", tmp_path / "terms.tsv"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.md").read_text().count("Foobar") == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["letter.txt", "out.docx"], "expected a translation of the same format, .txt, got the name out.docx"),
        (["letter.txt", "letter.txt", "."], "expected documents of different names"),
        (["letter.txt", "letter.txt", "out.txt"], "expected a folder as the last of several names, got out.txt"),
        (["letter.pdf", "out.pdf"], "expected a name that ends in one of .txt, "),
        (["missing.txt", "out.txt"], "missing.txt: No such file or directory"),
    ],
)
def test_mistakes_are_told(
    letter: Path, arguments: list[str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert error in error_of(forked("translate-file", MODEL, *arguments))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt"]
