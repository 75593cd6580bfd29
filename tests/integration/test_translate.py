"""`nmt translate` and `nmt score`: formats, columns, files, errors; the library beside them."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import nmt, train_tiny
from typer.testing import CliRunner

from nmt.cli import app
from nmt.decoding.hypotheses import SearchError
from nmt.decoding.translation import Status, TranslationSettings
from nmt.decoding.translator import Translator
from nmt.model_folder.files import read_settings
from nmt.model_folder.scores import ScoresFile

SENTENCES = ["The old dog sees the small cat.", "The young man hears the quiet bird today."]
TEXT = f"{SENTENCES[0]}\n\n☃ ☃\n{SENTENCES[1]}\n".encode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("translate"))


@pytest.fixture(scope="module")
def translator(model: Path) -> Translator:
    return Translator.load(model, threads=1)


def run(*arguments: str | Path, stdin: bytes = b"", code: int = 0) -> tuple[list[str], str]:
    """Run the command in this process; returns the lines of stdout, and stderr."""
    done = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    assert done.exit_code == code, done.stderr
    return done.stdout_bytes.decode().removesuffix("\n").split("\n") if done.stdout_bytes else [], done.stderr


def test_text_is_the_same_as_by_the_library(model: Path, translator: Translator) -> None:
    expected = translator.translate(TEXT.decode().removesuffix("\n").split("\n"))
    assert run("translate", model, "--threads", "1", stdin=TEXT) == (expected, "")
    assert (expected[1], expected[2]) == ("", "☃ ☃")


def test_columns_come_in_a_fixed_order(model: Path) -> None:
    lines, _ = run("translate", model, "--alignments", "--status", "--scores", stdin=TEXT + b"\xe2\x98\x83\tx\n")
    fields = [line.split("\t") for line in lines]
    assert all(len(row) == 4 for row in fields)
    assert fields[0][1] in ("ok", "retried", "doubtful", "failed")
    assert float(fields[0][2]) < 0
    words = len(fields[0][0].split())
    assert sorted(int(link.split("-")[1]) for link in fields[0][3].split()) == list(range(words))
    assert all(int(link.split("-")[0]) < 7 for link in fields[0][3].split())
    assert fields[1] == ["", "empty", "", ""]
    assert fields[2] == ["☃ ☃", "copied", "", "0-0 1-1"]


def test_tsv_has_a_row_for_each_hypothesis(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + TEXT))
    arguments = ("--format", "tsv", "--n-best", "3", "--input", tmp_path / "in.gz", "--output", tmp_path / "out.gz")
    assert run("translate", model, *arguments) == ([], "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.gz", "out.gz"]
    header, *rows = gzip.decompress((tmp_path / "out.gz").read_bytes()).decode().splitlines()
    assert header == "line\trank\ttranslation\tstatus\tscore\talignment"
    fields = [row.split("\t") for row in rows]
    assert [(row[0], row[1]) for row in fields if row[0] == "1"] == [("1", "1"), ("1", "2"), ("1", "3")]
    assert [row[1:] for row in fields if row[0] == "2"] == [["1", "", "empty", "", ""]]
    assert len({row[2] for row in fields if row[0] == "4"}) == 3


def test_json_keeps_other_fields(model: Path, translator: Translator) -> None:
    source = {"id": [1, {"a": None}], "text": SENTENCES[0], "note": "ä\u2028\ud800"}
    stdin = f'{json.dumps(source)}\n"{SENTENCES[1]}"\n{{"text": "a\\n☃"}}\n'.encode()
    lines, errors = run(
        "translate", model, "--format", "json", "--n-best", "2", "--scores", "--alignments", stdin=stdin
    )
    assert errors == ""
    first, second, third = map(json.loads, lines)
    assert {key: first[key] for key in source} == source
    assert list(first) == ["id", "text", "note", "translation", "status", "score", "alignment", "n_best"]
    assert [len(each) for each in first["n_best"]] == [3, 3]
    assert first["n_best"][0]["translation"] == first["translation"]
    assert first["score"] == first["n_best"][0]["score"] >= first["n_best"][1]["score"]
    assert second["text"] == SENTENCES[1]
    assert [second["translation"]] == translator.translate(SENTENCES[1:])
    assert "\n" not in third["translation"]


def test_json_that_holds_no_text_is_told_line_by_line(model: Path) -> None:
    garbage = [b"[1]", b'{"a": 1}', b'{"text": 3}', b"", b"{", b"NaN", b'{"text": "a", "x": 1e999}', b"[" * 100_000]
    garbage += [b'{"text": "a", "x": %s%s}' % (b"[" * depth, b"]" * depth) for depth in (101, 900, 3_000)]
    garbage += [
        b'{"text": "a", "text": "b"}',
        b'{"text": "a", "x": %s}' % (b"9" * 5_000),
        b'"\xff',
        b"\x00",
        b"-Infinity",
    ]
    stdin = b"\n".join([b'"The dog."', *garbage, b'"The cat."'])
    lines, errors = run("translate", model, "--format", "json", stdin=stdin, code=1)
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len(garbage) + 2
    told = "nmt translate: 16 of the lines held no text to translate; the field error of each says why\n"
    assert errors.startswith(told)
    for number, row in enumerate(rows[1:-1], start=2):
        assert (row["status"], row["translation"]) == ("failed", "")
        assert row["error"].startswith(f"line {number}: expected a JSON object")
    assert "error" not in rows[0]
    assert "error" not in rows[-1]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_plot(model: Path, tmp_path: Path, suffix: str) -> None:
    lines, _ = run("translate", model, "--plot", tmp_path / f"plot{suffix}", stdin=SENTENCES[0].encode())
    assert len(lines) == 1
    content = (tmp_path / f"plot{suffix}").read_bytes()
    assert content.startswith(b"\x89PNG") if suffix == ".png" else b"attention weight</text>" in content


@pytest.mark.parametrize(
    ("stdin", "message"),
    [(b"", "got none"), (TEXT, "got more"), (b"\n", "holds no text"), ("☃\n".encode(), "holds no text")],
)
def test_what_cannot_be_drawn(model: Path, tmp_path: Path, stdin: bytes, message: str) -> None:
    _, errors = run("translate", model, "--plot", tmp_path / "plot.png", stdin=stdin, code=1)
    assert message in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n-best", "2"), "--format tsv or json"),
        (("--n-best", "3", "--beam-size", "2", "--format", "tsv"), "at most --beam-size 2, got 3"),
        (("--plot", "attention.jpg"), "ends in .png or .svg, got attention.jpg"),
        (("--plot", "attention"), "ends in .png or .svg, got attention"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = nmt("translate", tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in " ".join(done.stderr.decode().split())


def test_files_that_are_not_there_or_cannot_be(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.gz").write_bytes(gzip.compress(TEXT)[:-9])
    cases = (
        ((model, "--output", tmp_path / "file" / "out"), f"{tmp_path}/file"),
        ((model, "--input", tmp_path / "gone"), f"{tmp_path}/gone: No such file or directory"),
        ((model, "--input", tmp_path / "bad.gz"), f"{tmp_path}/bad.gz: expected gzip data, got: "),
    )
    for arguments, message in cases:
        _, errors = run("translate", *arguments, stdin=TEXT, code=1)
        assert errors.startswith(f"nmt: error: {message}")
        assert errors.count("\n") == 1
    done = nmt("translate", tmp_path / "none", stdin=TEXT)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(f"nmt: error: {tmp_path}/none: ".encode())
    assert done.stderr.count(b"\n") == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children take Ctrl-C: a job in the background of a shell ignores it, and so do those that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_leaves_no_file(model: Path, tmp_path: Path, interruptible: None) -> None:
    command = [sys.executable, "-m", "nmt", "translate", str(model), "--beam-size", "1", "--format", "tsv"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"The dog.\n" * 2_000)  # a chunk
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"line\t")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"nmt: interrupted\n")


def test_scores_are_those_of_the_search(model: Path, translator: Translator, tmp_path: Path) -> None:
    settings = TranslationSettings(length_penalty=0.7, n_best=2, retry=False)
    for found in translator.translate_detailed(SENTENCES, settings):
        for each in found.hypotheses:
            [score] = translator.score([(SENTENCES[0] if found.text else "", each.text)])
            assert score.subwords >= len(each.text.split())
    found = translator.translate_detailed(SENTENCES, settings)
    pairs = [(source, each.text) for source, line in zip(SENTENCES, found, strict=True) for each in line.hypotheses]
    expected = [each.log_probability for line in found for each in line.hypotheses]
    scores = translator.score(pairs)
    assert [each.log_probability for each in scores] == pytest.approx(expected, rel=1e-4)
    (tmp_path / "a").write_text("".join(f"{source}\n" for source, _ in pairs))
    (tmp_path / "b").write_text("".join(f"{target}\n" for _, target in pairs))
    lines, _ = run("score", model, tmp_path / "a", tmp_path / "b")
    assert [float(line) for line in lines] == pytest.approx(expected, rel=1e-4)
    header, *rows = run("score", model, tmp_path / "a", tmp_path / "b", "--format", "tsv", "--normalize")[0]
    assert header == "line\tscore\tsubwords"
    for number, (row, whole) in enumerate(zip(rows, expected, strict=True), start=1):
        line, score, subwords = row.split("\t")
        assert int(line) == number
        assert float(score) * int(subwords) == pytest.approx(whole, rel=1e-4)
    row = json.loads(run("score", model, tmp_path / "a", tmp_path / "b", "--format", "json")[0][0])
    assert (row["line"], row["source"], row["target"]) == (1, *pairs[0])


def test_scores_of_empty_and_of_very_long_pairs(translator: Translator) -> None:
    long = " ".join(SENTENCES * 60)
    pairs = [("", ""), ("", "Der Hund."), (SENTENCES[0], ""), (long, long), (SENTENCES[0], "漢字 ☃"), ("a\ud800", "\n")]
    scores = translator.score(pairs)
    assert all(each.log_probability < 0 for each in scores)
    assert [each.subwords for each in scores][:3] == [1, scores[1].subwords, 1]
    alone = [translator.score([pair])[0].log_probability for pair in pairs]
    assert [each.log_probability for each in scores] == pytest.approx(alone, rel=1e-5)


def test_score_of_files_with_different_numbers_of_lines(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\nb\n")
    (tmp_path / "b").write_text("a\n")
    _, errors = run("score", model, tmp_path / "a", tmp_path / "b", code=1)
    assert "got 2 in" in errors


def test_a_line_in_pieces(translator: Translator) -> None:
    line = " ".join([*SENTENCES, "☃!"] * 12)
    [found] = translator.translate_detailed([line], TranslationSettings(n_best=2, alignments=True, sentences=False))
    assert found.status in (Status.SPLIT, Status.RETRIED, Status.DOUBTFUL, Status.FAILED)
    [same] = translator.translate_detailed([line], TranslationSettings(n_best=2, alignments=True))
    assert (same.text, same.hypotheses, same.alignment) == (found.text, found.hypotheses, found.alignment)
    assert same.status is not Status.SPLIT  # its sentences are as long as the model knows them
    parts = translator.translate_detailed([*SENTENCES, "☃!"], TranslationSettings(n_best=2, alignments=True))
    assert found.text == " ".join([part.text for part in parts] * 12)
    assert found.hypotheses[0].log_probability == pytest.approx(
        12 * sum(part.hypotheses[0].log_probability for part in parts[:2])
    )
    assert found.alignment is not None
    words = [len(part.text.split()) for part in parts], [len(SENTENCES[0].split()), len(SENTENCES[1].split()), 1]
    expected = []
    offset = [0, 0]
    for number in list(range(3)) * 12:
        expected += [(source + offset[0], target + offset[1]) for source, target in parts[number].alignment or ()]
        offset = [offset[0] + words[1][number], offset[1] + words[0][number]]
    assert list(found.alignment) == sorted(expected)


def test_sentences_of_a_line_are_translated_one_by_one(translator: Translator) -> None:
    assert translator.config.lines == "sentences"  # as `nmt prepare` found
    settings = TranslationSettings(n_best=2, alignments=True)
    first, second = translator.translate_detailed(SENTENCES, settings)
    lines = [f"{SENTENCES[0]}  {SENTENCES[1]}", f"{SENTENCES[1]}\u00a0{SENTENCES[0]} ☃."]
    found = translator.translate_detailed(lines, settings)
    assert [each.text for each in found] == [f"{first.text}  {second.text}", f"{second.text}\u00a0{first.text} ☃."]
    assert found[0].hypotheses[1].text == f"{first.hypotheses[1].text}  {second.hypotheses[1].text}"
    words = len(SENTENCES[0].split()), len(first.text.split())
    shifted = [(source + words[0], target + words[1]) for source, target in second.alignment or ()]
    assert found[0].alignment == (*(first.alignment or ()), *shifted)
    assert {first.status, second.status} >= {each.status for each in found}
    whole = translator.translate_detailed(lines[:1], TranslationSettings(sentences=False))
    assert whole[0].hypotheses[0].log_probability != found[0].hypotheses[0].log_probability


def test_a_sentence_is_lost_from_no_line_of_two(model: Path) -> None:
    both = f"{SENTENCES[0]} {SENTENCES[1]}\n".encode()
    single = run("translate", model, "--no-retry", stdin="\n".join(SENTENCES).encode())[0]
    assert run("translate", model, "--no-retry", stdin=both)[0] == [" ".join(single)]
    assert run("translate", model, "--no-retry", "--no-sentences", stdin=both)[0] != [" ".join(single)]


def test_what_the_model_does_not_know_is_told(model: Path, translator: Translator) -> None:
    assert "ok" not in {
        each.status for each in translator.translate_detailed([f"{SENTENCES[0][:-1]} 漢字", "dog 漢 ٣٤"])
    }
    known = translator.translate_detailed(SENTENCES)
    assert "unknown" not in {each.status for each in known}
    config = read_settings(model)
    loss = min(row["loss"] for row in ScoresFile(model).validations())
    assert translator.config.doubtful == config.doubtful == pytest.approx(-(loss + 0.5))
    strict = config.model_copy(update={"doubtful": 0.0})
    other = Translator(translator.network, translator.source_subwords, translator.target_subwords, strict)
    found = other.translate_detailed(SENTENCES)
    assert [each.text for each in found] == [each.text for each in known]
    assert {each.status for each in found} <= {Status.DOUBTFUL, Status.FAILED}


def test_pieces_without_space_between_them_are_joined_without(translator: Translator) -> None:
    [found] = translator.translate_detailed(["thedogseesthecat" * 30], TranslationSettings(alignments=True))
    assert found.status in (Status.SPLIT, Status.RETRIED, Status.DOUBTFUL, Status.FAILED)
    assert found.alignment is not None
    assert {source for source, _ in found.alignment} == {0}
    assert sorted({target for _, target in found.alignment}) == list(range(len(found.text.split())))


def test_attention(translator: Translator) -> None:
    found = translator.attention(SENTENCES[0], "Der alte Hund")
    assert found.weights.shape == (len(found.target), len(found.source))
    assert (found.source[-1], found.target[-1]) == ("</s>", "</s>")
    assert found.weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
    with pytest.raises(SearchError, match="pairs of subwords"):
        translator.attention("dog " * 6_000, "Hund " * 6_000)


@pytest.mark.parametrize(
    "wrong", [{"n_best": 3, "beam_size": 2}, {"beam_size": 0}, {"batch_size": 0}, {"length_penalty": -1.0}]
)
def test_settings_out_of_bounds(translator: Translator, wrong: dict[str, int]) -> None:
    with pytest.raises(SearchError, match="expected"):
        translator.translate_detailed(["a"], TranslationSettings(**wrong))  # type: ignore[arg-type]


def test_importing_the_package_is_light_and_its_translator_works(model: Path) -> None:
    program = (
        "import sys, nmt\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert 'Translator' in dir(nmt)\n"
        f"print(nmt.Translator.load({str(model)!r}).translate(['a\\ud800', '', '\\u2028', '\\udcff☃']))\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip().endswith("'', '', '\ufffd☃']")
