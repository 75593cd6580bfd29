"""`nmt bulk`: every kind of file, faults, workers that are killed. One Ray for all: beginning one takes seconds."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray
from pyarrow import parquet
from ray import cloudpickle
from typer.testing import CliRunner, Result

from nmt.bulk import pool as pools
from nmt.bulk.pool import connected
from nmt.bulk.worker import Worker
from nmt.cli import app
from nmt.data.text import open_input, open_output
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator

MODEL = Path(__file__).parents[1] / "data" / "model-v1-int8.nmt"
LINES = [f"{number} dogs run, {'a ' * (number % 7)}{number + 1} cats ." for number in range(60)]


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    with connected(None, 2):
        yield


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return Translator.load(MODEL, 1).translate(LINES)


def bulk(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bulk", str(MODEL), *map(str, arguments), "--workers", "2", "--shard-rows", "16"])


def summary(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write(path: Path, lines: list[str]) -> Path:
    with open_output(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    return path


def read(path: Path) -> list[str]:
    with open_input(path) as source:
        return source.file.read().decode().splitlines()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_text_is_what_translate_makes(suffix: str, expected: list[str], tmp_path: Path) -> None:
    source, output = write(tmp_path / f"a.en{suffix}", LINES), tmp_path / f"a.de{suffix}"
    done = bulk(source, "--output", output)
    assert done.exit_code == 0, done.output
    assert read(output) == expected
    assert (summary(done)["rows"], summary(done)["shards"]) == (60, 4)
    again = bulk(source, "--output", output)
    assert summary(again) == summary(done)
    assert "done already" in again.stderr


def test_every_kind_of_file_keeps_its_rows_and_gets_status_and_key(expected: list[str], tmp_path: Path) -> None:
    tsv = write(tmp_path / "a.tsv", ["n\ten", *(f"{n}\t{line}" for n, line in enumerate(LINES))])
    rows = [json.dumps({"id": n, "en": line}) for n, line in enumerate(LINES)]
    lines = write(tmp_path / "a.jsonl", rows)
    table = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"id": list(range(60)), "en": [*LINES[:59], None]}), table)
    (tmp_path / "out").mkdir()
    done = bulk(tsv, lines, table, "--output", tmp_path / "out", "--column", "en", "--n-best", "1")
    assert done.exit_code == 0, done.output
    header, *made = read(tmp_path / "out/a.tsv")
    assert header == "n\ten\ttranslation\tstatus\tkey"
    assert [row.split("\t")[2] for row in made] == expected
    assert [row.split("\t")[4] for row in made] == [f"{tsv}:{n}" for n in range(2, 62)]
    objects = [json.loads(row) for row in read(tmp_path / "out/a.jsonl")]
    assert [(each["id"], each["translation"]) for each in objects] == list(enumerate(expected))
    assert objects[20]["key"] == f"{lines}:21"
    columns = parquet.read_table(tmp_path / "out/a.parquet").to_pydict()
    assert columns["translation"] == [*expected[:59], ""]
    assert columns["status"][-1] == "empty"
    assert columns["key"][-1] == f"{table}:60"


def test_n_best_and_addresses(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl.gz", [json.dumps(line) for line in LINES[:20]])
    output = tmp_path / "b.jsonl.zst"
    options = ("--state", tmp_path / "state", "--n-best", "3", "--beam-size", "3")
    done = bulk(f"file://{source}", "--output", f"file://{output}", *options)
    assert done.exit_code == 0, done.output
    best = Translator.load(MODEL, 1).translate_detailed(LINES[:20], TranslationSettings(3, n_best=3))
    found = [[each["translation"] for each in json.loads(row)["n_best"]] for row in read(output)]
    assert found == [[each.text for each in one.hypotheses] for one in best]


def cut_gzip(path: Path) -> Path:
    lines = [f"{os.urandom(20).hex()}" for _ in range(3000)]
    whole = gzip.compress("\n".join(lines).encode())
    path.write_bytes(whole[: len(whole) // 20])
    return path


def latin_1(path: Path) -> Path:
    path.write_bytes(b"1\tone\n2\tgr\xfc\xdf\n")
    return path


def no_parquet(path: Path) -> Path:
    path.write_bytes(b"PAR1 and no more")
    return path


FAULTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a.tsv": (lambda path: write(path, ["1\tone", "two", "3\tthree"]), "row 2: expected at least 2 columns, got 1"),
    "a.jsonl": (
        lambda path: write(path, ['{"2": "a"}', '{"2": 7}', "{"]),
        'row 2: expected a JSON object with a string "2"',
    ),
    "b.tsv": (
        latin_1,
        "row 2: expected UTF-8; if it is CP1252",
    ),
    "c.tsv.gz": (cut_gzip, "expected gzip data"),
    "a.parquet": (no_parquet, "expected Parquet"),
}


def test_what_is_damaged_is_told_and_the_rest_done(tmp_path: Path, expected: list[str]) -> None:
    good = write(tmp_path / "good.tsv", [f"x\t{line}" for line in LINES])
    made = [make(tmp_path / name) for name, (make, _) in FAULTS.items()]
    (tmp_path / "out").mkdir()
    done = bulk(*made, good, "--output", tmp_path / "out", "--column", "2")
    assert done.exit_code == 1
    for path, (_, message) in zip(made, FAULTS.values(), strict=True):
        assert any(str(path) in line and message in line for line in done.stderr.splitlines()), done.stderr
    assert [row.split("\t")[2] for row in read(tmp_path / "out/good.tsv")] == expected
    assert [row.split("\t")[-2] for row in read(tmp_path / "out/a.tsv")][1] == "failed"
    assert [json.loads(row)["status"] for row in read(tmp_path / "out/a.jsonl")][1:] == ["failed", "failed"]
    assert read(tmp_path / "out/b.tsv")[1].split("\t")[-2] == "damaged"
    found = summary(done)
    assert set(found["damaged_files"]) == {str(tmp_path / "c.tsv.gz"), str(tmp_path / "a.parquet")}
    assert found["rows"] == 60 + 3 + 3 + 2 + len(read(tmp_path / "out/c.tsv.gz"))


def all_cores_are_free() -> bool:
    """Whether Ray has both cores again, soon: workers end in processes of their own."""
    return any(ray.available_resources().get("CPU") == 2 or time.sleep(0.1) for _ in range(300))


def test_a_full_disk_and_the_rest_after_it(
    tmp_path: Path, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "a.en", LINES * 4), tmp_path / "a.de"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = len("\n".join(expected * 4)) * 2 // 3  # enough for each shard, too little for the whole
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        done = bulk(source, "--output", output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.exit_code == 1
    assert "File too large" in done.stderr
    assert "the same command goes on from there" in done.stderr
    assert not output.exists()
    assert done.exc_info is not None, "it holds what the run had"
    assert all_cores_are_free()
    assert bulk(tmp_path / "a.en", "--output", output, "--beam-size", "1").exit_code == 1, "begun otherwise"
    done = bulk(source, "--output", output)
    assert (done.exit_code, summary(done)["rows_now"]) == (0, 0), "every shard was done"
    assert read(output) == expected * 4
    write(source, LINES[:-1])
    other = bulk(source, "--output", output)
    assert (other.exit_code, other.stdout) == (1, "")
    assert f"{output}.bulk: begun with other inputs (see manifest.json there)" in other.stderr


class Mortal(Worker):
    """Is killed at its first shard with a certain line, as by the system, or has no memory for it."""

    def make(self, shard: Any) -> Any:
        place = Path(shard.file).parent
        words = b"".join(line.content for line in shard.content)
        for name, most in (("kill", 1), ("always", 99)):
            made = list(place.glob(f"{name}-*"))
            if name.encode() in words and len(made) < most:
                (place / f"{name}-{len(made)}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if b"memory" in words:
            bytearray(1 << 60)
        return super().make(shard)


def test_workers_that_die_and_that_have_no_memory(
    tmp_path: Path, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "Worker", Mortal)
    monkeypatch.setattr(pools, "ATTEMPTS", 2)  # each takes another process, of seconds
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # which workers do not know
    lines = [*LINES]
    lines[3], lines[20], lines[50] = "kill", "always", "memory"
    source, output = write(tmp_path / "a.en", lines), tmp_path / "a.de"
    done = bulk(source, "--output", output, "--status")
    assert done.exit_code == 1
    rows = [row.split("\t") for row in read(output)]
    assert [row[2] for row in rows] == [f"{source}:{n}" for n in range(1, 61)]
    whole = [n for n in (*range(16), *range(32, 48)) if n != 3]
    assert [rows[n][0] for n in whole] == [expected[n] for n in whole]
    assert {row[1] for row in rows[16:32] + rows[48:]} == {"failed"}
    assert "killed, or crashed" in done.stderr
    assert "not enough memory in the worker; given up after 2 attempts" in done.stderr
    assert summary(done)["given_up"] == 28

    monkeypatch.setattr(pools, "Worker", Worker)
    done = bulk(source, "--output", output, "--status")
    assert (done.exit_code, summary(done)["rows_now"]) == (0, 28), "what was given up is tried again, and no more"
    assert [row.split("\t")[0] for row in read(output)][51:] == expected[51:]


def test_wrong_arguments(tmp_path: Path) -> None:
    text = write(tmp_path / "a.en", ["a"])
    for arguments, message in (
        ((text, "--output", tmp_path / "b.jsonl"), "expected a file of text"),
        ((text, text, "--output", tmp_path / "b.de"), "expected a folder for 2 inputs"),
        ((text, "--output", text), "expected another file than the input"),
        ((text, "--output", tmp_path / "b.de", "--column", "x"), "expected a file of columns"),
        ((text, "--output", tmp_path / "b.de", "--n-best", "2"), "expected files of JSON or Parquet"),
        ((text, "--output", "memory://b.de"), "--state: expected a local folder"),
        ((tmp_path / "no.en", "--output", tmp_path / "b.de"), "no.en: No such file"),
        (("nowhere://a.en", "--output", tmp_path / "b.de"), "nowhere"),
    ):
        done = bulk(*arguments)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        assert message in done.stderr
