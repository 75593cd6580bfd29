"""Lines of every bad kind: as many come out, each with the right status, by command and by library."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nasty import Nasty, make_lines
from tiny import nmt, train_tiny

from nmt.commands.export import run as export
from nmt.decoding.translation import Translation, TranslationSettings
from nmt.decoding.translator import Translator

EXHAUSTIVE = os.environ.get("NMT_TESTS") == "exhaustive"
LINES = make_lines(20_000, huge=24, seed=1) if EXHAUSTIVE else make_lines(2_500, 6, 1)
LONGEST_SECONDS = 300  # for all lines
SOME = slice(None, None, 1 if EXHAUSTIVE else 4)
GREEDY = TranslationSettings(beam_size=1, batch_size=512)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("nasty"))


@pytest.fixture(scope="module")
def rows(model: Path) -> list[tuple[str, str]]:
    """Text and status of each line, from the command on one thread."""
    return translate(model, LINES)


@pytest.fixture(scope="module")
def files(model: Path) -> dict[str, Path]:
    """A file of the model in each precision."""
    found = {precision: model.parent / f"{precision}.nmt" for precision in ("float32", "int8")}
    for precision, path in found.items():
        export(model, path, precision)
    return found


def translate(model: Path, lines: Sequence[Nasty], *more: str) -> list[tuple[str, str]]:
    """Text and status of each line, from the command."""
    source, output = model.parent / "nasty", model.parent / "out"
    source.write_bytes(b"".join(line.raw + b"\n" for line in lines))
    arguments = ("--beam-size", "1", "--threads", "1", "--batch-size", "512", "--status", *more)
    started = time.monotonic()
    done = nmt("translate", model, "--input", source, "--output", output, *arguments, timeout=LONGEST_SECONDS)
    print(f"{' '.join(more)} {model.name}: {len(lines) / (time.monotonic() - started):.0f} lines/s")
    assert (done.returncode, done.stdout) == (0, b"")
    *progress, warning = done.stderr.splitlines()
    assert re.match(rb"nmt translate: warning: no UTF-8 in [0-9,]+ of [0-9,]+ lines, ", warning), done.stderr
    assert all(re.match(rb"nmt translate: [0-9,]+ lines, ", line) for line in progress), done.stderr
    content = output.read_bytes().decode("utf-8")
    assert content.endswith("\n")
    pairs = [tuple(line.split("\t")) for line in content[:-1].split("\n")]
    assert all(len(pair) == 2 for pair in pairs)
    return pairs  # type: ignore[return-value]


def test_every_line_gives_one_line_with_a_right_status(rows: list[tuple[str, str]]) -> None:
    assert wrong_ones(LINES, rows) == []
    counts = Counter(status for _, status in rows)
    assert set(counts) >= {"ok", "split", "unknown", "damaged", "empty", "copied", "failed"}


def wrong_ones(lines: Sequence[Nasty], rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (line.text[:80], status) for line, (_, status) in zip(lines, rows, strict=True) if status not in line.statuses
    ]


def test_no_line_break_of_any_kind_comes_out(rows: list[tuple[str, str]]) -> None:
    assert all(len(text.splitlines()) == 1 for text, _ in rows if text)


def test_what_was_empty_is_and_what_was_copied_is_the_same(rows: list[tuple[str, str]]) -> None:
    for line, (text, status) in zip(LINES, rows, strict=True):
        if status == "empty":
            assert text == ""
        elif status == "copied":
            assert text == " ".join(line.text.replace("\t", " ").splitlines()).strip()


def test_exported_files_give_the_same(model: Path, files: dict[str, Path], rows: list[tuple[str, str]]) -> None:
    """In float32 what the folder gives, in int8 what the folder gives in int8."""
    lines = LINES[SOME]
    assert translate(files["float32"], lines) == rows[SOME]
    rounded = translate(files["int8"], lines)
    assert wrong_ones(lines, rounded) == []
    assert all(len(text.splitlines()) == 1 for text, _ in rounded if text)
    assert translate(model, lines, "--precision", "int8") == rounded


def pairs_of(found: Sequence[Translation]) -> list[tuple[str, str]]:
    return [(each.text.replace("\t", " "), each.status.value) for each in found]


def test_the_library_gives_the_same_on_two_threads(model: Path, rows: list[tuple[str, str]]) -> None:
    translator = Translator.load(model, threads=2)
    every = slice(None, None, 1 if EXHAUSTIVE else 3)  # other neighbours than in the command
    chosen, found = LINES[every], list[Translation]()
    for start in range(0, len(chosen), 700):
        found += translator.translate_detailed([line.text for line in chosen[start : start + 700]], GREEDY)
    assert pairs_of(found) == rows[every]


def test_eight_streams_of_one_translator_give_the_same(model: Path, rows: list[tuple[str, str]]) -> None:
    """At a time, in threads of the program's own, each from another line on."""
    translator, texts, expected = Translator.load(model, threads=1), [line.text for line in LINES[SOME]], rows[SOME]

    def stream(number: int) -> list[tuple[str, str]]:
        first = number * len(texts) // 8
        here = texts[first:] + texts[:first] if EXHAUSTIVE else texts[first : first + len(texts) // 8]
        return pairs_of(list(translator.translate_stream(iter(here), GREEDY)))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(stream, range(8)))
    for number, pairs in enumerate(found):
        first = number * len(texts) // 8
        assert pairs == (expected[first:] + expected[:first])[: len(pairs)]
        assert len(pairs) >= len(texts) // 8


if EXHAUSTIVE:

    @pytest.mark.parametrize("precision", ["float32", "int8"])
    def test_the_program_in_c_gives_a_line_each(files: dict[str, Path], precision: str) -> None:
        """The example that tests/run.sh has built; a string of C ends where a line holds a zero."""
        program = Path(__file__).parents[2] / "build" / "native" / "translate_lines"
        text = b"".join(line.raw + b"\n" for line in LINES)
        done = subprocess.run([program, files[precision], "1"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        found = done.stdout.decode(errors="replace")
        assert found.count("\n") == len(LINES)
        assert all(len(line.splitlines()) <= 1 for line in found.split("\n"))
