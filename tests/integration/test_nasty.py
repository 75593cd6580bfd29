"""Lines of every bad kind: as many come out, each with the right status, by command and by library."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from nasty import make_lines
from tiny import nmt, train_tiny

from nmt.decoding.translation import Translation, TranslationSettings
from nmt.decoding.translator import Translator

EXHAUSTIVE = os.environ.get("NMT_TESTS") == "exhaustive"
LINES = make_lines(20_000, huge=24, seed=1) if EXHAUSTIVE else make_lines(2_500, 6, 1)
LONGEST_SECONDS = 300  # for all lines


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("nasty"))


@pytest.fixture(scope="module")
def rows(model: Path) -> list[tuple[str, str]]:
    """Text and status of each line, from the command on one thread."""
    source, output = model.parent / "nasty", model.parent / "out"
    source.write_bytes(b"".join(line.raw + b"\n" for line in LINES))
    arguments = ("--beam-size", "1", "--threads", "1", "--batch-size", "512", "--status")
    started = time.monotonic()
    done = nmt("translate", model, "--input", source, "--output", output, *arguments, timeout=LONGEST_SECONDS)
    print(f"{len(LINES) / (time.monotonic() - started):.0f} lines/s")
    assert (done.returncode, done.stdout) == (0, b"")
    *progress, warning = done.stderr.splitlines()
    assert re.match(rb"nmt translate: warning: no UTF-8 in [0-9]+ of [0-9,]+ lines, ", warning), done.stderr
    assert all(re.match(rb"nmt translate: [0-9,]+ lines, ", line) for line in progress), done.stderr
    content = output.read_bytes().decode("utf-8")
    assert content.endswith("\n")
    pairs = [tuple(line.split("\t")) for line in content[:-1].split("\n")]
    assert all(len(pair) == 2 for pair in pairs)
    return pairs  # type: ignore[return-value]


def test_every_line_gives_one_line_with_a_right_status(rows: list[tuple[str, str]]) -> None:
    assert len(rows) == len(LINES)
    wrong = [
        (line.text[:80], status) for line, (_, status) in zip(LINES, rows, strict=True) if status not in line.statuses
    ]
    assert wrong == []
    counts = Counter(status for _, status in rows)
    assert set(counts) >= {"ok", "split", "unknown", "damaged", "empty", "copied", "failed"}


def test_no_line_break_of_any_kind_comes_out(rows: list[tuple[str, str]]) -> None:
    assert all(len(text.splitlines()) == 1 for text, _ in rows if text)


def test_what_was_empty_is_and_what_was_copied_is_the_same(rows: list[tuple[str, str]]) -> None:
    for line, (text, status) in zip(LINES, rows, strict=True):
        if status == "empty":
            assert text == ""
        elif status == "copied":
            assert text == " ".join(line.text.replace("\t", " ").splitlines()).strip()


def test_the_library_gives_the_same_on_two_threads(model: Path, rows: list[tuple[str, str]]) -> None:
    translator = Translator.load(model, threads=2)
    settings = TranslationSettings(beam_size=1, batch_size=512)
    every = slice(None, None, 1 if EXHAUSTIVE else 3)  # other neighbours than in the command
    chosen, found = LINES[every], list[Translation]()
    for start in range(0, len(chosen), 700):
        found += translator.translate_detailed([line.text for line in chosen[start : start + 700]], settings)
    assert [(each.text.replace("\t", " "), each.status.value) for each in found] == rows[every]
